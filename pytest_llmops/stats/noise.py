"""How far a metric moves when nothing changes: the same version, executed several times, compared with itself.

Scores come as a matrix, a line for each row and in it the row's score in each repeat. What repeats can tell is the
noise within rows. How well the rows stand for those of next month they can't: see ``sampling_error``.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

CONFIDENCE = 0.95
FLIP_LIMIT = 0.2
"""Share of repeats in which a row may differ from its majority before it is proposed for quarantine."""
MOST_QUARANTINED = 0.2
"""Share of rows that may be proposed for quarantine: where more of them flip, comparing without them hides the flow."""
WORTHWHILE_REPEATS = 20
"""Number of repeats up to which a proposal is one that can be paid for."""

_FEWEST_FLIPS = 2
_FEWEST_REPEATS = 5

_Z = statistics.NormalDist().inv_cdf(CONFIDENCE)
_DIGITS = 2

Scores = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A metric's values over repeats. ``sd`` is the sample standard deviation.

    ``largest`` is the largest difference between two repeats, ``usual`` the smallest difference that at least 95 % of
    the ``pairs`` of repeats do not exceed.
    """

    mean: float
    sd: float
    low: float
    high: float
    largest: float
    usual: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What to write into the experiment file for one metric.

    ``margin`` is in the metric's units. ``repeat`` is the number of repeats with which an unchanged version passes a
    comparison with that margin in 95 of 100 cases; ``passes_once`` is how probable that is without repeats.
    """

    margin: float
    repeat: int
    passes_once: float


def spread(values: Sequence[float]) -> Spread:
    """Describe the values of a metric over two or more repeats.

    Raises:
        ValueError: where there are fewer: one value says nothing about noise.
    """
    if len(values) < 2:
        raise ValueError(f"noise needs at least 2 repeats, and there is {len(values)}")
    differences = sorted(abs(one - other) for one, other in combinations(values, 2))
    return Spread(
        mean=math.fsum(values) / len(values),
        sd=statistics.stdev(values),
        low=min(values),
        high=max(values),
        largest=differences[-1],
        usual=differences[math.ceil(CONFIDENCE * len(differences)) - 1],
        pairs=len(differences),
    )


def rerun_error(scores: Scores) -> float:
    """Estimate the standard error that one execution has because each row's score varies.

    It is the root of the sum of the rows' variances over repeats, by the number of rows: rows vary independently.
    """
    return math.sqrt(math.fsum(statistics.variance(row) for row in scores)) / len(scores)


def sampling_error(scores: Scores) -> float:
    """Estimate the standard error that comes with the choice of rows, which repeats do not lower.

    The variance of the rows' means, less what repeats add to it, by the number of rows. 0 for a single row, of which
    nothing can be told.
    """
    if len(scores) < 2:
        return 0.0
    between = statistics.variance([math.fsum(row) / len(row) for row in scores])
    within = math.fsum(statistics.variance(row) for row in scores) / len(scores) / len(scores[0])
    return math.sqrt(max(between - within, 0.0) / len(scores))


def flip_rate(passed: Sequence[bool]) -> float:
    """Return the share of a row's repeats whose result is not that of the majority: 0 to 0.5."""
    return 1 - max(Counter(passed).values()) / len(passed)


def flips_often(rate: float, repeats: int) -> bool:
    """Tell whether a row's flip rate is seen to be too high: one flip, or few repeats, may be bad luck."""
    flips = round(rate * repeats)
    return rate > FLIP_LIMIT and flips >= _FEWEST_FLIPS and repeats >= _FEWEST_REPEATS


def propose(found: Spread, error: float, rows: int | None) -> Proposal:
    """Propose a margin and a number of repeats. ``error`` is the standard error of one execution.

    The margin is the difference that 95 % of the pairs of repeats do not exceed, and at least what one of the ``rows``
    weighs, if their number is known. With k repeats on both sides, the difference of two executions of one version has
    the standard error ``error * sqrt(2 / k)``. Non-inferiority is shown where its lower 95 % bound is above the
    negative margin: an unchanged version passes with the probability ``Phi(margin / se - 1.645)``, which is 95 % where
    the margin is 3.29 standard errors.
    """
    margin = _rounded_up(max(found.usual, 1 / rows if rows else 0.0))
    se = error * math.sqrt(2)
    if se == 0:
        return Proposal(margin=margin, repeat=1, passes_once=1.0)
    repeat = math.ceil(round((2 * _Z * se / margin) ** 2, 9)) if margin else 1
    return Proposal(margin=margin, repeat=max(1, repeat), passes_once=statistics.NormalDist().cdf(margin / se - _Z))


def most_that_fits(repeats: int) -> float:
    """Return how often a row may flip at most, with 95 % confidence, that did not in so many repeats."""
    return float(1 - (1 - CONFIDENCE) ** (1 / repeats))


def _rounded_up(value: float) -> float:
    """Round up to two significant digits."""
    if value == 0:
        return 0.0
    decimals = _DIGITS - 1 - math.floor(math.log10(value))
    scaled = value * 10.0**decimals
    return round(math.ceil(round(scaled, 6)) / 10.0**decimals, max(decimals, 0))
