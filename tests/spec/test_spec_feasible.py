"""What so many rows can show at best, against scipy."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest, norm

from pytest_llmops.rules import parse_rule
from pytest_llmops.spec.feasible import rows_for_confidence, rows_for_margin


def lower_bound(passed: int, rows: int, confidence: float) -> float:
    """Clopper and Pearson's one-sided lower bound."""
    test = binomtest(passed, rows, alternative="greater")
    return float(test.proportion_ci(confidence_level=confidence, method="exact").low)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("bound", [0.3, 0.5, 0.8, 0.9, 0.99])
def test_so_many_rows_show_a_share_and_one_fewer_does_not(bound: float, confidence: float) -> None:
    rows = rows_for_confidence(parse_rule({"min": bound}), confidence)

    assert lower_bound(rows, rows, confidence) >= bound
    assert rows == 1 or lower_bound(rows - 1, rows - 1, confidence) < bound


@pytest.mark.parametrize(
    ("rule", "confidence", "rows"),
    [
        (">= 0.8", 0.95, 14),
        (">= 0.9", 0.95, 29),
        (">= 0.95", 0.95, 59),
        (">= 0.99", 0.95, 299),
        ("<= 0.05", 0.95, 59),
        (">= 0.8 and <= 0.95", 0.95, 14),
        (">= 0.1", 0.9, 1),
        ("> 0.1", 0.9, 2),
        (">= 1", 0.95, 0),
        (">= 20", 0.95, 0),
        ("<= 0", 0.95, 0),
    ],
)
def test_rows_for_a_rule(rule: str, confidence: float, rows: int) -> None:
    assert rows_for_confidence(parse_rule(rule), confidence) == rows


@pytest.mark.parametrize(("margin", "rows"), [(0.2, 11), (0.1, 25), (0.05, 52)])
def test_rows_for_a_margin(margin: float, rows: int) -> None:
    z = norm.ppf(0.95)

    assert rows_for_margin(margin) == rows == math.ceil(z**2 * (1 - margin) / margin)
