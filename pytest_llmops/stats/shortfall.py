"""Whether scores show that the mean behind them lies outside a rule, or could have come from inside it by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from pytest_llmops.rules import Rule

_FEWEST = 10


def shortfall_test(scores: Sequence[float], rule: Rule) -> float | None:
    """Return the one-sided p-value of scores at least this far outside, if the true mean were on the rule's bound.

    An exact binomial test for scores of 0 and 1, else Student's t, of at least ten scores; None where the scores are
    inside, or say too little of their spread. Both are textbook tests, with scipy's distribution functions.
    """
    if not scores:
        return None
    mean = fmean(scores)
    if rule.accepts(mean):
        return None
    below = mean < rule.low or (rule.low_open and mean == rule.low)
    bound = rule.low if below else rule.high
    if set(scores) <= {0.0, 1.0}:
        return _binomial(round(sum(scores)), len(scores), bound, below=below)
    return _t(scores, mean, bound)


def _binomial(passed: int, n: int, bound: float, *, below: bool) -> float:
    if not 0 < bound < 1:
        return 0.0  # no share of rows can be on such a bound
    from scipy.special import bdtr, bdtrc

    return float(bdtr(passed, n, bound)) if below else float(bdtrc(passed - 1, n, bound)) if passed else 1.0


def _t(scores: Sequence[float], mean: float, bound: float) -> float | None:
    n = len(scores)
    if n < _FEWEST:
        return None
    variance = math.fsum((score - mean) ** 2 for score in scores) / (n - 1)
    if variance == 0:
        return 0.0  # every one of so many is outside
    from scipy.special import stdtr

    return float(stdtr(n - 1, -abs(mean - bound) / math.sqrt(variance / n)))
