"""Confidence intervals of a mean of row scores.

A method stands here if its coverage was simulated for few rows (``tests/stats/test_stats_coverage.py``). The normal
approximation does not: with fewer than some hundred rows its intervals are far too narrow (Bowyer et al. 2025, arXiv
2503.01747).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, variance

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.experiment import IntervalMethod

LEVEL = 0.95
_RESAMPLES = 9_999
_SEED = 20_250_401
_BATCH_CELLS = 1_000_000
"""Numbers that one batch of bootstrap samples may hold: bounds the memory that many rows need."""


def interval_of(
    scores: Sequence[float],
    *,
    clusters: Sequence[str] | None = None,
    method: IntervalMethod = "t",
    level: float = LEVEL,
) -> Interval | None:
    """Find the two-sided interval of the mean: Wilson's for scores that are all 0 or 1, else by ``method``.

    ``clusters`` names the group of each row, where rows of a group are alike: its intervals replace those of
    ``method``. Returns None where no honest interval exists: under 2 rows or clusters, or equal scores other than 0/1.
    """
    return _interval(scores, clusters, method, level, of_share=_wilson, name="Wilson")


def confidence_interval(
    scores: Sequence[float],
    *,
    clusters: Sequence[str] | None = None,
    method: IntervalMethod = "t",
    confidence: float,
) -> Interval | None:
    """Find the interval whose ends are each a one-sided bound at ``confidence``, such as 0.95.

    As ``interval_of``, but by Clopper and Pearson for 0/1 scores: a gate on the bound wants a risk that is kept for
    every true value, not only on average.
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, not between 0.5 and 1")
    level = round(2 * confidence - 1, 12)
    return _interval(scores, clusters, method, level, of_share=_clopper_pearson, name="Clopper-Pearson")


def wilson(passed: int, n: int, level: float = LEVEL) -> Interval:
    """Find the score interval of a proportion (Wilson 1927).

    Its coverage is ``level`` on average over true values. Weak spot: few rows and a true value near 0 or 1 (3 rows
    with a true 0.95: 0.86 instead of 0.95).
    """
    _check_counts(passed, n, level)
    return _wilson(passed / n, n, level, "Wilson")


def clopper_pearson(passed: int, n: int, level: float = LEVEL) -> Interval:
    """Find the exact interval of a proportion (Clopper and Pearson 1934): its coverage is never below ``level``."""
    _check_counts(passed, n, level)
    return _clopper_pearson(passed / n, n, level, "Clopper-Pearson")


