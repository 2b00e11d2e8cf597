from statistics import fmean
from typing import TypedDict

LABELS = ("positive", "negative")


class Score(TypedDict):
    """Of one comment, 0 or 1 each. An answer that is no label at all is ``unusable``, and not correct."""

    correct: int
    unusable: int


class SentimentCheck:
    """Compares the labels that a model wrote with the gold labels."""

    def __init__(self) -> None:
        """Take no settings; prompt flow wants every class flow to have a constructor."""

    def __call__(self, *, answer: str, label: str) -> Score:
        """Score the answer for one comment."""
        given = answer.strip().rstrip(".").lower()
        return Score(correct=int(given == label), unusable=int(given not in LABELS))

    def __aggregate__(self, results: list[Score]) -> dict[str, float]:
        """Log the share of right labels, and of answers that are no label."""
        return {
            "accuracy": fmean(result["correct"] for result in results),
            "unusable_rate": fmean(result["unusable"] for result in results),
        }
