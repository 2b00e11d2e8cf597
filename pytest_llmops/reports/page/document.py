"""What the page shows: a report as JSON values, an overview and the rows of each experiment.

Text is made visible here, so the page's scripts show it as it is. ``app/data.js`` is the other side of these shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, quantiles
from typing import Any

from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, Evaluation, GateResult, Repeat
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Row
from pytest_llmops.reports.ages import iso_time, reuse_of, reuse_text
from pytest_llmops.reports.text import visible
from pytest_llmops.reports.verdicts import decision_line, experiments, headline, value_text
from pytest_llmops.stats.joining import join
from pytest_llmops.stats.run_metrics import NotCounted, row_cost

LONGEST = 20_000
"""Characters of one text that the page holds. The whole of it is in results.json."""

_PARTS = 20
BASELINE = "baseline"


def overview(report: Report, baselines: Mapping[str, Report]) -> dict[str, Any]:
    """Turn all of a report but its rows into JSON values. ``baselines`` are reports by path of their experiment."""
    reuse = reuse_of(report)
    return _shown(
        {
            "created": report.created,
            "decision": report.decision,
            "line": decision_line(report),
            "settings": report.settings,
            "versions": report.versions,
            "reuse": reuse and {"text": reuse_text(report), "oldest": iso_time(reuse.oldest)},
            "experiments": [
                {
                    "path": path,
                    "name": name,
                    "baseline": _source(report.baselines.get(path), baselines.get(path)),
                    "cells": [_cell(result) for result in report.cells if result.cell.experiment == path],
                    "gates": [_gate(gate, report) for gate in report.gates if gate.experiment == path],
                }
                for path, name in experiments(report).items()
            ],
        }
    )


def rows(report: Report, path: str, baseline: Report | None) -> dict[str, Any]:
    """Turn the rows of one experiment into JSON values: what each dataset asks once, and what each run answered."""
    cells = [result for result in report.cells if result.cell.experiment == path]
    known = {result.cell.id: result for result in baseline.cells} if baseline else {}
    runs = [_run(result, result.cell.variant.id, result.executions) for result in cells]
    runs += [_baseline_run(result, known[result.cell.id]) for result in cells if result.cell.id in known]
    return _shown({"datasets": _datasets(cells), "runs": runs})


def _source(path: str | None, baseline: Report | None) -> dict[str, Any] | None:
    if path is None:
        return None
    versions = baseline.versions if baseline else {}
    return {"path": path, "created": baseline and baseline.created, "commit": versions.get("commit")}


def _cell(result: CellResult) -> dict[str, Any]:
    run, cell = result.run, result.cell
    return {
        "id": cell.id,
        "flow": cell.flow,
        "dataset": cell.dataset,
        "variant": cell.variant.id,
        "isDefault": cell.variant.is_default,
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
    """Sum up what rows cost; None where prices, or what they are to be multiplied with, are not known."""
    if not result.prices:
        return None
    try:
        return _spread([row_cost(row, result.prices) for row in result.run.rows])
    except NotCounted:
        return None


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Describe a distribution by its quantiles; None for no values."""
    if not values:
        return None
    parts = quantiles(values, n=_PARTS, method="inclusive") if len(values) > 1 else [values[0]] * (_PARTS - 1)
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
        "sum": sum(values),
    }


def _gate(gate: GateResult, report: Report) -> dict[str, Any]:
    evaluator, _, metric = gate.name.partition(".")
    return {
        **to_json(gate),
        "evaluator": evaluator,
        "metric": metric,
        "headline": headline(gate),
        "text": value_text(gate),
        "closes": gate.closes_gate(),
        "recorded": iso_time(gate.recorded),
        "bound": gate.comparison and gate.comparison.bound,
    }


def _datasets(cells: Iterable[CellResult]) -> dict[str, Any]:
    """Say once what all runs on a dataset were asked: name, inputs and columns of each row."""
    found: dict[str, dict[int, Any]] = {}
    columns: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for result in cells:
        known = found.setdefault(result.cell.dataset, {})
        columns.setdefault(result.cell.dataset, result.columns)
        names = result.columns.get(result.key or "", ())
        for row in result.run.rows:
            number = row.line_number
            if number not in known:
                known[number] = {
                    "line": number,
                    "name": names[number] if 0 <= number < len(names) else "",
                    "inputs": {name: value for name, value in row.inputs.items() if name != "line_number"},
                }
    return {
        dataset: {"rows": [known[number] for number in sorted(known)], "columns": columns[dataset]}
        for dataset, known in found.items()
    }


def _run(
    result: CellResult, variant: str, executions: Sequence[Repeat], lines: Mapping[int, int] | None = None
) -> dict[str, Any]:
    """Write what a cell answered. ``lines`` maps its line numbers to those of another result, and leaves others out."""
    evaluators = list(result.evaluations)
    return {
        "cell": result.cell.id,
        "dataset": result.cell.dataset,
        "variant": variant,
        "evaluators": evaluators,
        "executions": [_execution(execution, evaluators, lines) for execution in executions],
    }


def _baseline_run(result: CellResult, baseline: CellResult) -> dict[str, Any]:
    lines = {there: here for here, there in join(result, baseline, RUN).pairs}
    return _run(baseline, BASELINE, baseline.executions, lines)


def _execution(execution: Repeat, evaluators: Iterable[str], lines: Mapping[int, int] | None) -> list[Any]:
    scored = [_scores(execution.evaluations.get(name)) for name in evaluators]
    return [
        [
            row.line_number if lines is None else lines[row.line_number],
            row.output,
            row.error,
            round(row.duration, 4),
            row.tokens.total,
            iso_time(row.recorded),
            [found.get(row.line_number) for found in scored],
        ]
        for row in sorted(execution.run.rows, key=lambda row: row.line_number)
        if lines is None or row.line_number in lines
    ]


def _scores(evaluation: Evaluation | None) -> dict[int, list[Any]]:
    """Write what an evaluator made of each row: its gold, its output, its error."""
    if evaluation is None:
        return {}
    known = {"line_number", *evaluation.of_run}
    return {row.line_number: _score(row, known) for row in evaluation.result.rows}


def _score(row: Row, known: set[str]) -> list[Any]:
    gold = {name: value for name, value in row.inputs.items() if name not in known}
    return [gold, row.output, row.error]


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    """Turn values into JSON ones, with all text in them visible and of bounded length."""
    shown: dict[str, Any] = _visible(to_json(values))
    return shown


def _visible(value: Any) -> Any:
    if type(value) is str:
        return _text(value)
    if type(value) is list:
        return [_visible(item) for item in value]
    if type(value) is dict:
        return {_text(key): _visible(item) for key, item in value.items()}
    return value


def _text(text: str) -> str:
    if len(text) <= LONGEST:
        return visible(text)
    return f"{visible(text[:LONGEST])}… ({len(text):,} characters; all of them are in results.json)"
