"""What the page shows first: a report, but for its rows, as JSON values with all text in them visible.

``app/data.js`` is the other side of these shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, quantiles
from typing import Any

from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, GateResult, cell_key
from pytest_llmops.records.report import COMMIT, Report
from pytest_llmops.reports.ages import iso_time, reuse_of, reuse_text
from pytest_llmops.reports.candidates import Switch, switches
from pytest_llmops.reports.page.beside import Beside, beside
from pytest_llmops.reports.page.sources import Outcome, Point, Sources
from pytest_llmops.reports.page.standing import stands
from pytest_llmops.reports.page.values import shown
from pytest_llmops.reports.verdicts import decision_line, experiments, headline, value_text
from pytest_llmops.stats.run_metrics import NotCounted, row_cost

_PARTS = 20
_PARTIAL = ("max-rows", "variants", "thresholds", "baseline", "regated")
"""Settings under which values or verdicts of a session are not what those of a whole one would be."""


def overview(report: Report, sources: Sources) -> dict[str, Any]:
    """Turn all of a report but its rows into JSON values."""
    reuse = reuse_of(report)
    values: dict[str, Any] = shown(
        {
            "created": report.created,
            "decision": report.decision,
            "line": decision_line(report),
            "settings": report.settings,
            "versions": report.versions,
            "shard": report.shard and str(report.shard),
            "reuse": reuse and {"text": reuse_text(report), "oldest": iso_time(reuse.oldest)},
            "troubles": sources.troubles,
            "history": (*sources.history, point_of(report)),
            "experiments": [_experiment(path, name, report, sources) for path, name in experiments(report).items()],
        }
    )
    return values


def point_of(report: Report, name: str = "") -> Point:
    """Make a session a point in the trend."""
    return Point(
        created=report.created,
        commit=report.versions.get(COMMIT),
        name=name,
        limits=", ".join(f"{key} {report.settings[key]}" for key in _PARTIAL if report.settings.get(key)),
        gates={
            cell_key(gate.experiment, gate.item): Outcome(value=finite(gate.value), verdict=gate.verdict)
            for gate in report.gates
        },
    )


def finite(value: float | None) -> float | None:
    """Return a number that a chart can show; None for others."""
    return value if value is not None and math.isfinite(value) else None


def _experiment(path: str, name: str, report: Report, sources: Sources) -> dict[str, Any]:
    cells = {result.cell.id: result for result in report.cells if result.cell.experiment == path}
    known = list(cells.values())
    baseline = sources.baselines.get(path)
    gates = [gate for gate in report.gates if gate.experiment == path]
    return {
        "path": path,
        "name": name,
        "baseline": _baseline(path, report, sources),
        "cells": [_cell(result, beside(result, known, baseline)) for result in known],
        "candidates": [_candidate(switch) for switch in switches(report, path)],
        "gates": [_gate(gate, cells.get(gate.cell)) for gate in gates],
        "stands": stands(known, gates),
    }


def _baseline(path: str, report: Report, sources: Sources) -> dict[str, Any] | None:
    if path not in report.baselines:
        return None
    baseline = sources.baselines.get(path)
    return {
        "path": report.baselines[path],
        "created": baseline and baseline.created,
        "commit": baseline and baseline.versions.get(COMMIT),
        "problem": sources.problems.get(path, ""),
    }


def _candidate(switch: Switch) -> dict[str, Any]:
    return {"name": switch.candidate, "answer": switch.answer, "text": switch.text}


def _cell(result: CellResult, beside: Beside) -> dict[str, Any]:
    run, cell = result.run, result.cell
    return {
        "id": cell.id,
        "flow": cell.flow,
        "dataset": cell.dataset,
        "variant": cell.variant.id,
        "isDefault": cell.variant.is_default,
        "isCandidate": cell.variant.is_candidate,
        "implementation": result.implementation,
        "besideFlow": beside.flow and beside.flow.cell.variant.id,
        "expected": result.expected_rows,
        "rows": len(run.rows),
        "failed": len(run.failed),
        "error": run.error,
        "partial": result.partial,
        "executions": len(result.executions),
        "llm": result.llm,
        "calls": run.llm_calls,
        "misses": run.misses,
        "seconds": run.duration,
        "oldest": iso_time(run.oldest),
        "metrics": {name: evaluation.result.metrics for name, evaluation in result.evaluations.items()},
        "broken": {
            name: error
            for name, evaluation in result.evaluations.items()
            if (error := evaluation.result.error or evaluation.result.aggregation_error)
        },
        "latency": _spread([row.duration for row in run.rows]),
        "tokens": _spread([row.tokens.total for row in run.rows if row.tokens.total]),
        "cost": _costs(result),
    }


def _costs(result: CellResult) -> dict[str, float] | None:
    """Describe what rows cost; None where prices, or what they are to be multiplied with, are not known."""
    if not result.prices:
        return None
    try:
        return _spread([row_cost(row, result.prices) for row in result.run.rows])
    except NotCounted:
        return None


def _spread(given: Iterable[float]) -> dict[str, float] | None:
    """Describe a distribution by its quantiles; None for no values."""
    values = [value for value in given if math.isfinite(value)]
    if not values:
        return None
    parts = quantiles(values, n=_PARTS, method="inclusive") if len(values) > 1 else values * (_PARTS - 1)
    low, first, median, third, high = (parts[place] for place in (0, 4, 9, 14, 18))
    return {
        "n": len(values),
        "min": min(values),
        "p5": low,
        "q1": first,
        "median": median,
        "q3": third,
        "p95": high,
        "max": max(values),
        "mean": fmean(values),
        "sum": math.fsum(values),
    }


def _gate(gate: GateResult, result: CellResult | None) -> dict[str, Any]:
    evaluator, metric, column = _parts(gate, result)
    return {
        **to_json(gate),
        "item": gate.item,
        "evaluator": evaluator,
        "metric": metric,
        "by": column,
        "headline": headline(gate),
        "text": value_text(gate),
        "closes": gate.closes_gate(),
        "recorded": iso_time(gate.recorded),
        "bound": gate.comparison and gate.comparison.bound,
    }


def _parts(gate: GateResult, result: CellResult | None) -> tuple[str, str, str]:
    """Split the name of a gate into evaluator, metric and column of slices. Each may hold what stands between them."""
    if result is None:
        evaluator, _, metric = gate.name.partition(".")
        return evaluator, metric, ""
    evaluator = max(_evaluators(gate.name, result), key=len, default=gate.name.partition(".")[0])
    metric = gate.name[len(evaluator) + 1 :]
    logged = result.evaluations[evaluator].result.metrics if evaluator in result.evaluations else {}
    columns: Sequence[str] = () if metric in logged else tuple(result.columns)
    column = max((name for name in columns if metric.endswith(f"@{name}")), key=len, default="")
    return evaluator, metric.removesuffix(f"@{column}"), column


def _evaluators(name: str, result: CellResult) -> Iterator[str]:
    """Yield the evaluators, the run among them, that the name of a gate may begin with."""
    return (known for known in (*result.evaluations, RUN) if name == known or name.startswith(f"{known}."))
