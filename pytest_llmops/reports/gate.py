"""gate.json: the decision for machines, without one word of a model or an exception.

A release step reads it and prints from it, where any text of a model could act on the pipeline. So it holds the
numbers of each gate and a headline made from them; causes in words are in summary.md and results.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.gate import GateResult, Verdict
from pytest_llmops.records.report import BUILD, COMMIT, Report, Subject
from pytest_llmops.reports.ages import iso_time, reuse_of
from pytest_llmops.reports.results import ordered
from pytest_llmops.reports.text import one_line
from pytest_llmops.reports.verdicts import LIMITS, headline

SCHEMA_VERSION = 1
FILE = "gate.json"
_PLACE = re.compile(r"^([^:\n]+:\d+: [^:\n]+:) .*", re.DOTALL)
"""Where a mistake is in the configuration. What it is may quote the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One gate. ``reason`` is its headline; ``baseline`` to ``compared`` are None without a comparison. ``optional``
    marks a candidate's that need not pass.

    ``closes`` says whether it closes the gate, ``bars`` whether its variant may not be deployed, required or not.
    """

    experiment: str
    item: str
    verdict: Verdict
    value: float | None
    rule: str
    n: int | None
    interval: Interval | None
    weak: bool
    margin: float | None
    baseline: float | None
    delta: float | None
    bound: float | None
    p_value: float | None
    adjusted_p: float | None
    compared: int | None
    blocking: bool
    optional: bool
    closes: bool
    bars: bool
    reason: str
    recorded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was reused: how many rows of how many, and the time of the oldest, ISO 8601."""

    oldest: str
    rows: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFile:
    """All that the file says. No key is optional: a file that lacks one is not whole."""

    schema_version: int
    created: str
    commit: str | None
    build: str | None
    shard: str | None
    state: Literal["open", "closed"]
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    settings: Mapping[str, str]
    recorded: Recorded | None
    subjects: Mapping[str, Subject]
    gates: tuple[Line, ...]

    @property
    def closing(self) -> tuple[Line, ...]:
        """Gates that close it."""
        return tuple(line for line in self.gates if line.closes)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What closed it beside its gates."""
        verdicts = {_said(line.verdict, line.item) for line in self.gates}
        return tuple(reason for reason in self.reasons if reason not in verdicts)


def document(report: Report) -> dict[str, Any]:
    """Turn the decision of a report into JSON values."""
    encoded: dict[str, Any] = to_json(gate_file(report))
    return encoded


def gate_file(report: Report) -> GateFile:
    """Take from a report what the file says."""
    report = ordered(report)
    reuse = reuse_of(report)
    return GateFile(
        schema_version=SCHEMA_VERSION,
        created=report.created,
        commit=report.versions.get(COMMIT),
        build=report.versions.get(BUILD),
        shard=str(report.shard) if report.shard else None,
        state=report.decision.state,
        reasons=tuple(_reason(reason) for reason in report.decision.reasons),
        counts=dict(sorted(report.decision.counts.items())),
        settings={name: report.settings[name] for name in LIMITS if name in report.settings},
        recorded=Recorded(oldest=iso_time(reuse.oldest), rows=reuse.rows, of=reuse.of) if reuse else None,
        subjects=report.subjects,
        gates=tuple(map(_line, report.gates)),
    )


def _reason(text: str) -> str:
    return one_line(_PLACE.sub(r"\1 (see summary.md)", text), 400)


def _said(verdict: Verdict, item: str) -> str:
    return _reason(f"{verdict} {item}")


def _line(gate: GateResult) -> Line:
    comparison = gate.comparison
    return Line(
        experiment=gate.experiment,
        item=gate.item,
        verdict=gate.verdict,
        value=gate.value,
        rule=gate.rule,
        n=gate.n,
        interval=gate.interval,
        weak=gate.weak,
        margin=gate.margin,
        baseline=comparison.baseline if comparison else None,
        delta=comparison.delta if comparison else None,
        bound=comparison.bound if comparison else None,
        p_value=comparison.p_value if comparison else None,
        adjusted_p=comparison.adjusted_p if comparison else None,
        compared=comparison.n if comparison else None,
        blocking=gate.blocking,
        optional=gate.optional,
        closes=gate.closes_gate(),
        bars=gate.bars_variant(),
        reason=headline(gate),
        recorded=iso_time(gate.recorded) or None,
    )
