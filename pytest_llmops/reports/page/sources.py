"""What the page shows beside the results of its own session. Whoever renders a page reads it, and hands it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_llmops.records.gate import Verdict
from pytest_llmops.records.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one item in a session. ``value`` is None where there was no finite one."""

    value: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A session in the trend. ``gates`` are by ``<experiment>::<item>``, ``name`` is where its results are from.

    ``limits`` names the settings under which its values are not those of a whole session; empty for a whole one.
    """

    created: str
    commit: str | None = None
    name: str = ""
    limits: str = ""
    gates: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Baselines and earlier sessions.

    ``baselines`` maps the path of an experiment to what it was compared with, with those cells alone that can be put
    beside the session's. ``problems`` says by path, a line each, why others can't be. ``history`` is oldest first, and
    without the session itself. ``troubles`` are lines for people: what of all this could not be read.
    """

    baselines: Mapping[str, Report] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    history: tuple[Point, ...] = ()
    troubles: tuple[str, ...] = ()


NO_SOURCES = Sources()
