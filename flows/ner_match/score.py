from typing import TypedDict

from promptflow.core import tool


class Scores(TypedDict):
    """Of one sentence, each from 0 to 1."""

    exact_match: float
    precision: float
    recall: float
    f1: float


@tool
def score(found: list, expected: list) -> Scores:
    """Compare the titles found with the gold ones, whatever their order and case."""
    left, right = ({title.casefold() for title in titles} for titles in (found, expected))
    hits = len(left & right)
    # With nothing to find, finding nothing is right, and anything found is wrong.
    precision = hits / len(left) if left else float(not right)
    recall = hits / len(right) if right else float(not left)
    f1 = 2 * precision * recall / (precision + recall) if hits or left == right else 0.0
    return Scores(exact_match=float(left == right), precision=precision, recall=recall, f1=f1)
