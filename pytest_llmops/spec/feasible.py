"""What so many rows can show at best: numbers for checks of thresholds, before anything has run."""

from __future__ import annotations

import math

from pytest_llmops.rules import Rule

_Z = 1.6448536269514722  # 95 % of a normal distribution lie below
_ROUNDING = 1e-9


def satisfiable(rule: Rule, metric: str, rows: int) -> bool:
    """Tell whether a run of so many rows can have a value of a ``run`` metric that the rule accepts."""
    if metric == "error_rate":
        return any(rule.accepts(failed / rows) for failed in range(rows + 1))
    if metric == "rows":
        return any(rule.accepts(done) for done in range(rows + 1))
    return rule.high > 0 or rule.accepts(0)


def too_fine(rule: Rule, rows: int) -> bool:
    """Tell whether, as a share of rows, the bound is nearer to 0 or 1 than one row is: no row may then miss."""
    step = 1 / rows - _ROUNDING  # 1 - 0.8 is a little less than 1 / 5
    return 0 < 1 - rule.low < step or 0 < rule.high < step


def rows_for_confidence(rule: Rule, confidence: float) -> int:
    """Return how many rows, all of which pass, are needed to show a share of rows; 0 where the bounds are no shares.

    With n of n rows, Clopper and Pearson's one-sided lower bound is (1 - confidence) ** (1 / n); the upper bound of no
    row in n mirrors it.
    """
    low = _all_passing(rule.low, confidence, strictly=rule.low_open)
    return max(low, _all_passing(1 - rule.high, confidence, strictly=rule.high_open))


def _all_passing(bound: float, confidence: float, *, strictly: bool) -> int:
    if not 0 < bound < 1:
        return 0
    rows = math.log(1 - confidence) / math.log(bound)
    return math.floor(rows + _ROUNDING) + 1 if strictly else math.ceil(rows - _ROUNDING)


def rows_for_margin(margin: float) -> int:
    """Return how many rows whose scores, 0 or 1, did not change are needed to rule out a loss of a share of them.

    Without discordant pairs, the one-sided 95 % bound of Tango's score interval for a paired difference is above
    -margin where n > z**2 * (1 - margin) / margin.
    """
    return math.floor(_Z**2 * (1 - margin) / margin) + 1
