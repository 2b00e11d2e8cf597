"""The JUnit file that pytest writes, improved for Azure DevOps.

Azure DevOps takes every ``testcase`` for a result of its own, reads the first failure, else the first error of it, and
the first ``system-out``, in which ``[[ATTACHMENT|path]]`` names a file to attach. So each test gets one case with one
outcome, and nothing that a model said may look like a command to an agent, or attach a file.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pytest_llmops.hashing import digest
from pytest_llmops.records.gate import GateResult
from pytest_llmops.reports.junit_xml import (
    OUTCOMES,
    Identity,
    absorb,
    count,
    identity,
    outcome,
    parse,
    seconds,
    written,
)
from pytest_llmops.reports.text import neutralise
from pytest_llmops.reports.verdicts import headline

NAME_LIMIT = 200
"""Longest name of a case. With over-long ones Azure DevOps refuses the whole file."""

# The agent's search for text skips characters that have no weight, as with the commands that reports.text breaks.
_ATTACHMENT = re.compile(r"\[(?=[^\x20-\x7e]*" + r"[^\x20-\x7e]*".join(map(re.escape, "[ATTACHMENT")) + ")", re.I)


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
    root = parse(text)
    noted: list[tuple[ET.Element, str]] = []
    for suite in [*root.iter("testsuite")]:
        kept: dict[ET.Element, ET.Element] = {}
        for names, cases in _by_identity(suite).items():
            key = _key(".".join(names))
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
    count(root)
    return written(root)


def _key(name: str) -> str:
    return name.replace("::", ".").replace("/", ".")


def _by_identity(suite: ET.Element) -> dict[Identity, list[ET.Element]]:
    cases: dict[Identity, list[ET.Element]] = {}
    for case in suite.findall("testcase"):
        cases.setdefault(identity(case), []).append(case)
    return cases


def _united(halves: Sequence[ET.Element]) -> ET.Element:
    """Make one case of two halves of the same attempt at a test."""
    whole, *others = halves
    for half in others:
        whole.set("time", f"{seconds(whole) + seconds(half):.3f}")
        for child in half:
            absorb(whole, child)
    return whole


def _fold_outcomes(case: ET.Element) -> None:
    """Leave one outcome, the one that Azure DevOps reads, with what the others say at the end of its text."""
    found = [outcome for tag in OUTCOMES for outcome in case.findall(tag)]
    for other in found[1:]:
        found[0].text = "\n\n".join(filter(None, (found[0].text, other.get("message"), other.text)))
        case.remove(other)


def _drop_unfinished(root: ET.Element) -> None:
    for suite in root.iter("testsuite"):
        for case in [case for case in suite.findall("testcase") if not case.get("name")]:
            if outcome(case) is None:
                suite.remove(case)
            else:
                case.set("name", case.get("classname") or "session")


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
