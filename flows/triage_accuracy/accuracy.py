from statistics import fmean
from typing import TypedDict


class Score(TypedDict):
    """Of one ticket: 1 where it went to the right queue, else 0."""

    correct: int


class Accuracy:
    """Share of tickets that went to the right queue."""

    def __init__(self) -> None:
        pass

    def __call__(self, predicted: str, expected: str) -> Score:
        return Score(correct=int(predicted == expected))

    def __aggregate__(self, results: list) -> dict:
        return {"accuracy": fmean(result["correct"] for result in results)}
