"""What so many rows can show at best."""

from __future__ import annotations

import pytest

from pytest_llmops.rules import parse_rule
from pytest_llmops.spec.feasible import rows_to_show


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
    assert rows_to_show(parse_rule(rule), confidence) == rows
