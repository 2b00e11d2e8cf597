"""Two results for the same rows: tests of whether the second is worse, and the interval of their difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_llmops.records.estimates import Interval
from pytest_llmops.stats.intervals import check_scores, normal_quantile

ALPHA = 0.05
MIN_ROWS = 10
"""With fewer rows, or clusters of them, nothing is claimed from statistics."""
_EXACT_DIFFERENCES = 16
"""With more rows that differ, their signs are sampled: 2 to the power of 16 sums take some milliseconds."""
_RESAMPLES = 9_999
_SEED = 20_250_401
_BATCH_CELLS = 1_000_000
_BISECTIONS = 60


def mcnemar(worse: int, better: int) -> float:
    """Test 0/1 scores: how probable at least so many of the flipped rows got worse, if either way is as likely.

    The one-sided exact form (conditional binomial). 5 rows that got worse and none better are the fewest below 0.05.
    """
    from scipy.special import bdtr

    _check_flips(worse, better, worse + better)
    return float(bdtr(better, worse + better, 0.5)) if worse + better else 1.0


def sign_flip(differences: Sequence[float]) -> float:
    """Test any scores: how probable so low a mean of differences is, if each could as well have the other sign.

    All combinations of signs are tried where at most 16 differences are not 0; else 9,999 of them, drawn always from
    the same seed, and the one that was observed is counted in, as (b + 1) / (m + 1) (Phipson and Smyth 2010).
    """
    import numpy as np

    check_scores(differences)
    sizes = np.abs([value for value in differences if value])
    if not sizes.size:
        return 1.0
    total, noise = math.fsum(differences), 1e-9 * float(sizes.sum())
    if sizes.size <= _EXACT_DIFFERENCES:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums - size, sums + size])
        return float(np.mean(sums <= total + noise))
    rng = np.random.default_rng(_SEED)
    batch = max(1, _BATCH_CELLS // sizes.size)
    as_low = 0
    for begin in range(0, _RESAMPLES, batch):
        positive = rng.integers(0, 2, size=(min(batch, _RESAMPLES - begin), sizes.size), dtype=np.int8)
        as_low += int(np.count_nonzero(2 * (positive @ sizes) - sizes.sum() <= total + noise))
    return (as_low + 1) / (_RESAMPLES + 1)


def tango(worse: int, better: int, n: int, level: float = 0.95) -> Interval:
    """Find the score interval of the difference (better - worse) / n of two proportions of the same rows (Tango 1998).

    Gates use it, and not Newcombe's method 10 (1998): where nothing but a drop flips rows, its bound is wrong less
    often. Both are approximate: ``tests/stats/test_stats_coverage.py`` has the risk for 10 to 200 rows.
    """
    _check_flips(worse, better, n)
    if not n:
        raise ValueError("there are no rows")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, not between 0 and 1")
    z = normal_quantile(level)
    low = -_furthest(better, worse, n, z)
    return Interval(low=low, high=_furthest(worse, better, n, z), level=level, method="Tango")


def score_statistic(worse: int, better: int, n: int, difference: float) -> float:
    """Return how many standard errors the observed difference lies above a hypothetical one, between -1 and 1.

    The error is the one under the hypothesis, with the share of flipped rows that is then the likeliest. The lower
    bound of ``tango`` is above a value where this is above the normal quantile.
    """
    observed = better - worse
    linear = (2 * n - observed) * difference - better - worse
    constant = -worse * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    error = math.sqrt(max(0.0, n * (2 * share + difference * (1 - difference))))
    gap = observed - n * difference
    return gap / error if error else math.copysign(math.inf, gap) if gap else 0.0


def _furthest(worse: int, better: int, n: int, z: float) -> float:
    """Return the highest difference that lies within ``z`` standard errors of the observed one."""
    low, high = (better - worse) / n, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if score_statistic(worse, better, n, middle) >= -z:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _check_flips(worse: int, better: int, n: int) -> None:
    if min(worse, better) < 0 or worse + better > n:
        raise ValueError(f"{worse} rows worse and {better} better are not part of {n} rows")
