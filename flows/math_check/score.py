import math
from typing import TypedDict

from arithmetic import NotArithmetic, compute
from promptflow.core import tool


class Score(TypedDict):
    """Of one row: ``correct`` and ``invalid`` are 0 or 1, ``value`` is None where nothing could be computed."""

    correct: int
    invalid: int
    value: float | None


@tool
def score(expression: str, answer: float) -> Score:
    """Compute the expression and compare it with the gold answer."""
    try:
        value = compute(expression)
    except NotArithmetic:
        return Score(correct=0, invalid=1, value=None)
    return Score(correct=int(math.isclose(value, answer, abs_tol=1e-6)), invalid=0, value=value)
