"""Which rows a metric comes from: the per-row scores behind it, and the rows that pulled it down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.run import Row
from pytest_llmops.rules import Rule

_SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 72
_TOLERANCE = 1e-6


def row_score(rows: Sequence[Row], metric: str, value: float) -> str | None:
    """Find the output of an evaluation flow whose mean over the rows is the metric.

    An output of the metric's own name comes first. Returns None where no output reproduces the value: then no row can
    honestly be named as the cause.
    """
    names = sorted(_numeric_outputs(rows), key=lambda name: (name != metric, name))
    return next((name for name in names if math.isclose(_mean(rows, name), value, abs_tol=_TOLERANCE)), None)


def worst_rows(result: CellResult, evaluation: Evaluation, metric: str, value: float, rule: Rule) -> tuple[str, ...]:
    """Describe the rows that pulled a metric out of its range, the worst first: score, output, gold, inputs."""
    rows = evaluation.result.completed
    score = row_score(rows, metric, value)
    if score is None:
        return (f"no output of '{evaluation.evaluator}' has {metric} as its mean: the rows behind it are not known",)
    too_low = value < rule.low or math.isinf(rule.high)
    bound = max if too_low else min
    best = bound(_number(row, score) for row in rows)
    worst = sorted(rows, key=lambda row: (_number(row, score) if too_low else -_number(row, score), row.line_number))
    worst = [row for row in worst if _number(row, score) != best]
    inputs = {row.line_number: row.inputs for row in result.run.rows}
    lines = [_describe(row, score, inputs.get(row.line_number, {})) for row in worst[:_SHOWN_ROWS]]
    if len(worst) > _SHOWN_ROWS:
        rest = ", ".join(str(row.line_number) for row in worst[_SHOWN_ROWS:])
        lines.append(f"and {len(worst) - _SHOWN_ROWS} more rows: {rest}")
    return tuple(lines)


def _describe(row: Row, score: str, run_inputs: Mapping[str, Any]) -> str:
    evaluated = {name: item for name, item in row.inputs.items() if name != "line_number"}
    source = {name: item for name, item in run_inputs.items() if name != "line_number" and name not in evaluated}
    parts = [f"{name}={_short(item)}" for name, item in {**evaluated, **source}.items()]
    return f"row {row.line_number}: {score} {_number(row, score):g}  " + "  ".join(parts)


def _numeric_outputs(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    return [name for name in rows[0].output or {} if all(_is_number((row.output or {}).get(name)) for row in rows)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _number(row: Row, name: str) -> float:
    return float((row.output or {})[name])


def _mean(rows: Sequence[Row], name: str) -> float:
    return math.fsum(_number(row, name) for row in rows) / len(rows)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
