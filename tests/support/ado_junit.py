"""What Azure DevOps shows of a JUnit file, by the documented rules of its readers, and the rules of junit-10.xsd.

The rules are those on which the task's documentation and the agent's open reader (``JunitResultReader.cs``) agree.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

MESSAGE_LIMIT = 4000
"""Characters of a message or a stack trace that Azure DevOps shows."""

NAME_LIMIT = 256
"""Longest name that every release of Azure DevOps has taken. With a longer one it may refuse the whole file."""

MESSAGE_SHOWN = 100
"""Characters of a message in our table."""

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
_ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|(.*?)\]\]")
_SUITE_TIME = re.compile(r"\d*(\.\d{0,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One result on the Tests tab. ``storage`` is shown as "Test file"; with ``title`` it makes the identity."""

    title: str
    storage: str
    outcome: str
    message: str = ""
    stack_trace: str = ""
    duration: float = field(default=0.0, compare=False)
    console: str = field(default="", compare=False)
    """Standard_Console_Output.log: the first system-out, of what failed alone."""
    attachments: tuple[str, ...] = field(default=(), compare=False)
    """Files that are attached, relative to the folder of the JUnit file, or absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A test run: what is published of one file. ``duration`` is in seconds, ``counts`` are results by outcome."""

    started: datetime | None
    duration: float
    results: tuple[Shown, ...]
    counts: dict[str, int]
    warnings: tuple[str, ...]


def read(path: Path) -> list[Shown]:
    """Read the results of a file, as Azure DevOps does: a testcase without a name is dropped."""
    return list(read_run(path).results)


def read_run(path: Path) -> Run:
    """Read a file as Azure DevOps does, and collect what it would warn of, or lose in silence."""
    root = ET.parse(path).getroot()
    cases = list(root.iter("testcase"))
    warnings = [f"a testcase of {case.get('classname')} has no name" for case in cases if not case.get("name")]
    results = []
    for case in cases:
        if case.get("name"):
            shown, missing = _shown(case, path.parent)
            results.append(shown)
            warnings += missing
    warnings += [f"name of {len(each.title)} characters" for each in results if len(each.title) > NAME_LIMIT]
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    starts = [start for suite in suites if (start := _start(suite)) is not None]
    return Run(
        started=min(starts, default=None),
        duration=sum(map(_seconds, suites)) or sum(each.duration for each in results),
        results=tuple(results),
        counts=dict(sorted(Counter(each.outcome for each in results).items())),
        warnings=tuple(warnings),
    )


def table(run: Run) -> list[str]:
    """Write the list of results as the Tests tab shows it: outcome, title, test file, begin of the message."""
    head = ("Outcome", "Title", "Test file", "Error message")
    rows = [(each.outcome, each.title, each.storage, _first(each.message)) for each in run.results]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    return ["  ".join((*map(str.ljust, row[:3], widths), row[3])).rstrip() for row in (head, *rows)]


def problems(path: Path) -> list[str]:
    """List what in a file breaks junit-10.xsd, or would mix up the histories of two tests."""
    root = ET.parse(path).getroot()
    identities = Counter((case.get("classname"), case.get("name")) for case in root.iter("testcase"))
    found = [f"{identity} is there {times} times" for identity, times in identities.items() if times > 1]
    return found + [problem for element in root.iter() for problem in _element_problems(element)]


def _shown(case: ET.Element, folder: Path) -> tuple[Shown, list[str]]:
    """Read one result, and the warnings about its attachments. The first failure counts, else the first error."""
    broken = next((found for kind in ("failure", "error") if (found := case.find(kind)) is not None), None)
    skipped = case.find("skipped")
    console = (case.findtext("system-out") or "") if broken is not None else ""
    named = _ATTACHMENT.findall(console)
    there = tuple(name for name in named if (folder / name).is_file())
    shown = Shown(
        title=case.get("name", ""),
        storage=case.get("classname", ""),
        outcome="Failed" if broken is not None else "Passed" if skipped is None else "NotExecuted",
        message=_message(broken if broken is not None else skipped),
        stack_trace="" if broken is None else "".join(broken.itertext())[:MESSAGE_LIMIT],
        duration=_seconds(case),
        console=console,
        attachments=there,
    )
    missing = [name for name in named if name not in there]
    return shown, [f"Skipping attachment as it is not available on disk: {name}" for name in missing]


def _message(outcome: ET.Element | None) -> str:
    return "" if outcome is None else outcome.get("message", "")[:MESSAGE_LIMIT]


def _first(text: str) -> str:
    return " ".join(text.split())[:MESSAGE_SHOWN]


def _start(suite: ET.Element) -> datetime | None:
    """Read when a suite began; a time without zone is UTC."""
    try:
        start = datetime.fromisoformat(suite.get("timestamp", ""))
    except ValueError:
        return None
    return start.astimezone(timezone.utc) if start.tzinfo else start.replace(tzinfo=timezone.utc)


def _seconds(element: ET.Element) -> float:
    """Read how long something took; negative, infinite and unreadable times are ignored."""
    try:
        seconds = float(element.get("time", "0"))
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < math.inf else 0.0


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