def t_interval(scores: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Find Student's interval of a mean; None under 2 scores or where all are equal.

    Weak spot: few and skewed scores, such as 10 of which most are 1 (coverage about 0.9 instead of 0.95).
    """
    check_scores(scores)
    _check_level(level)
    if len(scores) < 2 or _constant(scores):
        return None
    half = t_quantile(level, len(scores) - 1) * math.sqrt(variance(scores) / len(scores))
    return _around(fmean(scores), half, level, "t")


def bca_interval(scores: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Find the bias-corrected, accelerated bootstrap interval of a mean (Efron 1987), always from the same seed.

    None under 2 scores or where all are equal. No better than ``t_interval`` with 20 rows or fewer: it can't know of
    values that it has not seen.
    """
    check_scores(scores)
    _check_level(level)
    if len(scores) < 2 or _constant(scores):
        return None
    import numpy as np
    from scipy.stats import bootstrap

    result = bootstrap(
        (np.asarray(scores, dtype=float),),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, _BATCH_CELLS // len(scores)),
        vectorized=True,
        confidence_level=level,
        method="BCa",
        random_state=np.random.default_rng(_SEED),
    )
    low, high = map(float, result.confidence_interval)
    return Interval(low=low, high=high, level=level, method="BCa") if math.isfinite(low + high) else None


def cluster_interval(scores: Sequence[float], clusters: Sequence[str], level: float = LEVEL) -> Interval | None:
    """Find the interval of a mean of scores that come in clusters, such as questions on one document.

    The standard error is cluster-robust (Miller 2024, arXiv 2411.00640, section 2.2) with the usual correction for few
    clusters, G / (G - 1), and Student's quantile with G - 1 degrees of freedom. None under 2 clusters or without
    variance between them. Weak spot: under 10 clusters, or clusters of very different size.
    """
    check_scores(scores, clusters)
    _check_level(level)
    groups = len(set(clusters))
    error = _cluster_error(scores, clusters)
    if groups < 2 or error == 0:
        return None
    return _around(fmean(scores), t_quantile(level, groups - 1) * error, level, "t, clusters")


def effective_rows(scores: Sequence[float], clusters: Sequence[str], level: float = LEVEL) -> float | None:
    """Tell how many independent rows 0/1 scores in clusters are worth (Korn and Graubard 1998); None under 2 clusters.

    It is the number of rows with which a proportion would have the cluster-robust standard error, less what so few
    clusters cost in degrees of freedom, and never more than there are rows. Scores without variance between clusters
    do not tell how alike the rows of a cluster are: then as if a cluster were one row.
    """
    check_scores(scores, clusters)
    groups = len(set(clusters))
    if groups < 2:
        return None
    share, error = fmean(scores), _cluster_error(scores, clusters)
    if error == 0:
        return len(scores) ** 2 / sum(size**2 for size in _sizes(clusters))
    shrink = (normal_quantile(level) / t_quantile(level, groups - 1)) ** 2
    return min(float(len(scores)), share * (1 - share) / error**2 * shrink)


def is_binary(scores: Sequence[float]) -> bool:
    """Tell whether all scores are 0 or 1, so their mean is a proportion."""
    return all(score in {0, 1} for score in scores)


def check_scores(scores: Sequence[float], clusters: Sequence[str] | None = None) -> None:
    """Refuse scores that no interval may be computed from: none, or not finite, or with another number of clusters."""
    if not scores:
        raise ValueError("there are no scores")
    if bad := [score for score in scores if not math.isfinite(score)]:
        raise ValueError(f"a score is {bad[0]}, not a finite number")
    if clusters is not None and len(clusters) != len(scores):
        raise ValueError(f"{len(scores)} scores but {len(clusters)} names of clusters")


def normal_quantile(level: float) -> float:
    """Return how many standard errors a two-sided interval of this level reaches to each side."""
    return NormalDist().inv_cdf((1 + level) / 2)


def t_quantile(level: float, degrees: float) -> float:
    """Return the same for Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def _interval(
    scores: Sequence[float],
    clusters: Sequence[str] | None,
    method: IntervalMethod,
    level: float,
    *,
    of_share: Callable[[float, float, float, str], Interval],
    name: str,
) -> Interval | None:
    """Find the interval of a mean: ``of_share``, called ``name``, for 0/1 scores, else by ``method`` or clusters."""
    check_scores(scores, clusters)
    if len(scores) < 2:
        return None
    if not is_binary(scores):
        return _mean_interval(scores, clusters, method, level)
    if clusters is None:
        return of_share(round(sum(scores)) / len(scores), len(scores), level, name)
    rows = effective_rows(scores, clusters, level)
    return None if rows is None else of_share(fmean(scores), rows, level, f"{name}, clusters")


def _mean_interval(
    scores: Sequence[float], clusters: Sequence[str] | None, method: IntervalMethod, level: float
) -> Interval | None:
    if clusters is not None:
        return cluster_interval(scores, clusters, level)
    return bca_interval(scores, level) if method == "bca" else t_interval(scores, level)


def _wilson(share: float, n: float, level: float, method: str) -> Interval:
    _check_level(level)
    z = normal_quantile(level)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding must not move an end that is exactly 0 or 1.
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(low=low, high=high, level=level, method=method)


def _clopper_pearson(share: float, n: float, level: float, method: str) -> Interval:
    from scipy.special import betaincinv

    _check_level(level)
    passed, risk = share * n, (1 - level) / 2
    low = 0.0 if share == 0 else float(betaincinv(passed, n - passed + 1, risk))
    high = 1.0 if share == 1 else float(betaincinv(passed + 1, n - passed, 1 - risk))
    return Interval(low=low, high=high, level=level, method=method)


def _cluster_error(scores: Sequence[float], clusters: Sequence[str]) -> float:
    """Return the cluster-robust standard error of the mean; 0 under 2 clusters."""
    mean = fmean(scores)
    sums: defaultdict[str, float] = defaultdict(float)
    for score, cluster in zip(scores, clusters, strict=True):
        sums[cluster] += score - mean
    # What rounding leaves of sums that cancel is no variance.
    noise = 1e-12 * max(map(abs, scores)) * len(scores)
    squares = math.fsum(total**2 for total in sums.values() if abs(total) > noise)
    return math.sqrt(squares * len(sums) / max(1, len(sums) - 1)) / len(scores)


def _sizes(clusters: Sequence[str]) -> list[int]:
    sizes: defaultdict[str, int] = defaultdict(int)
    for cluster in clusters:
        sizes[cluster] += 1
    return list(sizes.values())


def _constant(scores: Sequence[float]) -> bool:
    return math.isclose(min(scores), max(scores), rel_tol=1e-12)


def _around(mean: float, half: float, level: float, method: str) -> Interval:
    return Interval(low=mean - half, high=mean + half, level=level, method=method)


def _check_counts(passed: int, n: int, level: float) -> None:
    _check_level(level)
    if n < 1 or not 0 <= passed <= n:
        raise ValueError(f"{passed} of {n} is not a proportion")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, not between 0 and 1")
