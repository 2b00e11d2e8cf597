"""The rows that pulled a metric out of its range, described for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.run import Row
from pytest_llmops.rules import Rule
from pytest_llmops.stats.measuring import Measurement

_SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 72


def worst_rows(result: CellResult, evaluation: Evaluation, measured: Measurement, rule: Rule) -> Iterator[str]:
    """Describe the rows that pulled a metric out of its range, the worst first: score, output, gold, inputs."""
    value, scores = measured.value or 0.0, measured.scores
    too_low = value < rule.low or (rule.low_open and value == rule.low)
    bound = max if too_low else min
    best = bound(scores.values())
    worst = [number for number, score in scores.items() if score != best]
    worst.sort(key=lambda number: (scores[number] if too_low else -scores[number], number))
    evaluated = {row.line_number: row for row in evaluation.result.rows}
    inputs = {row.line_number: row.inputs for row in result.run.rows}
    for number in worst[:_SHOWN_ROWS]:
        described = _describe(evaluated.get(number), inputs.get(number, {}))
        yield f"row {_name(result, number)}: {measured.output} {scores[number]:g}  {described}"
    if len(worst) > _SHOWN_ROWS:
        rest = ", ".join(_name(result, number) for number in worst[_SHOWN_ROWS:])
        yield f"and {len(worst) - _SHOWN_ROWS} more rows: {rest}"


def _name(result: CellResult, number: int) -> str:
    """Name a row by its number, and by its key if it has one."""
    keys = result.columns.get(result.key or "", ())
    return f"{number} ({keys[number]})" if number < len(keys) and keys[number] else str(number)


def short(value: object) -> str:
    """Write a value as JSON, cut to what fits beside others on a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def described(values: Mapping[str, Any]) -> str:
    """Write the inputs of a row on a line."""
    return "  ".join(f"{name}={short(item)}" for name, item in values.items() if name != "line_number")


def _describe(row: Row | None, run_inputs: Mapping[str, Any]) -> str:
    evaluated = dict(row.inputs) if row else {}
    return described({**evaluated, **{name: item for name, item in run_inputs.items() if name not in evaluated}})
