"""What a gate can notice with so many rows, and how often it is wrong: for planning, before anything is run.

All of it is for 0/1 scores, whose mean is a share: how much other scores vary is not known before a run. Where lower is
better, ask for the share that is left: with the value 1 - value and the bound 1 - bound.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from pytest_llmops.stats.intervals import clopper_pearson
from pytest_llmops.stats.pairs import ALPHA, MIN_ROWS, mcnemar, score_statistic

POWER = 0.8
DISCORDANT = 0.1
"""Share of rows that flip from run to run, where no run has shown it yet."""
_BISECTIONS = 20
_TAIL = 1e-9
"""Chance of a number of flips from which on it is left out of sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often a gate gives each verdict; they add up to 1."""

    passed: float
    failed: float
    inconclusive: float


def rows_for_margin(
    margin: float, *, discordant: float = DISCORDANT, power: float = POWER, alpha: float = ALPHA
) -> int:
    """Return the rows with which a flow that is as good as its baseline is shown to keep the margin.

    ``discordant`` is the share of rows that flip; for scores other than 0/1, the mean square of their differences. By
    the normal approximation.
    """
    _check_margin(margin)
    quantiles = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return math.ceil(quantiles**2 * discordant / margin**2 - 1e-9)


def chance_of_failing(n: int, true_value: float, bound: float, *, confidence: float | None = None) -> float:
    """Return how often ``>= bound`` fails a flow of which this share of rows truly passes.

    With ``confidence`` the one-sided Clopper-Pearson bound is compared, else the value itself.
    """
    from scipy.special import bdtr

    if not 0 <= true_value <= 1:
        raise ValueError(f"{true_value} is not a share")
    needed = passes_needed(n, bound, confidence=confidence)
    if needed is None:
        return 1.0
    return float(bdtr(needed - 1, n, true_value)) if needed else 0.0


def value_failing(n: int, bound: float, chance: float, *, confidence: float | None = None) -> float | None:
    """Return the true value of a flow that ``>= bound`` fails with this chance.

    With the chance 0.8 it is the best flow that is noticed reliably, with 0.05 the worst one that hardly ever flakes.
    None where the rule fails always or never.
    """
    from scipy.special import bdtri

    _check_share("chance", chance)
    needed = passes_needed(n, bound, confidence=confidence)
    return float(bdtri(needed - 1, n, chance)) if needed else None


def smallest_drop_absolute(
    n: int, value: float, bound: float, *, confidence: float | None = None, power: float = POWER
) -> float | None:
    """Return the smallest drop from a true ``value`` that ``>= bound`` fails with this power.

    0 where no drop is needed for that; None where the rule fails always or never.
    """
    caught = value_failing(n, bound, power, confidence=confidence)
    return None if caught is None else max(0.0, value - caught)


def passes_needed(n: int, bound: float, *, confidence: float | None = None) -> int | None:
    """Return the fewest rows that must pass of ``n`` for ``>= bound``; None where all of them are too few."""
    if n < 1:
        raise ValueError(f"{n} rows are none")
    if confidence is None:
        needed = bisect_left(range(n + 1), True, key=lambda passed: passed / n >= bound)
    else:
        level = round(2 * confidence - 1, 12)
        needed = bisect_left(range(n + 1), True, key=lambda passed: clopper_pearson(passed, n, level).low >= bound)
    return needed if needed <= n else None


def margin_chances(n: int, margin: float, *, discordant: float = DISCORDANT, drop: float = 0.0) -> Chances:
    """Return how often a margin gate gives each verdict, for a flow that is truly worse by ``drop``.

    ``discordant`` is the share of rows that flip without a drop, half of them either way. Exact, by adding up all
    numbers of flipped rows. A family of several comparisons fails less often, by Holm's correction.

    Raises:
        ValueError: where the shares are not possible together.
    """
    from scipy.special import bdtr

    if not (0 <= discordant <= 1 and drop >= 0 and discordant + drop <= 1):
        raise ValueError(f"{discordant} of rows flipping and a drop of {drop} are not possible together")
    if not discordant + drop:
        unchanged = _keeps_margin(0, 0, n, margin)
        return Chances(passed=float(unchanged), failed=0.0, inconclusive=float(not unchanged))
    share_worse = (discordant / 2 + drop) / (discordant + drop)
    passed = failed = 0.0
    for flips, chance in _flip_counts(n, discordant + drop):
        most = bisect_left(range(flips + 1), True, key=lambda worse: not _keeps_margin(worse, flips - worse, n, margin))
        least = bisect_left(range(flips + 1), True, key=lambda worse: _is_significant(worse, flips - worse, n))
        passed += chance * (float(bdtr(most - 1, flips, share_worse)) if most else 0.0)
        beyond = max(most, least)
        failed += chance * (1 - float(bdtr(beyond - 1, flips, share_worse)) if beyond else 1.0)
    return Chances(passed=passed, failed=failed, inconclusive=max(0.0, 1 - passed - failed))


def smallest_drop_paired(
    n: int, margin: float, *, discordant: float = DISCORDANT, power: float = POWER
) -> float | None:
    """Return the smallest true drop that a margin gate fails with this power; None where it notices none."""
    low, high = 0.0, 1 - discordant
    if margin_chances(n, margin, discordant=discordant, drop=high).failed < power:
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if margin_chances(n, margin, discordant=discordant, drop=middle).failed < power:
            low = middle
        else:
            high = middle
    return high


def _flip_counts(n: int, share: float) -> Iterator[tuple[int, float]]:
    """Yield how many of the rows may flip, each with its chance."""
    import numpy as np
    from scipy.special import bdtr

    below = bdtr(np.arange(n + 1), n, share)
    chances = np.diff(below, prepend=0.0)
    yield from ((int(flips), float(chances[flips])) for flips in np.flatnonzero(chances > _TAIL))


def _keeps_margin(worse: int, better: int, n: int, margin: float) -> bool:
    """Tell whether the gate says PASS, as ``noninferiority`` does."""
    return n >= MIN_ROWS and score_statistic(worse, better, n, -margin) > NormalDist().inv_cdf(1 - ALPHA)


def _is_significant(worse: int, better: int, n: int) -> bool:
    return n >= MIN_ROWS and mcnemar(worse, better) < ALPHA


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}, not between 0 and 1")


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"no number of rows shows a margin of {margin:g}")
