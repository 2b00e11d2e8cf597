"""Whether a single row passes: its score against a mark."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmops.records.experiment import Better, Threshold


def pass_mark(threshold: Threshold) -> float:
    """Return the score from which on a row passes: by default the best of scores that are 0 or 1."""
    return (1.0 if threshold.better == "higher" else 0.0) if threshold.pass_mark is None else threshold.pass_mark


def mark_problem(threshold: Threshold, scores: Iterable[float]) -> str:
    """Say why it can't be told whether these scores pass; nothing where they are 0 and 1, or a mark was given."""
    known = set(scores)
    if threshold.pass_mark is not None or known <= {0.0, 1.0}:
        return ""
    return f"scores go from {min(known):.4g} to {max(known):.4g}; say with 'pass_mark' from which one on a row passes"


def passes(score: float, mark: float, better: Better) -> bool:
    """Tell whether a row's score reaches the mark."""
    return score >= mark if better == "higher" else score <= mark
