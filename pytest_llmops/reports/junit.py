"""The JUnit file that pytest writes, improved for Azure DevOps, and those of several shards made one.

Azure DevOps takes every ``testcase`` for a result of its own, reads the first failure, else the first error of it, and
the first ``system-out``, in which ``[[ATTACHMENT|path]]`` names a file to attach. So each test gets one case with one
outcome, and nothing that a model said may look like a command to an agent, or attach a file.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain
from types import MappingProxyType

from pytest_llmops.hashing import digest
from pytest_llmops.records.gate import GateResult
from pytest_llmops.reports.text import neutralise
from pytest_llmops.reports.verdicts import headline

NAME_LIMIT = 200
"""Longest name of a case. With over-long ones Azure DevOps refuses the whole file."""

_HEAD = '<?xml version="1.0" encoding="utf-8"?>'
_OUTCOMES = ("failure", "error", "skipped")
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}
_STREAMS = ("system-out", "system-err")
_NAMED = 5
# The agent's search for text skips characters that have no weight, as with the commands that reports.text breaks.
_ATTACHMENT = re.compile(r"\[(?=[^\x20-\x7e]*" + r"[^\x20-\x7e]*".join(map(re.escape, "[ATTACHMENT")) + ")", re.I)

_Identity = tuple[str, str]


def case_key(nodeid: str, prefix: str = "") -> str:
    """Return what stands for a test: for a node id the same as for its case in the file.

    ``prefix`` is that of ``--junit-prefix``.
    """
    path, _, names = nodeid.partition("::")
    return _key(".".join(filter(None, (prefix, path.removesuffix(".py"), names))))


def failure_note(gate: GateResult, attachment: str = "") -> str:
    """Write what a failed gate's case has in its system-out: the verdict, and the file to attach to it.

    ``attachment`` is a path, absolute or relative to the folder of the JUnit file.
    """
    return headline(gate) + (f"\n[[ATTACHMENT|{attachment}]]" if attachment else "")


def improve(text: str, notes: Mapping[str, str], repeated: Mapping[str, int] = MappingProxyType({})) -> str:
    """Give each test of a JUnit file one case with one outcome, add notes to cases, and make all other text harmless.

    ``notes`` holds the text to put into a case's system-out, by ``case_key``. ``repeated`` holds, for the tests that
    pytest wrote more than one case for, how many of them are of the last attempt, which alone holds: one, or two where
    both call and teardown failed. A case without a name is what became of a test that was never finished: it goes,
    unless it tells of an error. Properties stay.

    Raises:
        ValueError: where the text is no JUnit file.
    """
    root = _parse(text)
    noted: list[tuple[ET.Element, str]] = []
    for suite in [*root.iter("testsuite")]:
        kept: dict[ET.Element, ET.Element] = {}
        for identity, cases in _by_identity(suite).items():
            key = _key(".".join(identity))
            attempt = cases[-repeated[key] :] if key in repeated else []
            kept |= {cases[0]: _united(attempt)} if attempt else {case: case for case in cases}
            noted += ((kept[case], notes[key]) for case in cases if case in kept and key in notes)
        suite[:] = [kept.get(child, child) for child in suite if child in kept or child.tag != "testcase"]
    for case in root.iter("testcase"):
        _fold_outcomes(case)
    _drop_unfinished(root)
    _make_harmless(root)
    for case, note in noted:
        _prepend(case, note)
    _count(root)
    return _written(root)


def merge_junit(texts: Sequence[str]) -> str:
    """Make one file with one suite of the files of several shards. Cases are sorted; counts and times add up.

    Raises:
        ValueError: where a text is no JUnit file, or a test stands in more than one; it names them.
    """
    roots = [_parse(text) for text in texts]
    shards = [list(root.iter("testcase")) for root in roots]
    times = Counter(chain.from_iterable({_identity(case) for case in cases} for cases in shards))
    if twice := sorted(".".join(identity) for identity, count in times.items() if count > 1):
        more = f" and {len(twice) - _NAMED} more" if len(twice) > _NAMED else ""
        raise ValueError(f"tests that more than one shard ran: {', '.join(twice[:_NAMED])}{more}")
    suites = [suite for root in roots for suite in _suites(root)]
    merged = ET.Element("testsuites", name="pytest tests")
    whole = ET.SubElement(merged, "testsuite", _merged_attributes(suites))
    for child in (child for suite in suites for child in suite if child.tag in {"properties", *_STREAMS}):
        _absorb(whole, child)
    whole.extend(sorted(chain.from_iterable(shards), key=_identity))
    _count(merged)
    return _written(merged)


def _parse(text: str) -> ET.Element:
    # Entities, the one danger of XML from elsewhere, need a declaration, and nobody who writes JUnit makes any.
    if "<!DOCTYPE" in text:
        raise ValueError("not a JUnit file (it declares a document type)")
    try:
        root = ET.fromstring(text)  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f"not a JUnit file ({error})") from None
    if root.tag not in {"testsuites", "testsuite"}:
        raise ValueError(f"not a JUnit file (its root is '{root.tag}')")
    return root


def _written(root: ET.Element) -> str:
    try:
        return _HEAD + ET.tostring(root, encoding="unicode")
    except RecursionError:
        raise ValueError("not a JUnit file (nested too deeply)") from None


def _key(name: str) -> str:
    return name.replace("::", ".").replace("/", ".")


def _identity(case: ET.Element) -> _Identity:
    return case.get("classname", ""), case.get("name", "")


def _suites(root: ET.Element) -> list[ET.Element]:
    """Return the suites that are in no other one."""
    return [root] if root.tag == "testsuite" else root.findall("testsuite")


def _by_identity(suite: ET.Element) -> dict[_Identity, list[ET.Element]]:
    cases: dict[_Identity, list[ET.Element]] = {}
    for case in suite.findall("testcase"):
        cases.setdefault(_identity(case), []).append(case)
    return cases


def _united(halves: Sequence[ET.Element]) -> ET.Element:
    """Make one case of two halves of the same attempt at a test."""
    whole, *others = halves
    for half in others:
        whole.set("time", f"{_seconds(whole) + _seconds(half):.3f}")
        for child in half:
            _absorb(whole, child)
    return whole


def _absorb(parent: ET.Element, child: ET.Element) -> None:
    """Add a child to those that are there: properties to properties, a stream to a stream, but nothing twice."""
    known = parent.find(child.tag) if child.tag in {"properties", *_STREAMS} else None
    if known is None:
        parent.append(child)
    elif child.tag == "properties":
        there = [each.attrib for each in known]
        known.extend(each for each in child if each.attrib not in there)
    elif (child.text or "") not in (known.text or ""):
        known.text = f"{known.text}\n{child.text}"


def _fold_outcomes(case: ET.Element) -> None:
    """Leave one outcome, the one that Azure DevOps reads, with what the others say at the end of its text."""
    found = [outcome for tag in _OUTCOMES for outcome in case.findall(tag)]
    for other in found[1:]:
        found[0].text = "\n\n".join(filter(None, (found[0].text, other.get("message"), other.text)))
        case.remove(other)


def _drop_unfinished(root: ET.Element) -> None:
    for suite in root.iter("testsuite"):
        for case in [case for case in suite.findall("testcase") if not case.get("name")]:
            if _outcome(case) is None:
                suite.remove(case)
            else:
                case.set("name", case.get("classname") or "session")


def _outcome(case: ET.Element) -> str | None:
    return next((tag for tag in _OUTCOMES if case.find(tag) is not None), None)


def _make_harmless(root: ET.Element) -> None:
    for element in root.iter():
        element.text = _harmless(element.text or "") or None
        for name, value in element.items():
            element.set(name, _harmless(value))
        if element.tag == "testcase" and len(name := element.get("name", "")) > NAME_LIMIT:
            element.set("name", f"{name[: NAME_LIMIT - 9]}~{digest(name)[:8]}")


def _harmless(text: str) -> str:
    return _ATTACHMENT.sub("[ ", neutralise(text))


def _prepend(case: ET.Element, note: str) -> None:
    """Put a note before all other output of a case, as one system-out: it is the first one that is read."""
    streams = case.findall("system-out")
    for stream in streams:
        case.remove(stream)
    ET.SubElement(case, "system-out").text = "\n".join([note, *(stream.text or "" for stream in streams)]).rstrip()


def _count(root: ET.Element) -> None:
    """Write into every suite how many cases it has, and what became of them; totals only where there are some."""
    for element in root.iter():
        if not element.tag.startswith("testsuite"):
            continue
        outcomes = [_outcome(case) for case in element.iter("testcase")]
        counts = {"tests": len(outcomes)} | {name: outcomes.count(tag) for name, tag in _COUNTS.items()}
        for name, count in counts.items():
            if element.tag == "testsuite" or name in element.attrib:
                element.set(name, str(count))


def _merged_attributes(suites: Sequence[ET.Element]) -> dict[str, str]:
    """Sum times up, take the earliest start, and a name and a host that all have, if they have."""
    attributes = {"name": _common(suites, "name") or "pytest", "time": f"{sum(map(_seconds, suites)):.3f}"}
    if begun := list(_starts(suites)):
        attributes["timestamp"] = min(begun).isoformat()
    if host := _common(suites, "hostname"):
        attributes["hostname"] = host
    return attributes


def _common(suites: Iterable[ET.Element], name: str) -> str:
    values = {suite.get(name, "") for suite in suites}
    return values.pop() if len(values) == 1 else ""


def _starts(suites: Iterable[ET.Element]) -> Iterator[datetime]:
    for suite in suites:
        with suppress(ValueError):
            start = datetime.fromisoformat(suite.get("timestamp", ""))
            yield start if start.tzinfo else start.replace(tzinfo=timezone.utc)


def _seconds(element: ET.Element) -> float:
    """Return the time that an element took; nothing for what Azure DevOps ignores as well."""
    with suppress(ValueError):
        seconds = float(element.get("time", "0"))
        return seconds if 0 <= seconds < math.inf else 0.0
    return 0.0
