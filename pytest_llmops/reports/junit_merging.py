"""The JUnit files of several shards made one."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain

from pytest_llmops.reports.junit_xml import (
    OUTCOMES,
    STREAMS,
    Identity,
    absorb,
    count,
    identity,
    parse,
    seconds,
    written,
)

_OF_COLLECTION = {"collection failure", "collection skipped"}
"""What pytest says of a file of tests that it could not collect, or skipped: every shard collects it."""
_NAMED = 5


def merge_junit(texts: Sequence[str]) -> str:
    """Make one file with one suite of the files of several shards. Cases are sorted; counts and times add up.

    Raises:
        ValueError: where a text is no JUnit file, or a test stands in more than one; it names them.
    """
    roots = [parse(text) for text in texts]
    shards = _cases(roots)
    times = Counter(chain.from_iterable({identity(case) for case in cases} for cases in shards))
    if twice := sorted(".".join(names) for names, number in times.items() if number > 1):
        more = f" and {len(twice) - _NAMED} more" if len(twice) > _NAMED else ""
        raise ValueError(f"tests that more than one shard ran: {', '.join(twice[:_NAMED])}{more}")
    suites = [suite for root in roots for suite in _suites(root)]
    merged = ET.Element("testsuites", name="pytest tests")
    whole = ET.SubElement(merged, "testsuite", _merged_attributes(suites))
    for child in (child for suite in suites for child in suite if child.tag in {"properties", *STREAMS}):
        absorb(whole, child)
    whole.extend(sorted(chain.from_iterable(shards), key=identity))
    count(merged)
    return written(merged)


def _cases(roots: Iterable[ET.Element]) -> list[list[ET.Element]]:
    """Return the cases of each shard, those of collection with the first one that has them."""
    known: set[Identity] = set()
    shards = []
    for root in roots:
        cases = list(root.iter("testcase"))
        shards.append([case for case in cases if not (_is_of_collection(case) and identity(case) in known)])
        known |= {identity(case) for case in cases if _is_of_collection(case)}
    return shards


def _is_of_collection(case: ET.Element) -> bool:
    return any(child.tag in OUTCOMES and child.get("message") in _OF_COLLECTION for child in case)


def _suites(root: ET.Element) -> list[ET.Element]:
    """Return the suites that are in no other one."""
    return [root] if root.tag == "testsuite" else root.findall("testsuite")


def _merged_attributes(suites: Sequence[ET.Element]) -> dict[str, str]:
    """Sum times up, take the earliest start, and a name and a host that all have, if they have."""
    attributes = {"name": _common(suites, "name") or "pytest", "time": f"{sum(map(seconds, suites)):.3f}"}
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
