"""Results that are reused, and how old they are, in words: the same in every report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import RunResult, earliest

_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60))
_LAST = 253_402_300_799
"""Unix time of the last second of the year 9999, which no calendar of Python's goes beyond."""
_UNKNOWN = "unknown"
"""Stands for a time or an age that no clock can have told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """How many of a session's rows, those of evaluations included, are reused. ``oldest`` is a Unix time."""

    rows: int
    of: int
    oldest: float


def reuse_of(report: Report) -> Reuse | None:
    """Sum up what a session reused; None where that is nothing."""
    runs = list(_runs(report))
    found = earliest(*(run.oldest for run in runs))
    if found is None:
        return None
    return Reuse(rows=sum(len(run.reused) for run in runs), of=sum(len(run.rows) for run in runs), oldest=found)


def reuse_text(report: Report) -> str:
    """Say how many rows are reused, and since when the oldest is known; nothing where none is."""
    reuse = reuse_of(report)
    if reuse is None:
        return ""
    seconds = _seconds_before(report.created, reuse.oldest)
    since = iso_time(reuse.oldest)
    if seconds is not None and since != _UNKNOWN:
        since = f"{age(seconds)} ago"
    return f"{reuse.rows} of {reuse.of} rows, oldest from {since}"


def reuse_note(gate: GateResult) -> str:
    """Say that a verdict rests on reused rows; nothing where it does not."""
    return "" if gate.recorded is None else f"rests on reused rows, the oldest from {iso_time(gate.recorded)}"


def iso_time(recorded: float | None) -> str:
    """Write a Unix time as ISO 8601, UTC; nothing for None."""
    if recorded is None:
        return ""
    if not 0 <= recorded <= _LAST:
        return _UNKNOWN
    return datetime.fromtimestamp(recorded, timezone.utc).isoformat(timespec="seconds")


def age(seconds: float) -> str:
    """Write an age in words, in the largest unit of which it is at least two: ``2 days``, ``47 hours``."""
    if not seconds <= _LAST:
        return _UNKNOWN
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), ("seconds", 1))
    count = max(0, int(seconds // size))
    return f"{count} {unit.removesuffix('s') if count == 1 else unit}"


def _runs(report: Report) -> Iterator[RunResult]:
    for result in report.cells:
        for execution in result.executions:
            yield execution.run
            yield from (evaluation.result for evaluation in execution.evaluations.values())


def _seconds_before(created: str, recorded: float) -> float | None:
    try:
        return datetime.fromisoformat(created).timestamp() - recorded
    except (ValueError, OverflowError, OSError):
        return None
