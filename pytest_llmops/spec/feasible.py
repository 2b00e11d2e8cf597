"""What so many rows can show at best: numbers for checks of thresholds, before anything has run."""

from __future__ import annotations

from pytest_llmops.rules import Rule
from pytest_llmops.samplesize import rows_for_confidence
from pytest_llmops.spec.metrics import RUN_SHARES

_ROUNDING = 1e-9


def satisfiable(rule: Rule, metric: str, rows: int) -> bool:
    """Tell whether a run of so many rows can have a value of a ``run`` metric that the rule accepts."""
    if metric in RUN_SHARES:
        return any(rule.accepts(counted / rows) for counted in range(rows + 1))
    if metric == "rows":
        return any(rule.accepts(done) for done in range(rows + 1))
    return rule.high > 0 or rule.accepts(0)


def too_fine(rule: Rule, rows: int) -> bool:
    """Tell whether, as a share of rows, the bound is nearer to 0 or 1 than one row is: no row may then miss."""
    step = 1 / rows - _ROUNDING  # 1 - 0.8 is a little less than 1 / 5
    return 0 < 1 - rule.low < step or 0 < rule.high < step


def rows_to_show(rule: Rule, confidence: float) -> int:
    """Return how many rows, all of which pass, are needed to show a share of rows; 0 where the bounds are no shares."""
    bounds = ((rule.low, rule.low_open), (1 - rule.high, rule.high_open))
    return max(
        rows_for_confidence(bound, confidence, strict=strict) if 0 < bound < 1 else 0 for bound, strict in bounds
    )
