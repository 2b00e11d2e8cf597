"""Scores of rows: which output of an evaluation flow is a row's score of a metric, and whether the two agree.

Intervals, comparisons and slices all rest on them, so a doubtful score is never used in silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from pytest_llmops.records.experiment import Score
from pytest_llmops.records.run import Row

_TOLERANCE = 1e-6
_SHOWN = 3
_FEWEST_DECIMALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RowScores:
    """Scores of one metric by line number; where they are empty, ``why`` says why none are known.

    ``output`` is the output that holds them; it is ``guessed`` where all that speaks for it is the mean, and all scores
    are the same. ``problems`` tells of rows whose score should be a number and is none:
    then the metric itself can't be trusted, because nobody knows what its flow made of them.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    output: str = ""
    why: str = ""
    problems: tuple[str, ...] = ()
    guessed: bool = False


def row_scores(rows: Sequence[Row], metric: str, value: float, declared: Score | None = None) -> RowScores:
    """Find the scores whose mean is the metric's value, among the outputs of an evaluation's completed rows.

    Without a declaration, the output of the metric's own name comes first, and any other only if no second one, with
    different scores, fits as well. A value that was logged with fewer decimals agrees with a mean that rounds to it,
    for outputs that are known to be meant.
    """
    score = declared or _of_same_name(rows, metric)
    if score is None:
        return _found(rows, metric, value)
    if problems := _problems(rows, score):
        return RowScores(output=score.output, problems=problems)
    values = _values(rows, score.output)
    mean = fmean(values.values())
    if _agrees(mean, value):
        return RowScores(values=values, output=score.output)
    if declared is None:
        return _found(rows, metric, value)
    why = f"the mean of '{score.output}' over the rows is {mean:.4g}, which is not the metric"
    return RowScores(output=score.output, why=why)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number; true and false are 1 and 0, as Python has it."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer that is larger than any float
        return False


def _of_same_name(rows: Sequence[Row], metric: str) -> Score | None:
    """Take the output of the metric's name for its score, if it is a number in any row at all."""
    return Score(output=metric) if any(is_number(_output(row, metric)) for row in rows) else None


def _problem(row: Row, score: Score) -> str:
    value = _output(row, score.output)
    if not is_number(value):
        return f"row {row.line_number}: score '{score.output}' is {_shown(value)}, not a number"
    if (score.low is not None and value < score.low) or (score.high is not None and value > score.high):
        limits = f"{'' if score.low is None else score.low:g} to {'' if score.high is None else score.high:g}"
        return f"row {row.line_number}: score '{score.output}' is {value:g}, out of its range {limits}"
    return ""


def _found(rows: Sequence[Row], metric: str, value: float) -> RowScores:
    """Search for the output that the metric is the mean of.

    Rows that lack a number where all others have one count too: a flow that averages what it has says nothing of them.
    """
    names = sorted({name for row in rows for name in row.output or {}})
    scored = {name: [row for row in rows if is_number(_output(row, name))] for name in names}
    fitting = {
        name: _values(those, name)
        for name, those in scored.items()
        if those and abs(fmean(_values(those, name).values()) - value) <= _TOLERANCE
    }
    whole = {name: values for name, values in fitting.items() if len(values) == len(rows)}
    if not fitting:
        return RowScores(why=f"no output has {metric} as its mean over the rows")
    if not whole:
        name = next(iter(fitting))
        return RowScores(output=name, problems=_problems(rows, Score(output=name)))
    first, *others = whole
    if any(whole[other] != whole[first] for other in others):
        which = " and ".join(f"'{name}'" for name in whole)
        return RowScores(why=f"outputs {which} all have {metric} as their mean; name the one under 'scores:'")
    return RowScores(values=whole[first], output=first, guessed=len(set(whole[first].values())) == 1)


def _problems(rows: Sequence[Row], score: Score) -> tuple[str, ...]:
    problems = [text for row in rows if (text := _problem(row, score))]
    more = f" (and {len(problems) - _SHOWN} more rows)" if len(problems) > _SHOWN else ""
    return ("; ".join(problems[:_SHOWN]) + more,) if problems else ()


def _agrees(mean: float, value: float) -> bool:
    _, _, decimals = repr(value).partition(".")
    rounded = len(decimals) >= _FEWEST_DECIMALS and "e" not in decimals
    allowed = 0.5 * 10.0 ** -len(decimals) + 1e-12 if rounded else 0.0
    return abs(mean - value) <= max(_TOLERANCE, allowed)


def _values(rows: Sequence[Row], name: str) -> dict[int, float]:
    return {row.line_number: float(_output(row, name)) for row in rows}


def _output(row: Row, name: str) -> Any:
    return (row.output or {}).get(name)


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
