from typing import TypedDict

from promptflow.core import tool


class Score(TypedDict):
    """Of one question: whether the gold page is among the sources (0 or 1), and one over its rank (0 if not)."""

    hit: int
    reciprocal_rank: float


@tool
def score(sources: list[str], page: str) -> Score:
    """Look for the gold page among the pages that an answer rests on."""
    if page not in sources:
        return Score(hit=0, reciprocal_rank=0.0)
    return Score(hit=1, reciprocal_rank=1 / (sources.index(page) + 1))
