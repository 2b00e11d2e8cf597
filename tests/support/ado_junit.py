"""What Azure DevOps shows of a JUnit file, by the documented rules of its readers, and the rules of junit-10.xsd.

The rules are those on which the task's documentation and the agent's open reader (``JunitResultReader.cs``) agree.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MESSAGE_LIMIT = 4000
"""Characters of a message or a stack trace that Azure DevOps shows."""

NAME_LIMIT = 256
"""Longest name that every release of Azure DevOps has taken."""

_REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    "property": {"name", "value"},
}
_OPTIONAL: dict[str, set[str]] = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "group",
        "time",
        "skipped",
        "timestamp",
        "hostname",
        "id",
        "package",
        "file",
        "log",
        "url",
        "version",
    },
    "properties": set(),
    "property": set(),
    "testcase": {"time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
    "system-err": set(),
}
_CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testsuite", "properties", "testcase", "system-out", "system-err"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
    "properties": {"property"},
}
_SUITE_TIME = re.compile(r"\d*(\.\d{0,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One result on the Tests tab. ``storage`` is shown as "Test file"; with ``title`` it makes the identity."""

    title: str
    storage: str
    outcome: str
    message: str = ""
    stack_trace: str = ""


def read(path: Path) -> list[Shown]:
    """Read a file as Azure DevOps does: a testcase without a name is dropped, the first failure or error counts."""
    return [_shown(case) for case in ET.parse(path).getroot().iter("testcase") if case.get("name")]


def problems(path: Path) -> list[str]:
    """List what in a file breaks junit-10.xsd, or would mix up the histories of two tests."""
    root = ET.parse(path).getroot()
    identities = Counter((case.get("classname"), case.get("name")) for case in root.iter("testcase"))
    found = [f"{identity} is there {times} times" for identity, times in identities.items() if times > 1]
    return found + [problem for element in root.iter() for problem in _element_problems(element)]


def _shown(case: ET.Element) -> Shown:
    title, storage = case.get("name", ""), case.get("classname", "")
    for kind in ("failure", "error"):
        broken = case.find(kind)
        if broken is not None:
            text = "".join(broken.itertext())
            return Shown(
                title=title,
                storage=storage,
                outcome="Failed",
                message=broken.get("message", "")[:MESSAGE_LIMIT],
                stack_trace=text[:MESSAGE_LIMIT],
            )
    skipped = case.find("skipped")
    if skipped is not None:
        return Shown(title=title, storage=storage, outcome="NotExecuted", message=skipped.get("message", ""))
    return Shown(title=title, storage=storage, outcome="Passed")


def _element_problems(element: ET.Element) -> Iterator[str]:
    if element.tag not in _OPTIONAL:
        yield f"element {element.tag} is not allowed"
        return
    required, given = _REQUIRED.get(element.tag, set()), set(element.keys())
    for name in sorted(required - given):
        yield f"{element.tag} has no {name}"
    for name in sorted(given - required - _OPTIONAL[element.tag]):
        yield f"attribute {name} of {element.tag} is not allowed"
    for child in element:
        if child.tag not in _CHILDREN.get(element.tag, set()):
            yield f"{child.tag} in {element.tag} is not allowed"
    if element.tag.startswith("testsuite") and not _SUITE_TIME.fullmatch(element.get("time", "")):
        yield f"time {element.get('time')} of {element.tag} is not allowed"
