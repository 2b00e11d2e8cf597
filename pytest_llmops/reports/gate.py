"""gate.json: the decision for machines, without one word of a model or an exception.

A release step reads it and prints from it, where any text of a model could act on the pipeline. So it holds the
numbers of each gate and a headline made from them; causes in words are in summary.md and results.json.
"""

from __future__ import annotations

import re
from typing import Any

from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import BUILD, COMMIT, Report
from pytest_llmops.reports.ages import iso_time, reuse_of
from pytest_llmops.reports.results import ordered
from pytest_llmops.reports.text import one_line
from pytest_llmops.reports.verdicts import LIMITS, headline

SCHEMA_VERSION = 1
FILE = "gate.json"
_PLACE = re.compile(r"^([^:\n]+:\d+: [^:\n]+:) .*", re.DOTALL)
"""Where a mistake is in the configuration. What it is may quote the data."""


def document(report: Report) -> dict[str, Any]:
    """Turn the decision of a report into JSON values."""
    report = ordered(report)
    reuse = reuse_of(report)
    values = {
        "schema_version": SCHEMA_VERSION,
        "created": report.created,
        "commit": report.versions.get(COMMIT),
        "build": report.versions.get(BUILD),
        "shard": report.shard and f"{report.shard.index}/{report.shard.count}",
        "state": report.decision.state,
        "reasons": [one_line(_PLACE.sub(r"\1 (see summary.md)", reason), 400) for reason in report.decision.reasons],
        "counts": dict(sorted(report.decision.counts.items())),
        "settings": {name: report.settings[name] for name in LIMITS if name in report.settings},
        "recorded": reuse and {"oldest": iso_time(reuse.oldest), "rows": reuse.rows, "of": reuse.of},
        "gates": [_line(gate) for gate in report.gates],
    }
    encoded: dict[str, Any] = to_json(values)
    return encoded


def _line(gate: GateResult) -> dict[str, Any]:
    comparison = gate.comparison
    return {
        "experiment": gate.experiment,
        "item": gate.item,
        "verdict": gate.verdict,
        "value": gate.value,
        "rule": gate.rule,
        "n": gate.n,
        "interval": gate.interval,
        "weak": gate.weak,
        "margin": gate.margin,
        "baseline": comparison and comparison.baseline,
        "delta": comparison and comparison.delta,
        "bound": comparison and comparison.bound,
        "p_value": comparison and comparison.p_value,
        "adjusted_p": comparison and comparison.adjusted_p,
        "compared": comparison and comparison.n,
        "blocking": gate.blocking,
        "closes": gate.closes_gate(),
        "reason": headline(gate),
        "recorded": iso_time(gate.recorded) or None,
    }
