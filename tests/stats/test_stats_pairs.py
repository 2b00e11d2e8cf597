"""Paired tests and intervals against published values and other implementations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar  # type: ignore[import-untyped]

from pytest_llmops.stats.pairs import mcnemar, score_statistic, sign_flip, tango

FLIPS = st.tuples(st.integers(0, 40), st.integers(0, 40))
TABLES = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60)).filter(any)


def test_mcnemar_gives_a_published_value() -> None:
    """Cavo et al. 2012 in Fagerland, Lydersen and Laake 2017, chapter 8: two-sided P = 0.052479."""
    assert 2 * mcnemar(16, 6) == pytest.approx(0.052479, abs=5e-7)


@given(FLIPS)
def test_mcnemar_agrees_with_scipy_and_statsmodels(flips: tuple[int, int]) -> None:
    worse, better = flips
    if worse + better:
        expected = stats.binomtest(worse, worse + better, alternative="greater").pvalue
        assert mcnemar(worse, better) == pytest.approx(expected)
    two_sided = statsmodels_mcnemar([[0, worse], [better, 0]], exact=True).pvalue if worse + better else 1.0
    assert min(1.0, 2 * min(mcnemar(worse, better), mcnemar(better, worse))) == pytest.approx(two_sided)


def test_five_rows_that_got_worse_are_the_fewest_for_significance() -> None:
    assert [round(mcnemar(worse, 0), 4) for worse in range(6)] == [1, 0.5, 0.25, 0.125, 0.0625, 0.0312]


@given(st.lists(st.sampled_from([-2.0, -0.5, 0.25, 0.375, 1.0]), min_size=1, max_size=8))  # sums without rounding
def test_sign_flip_agrees_with_scipys_permutation_test(differences: list[float]) -> None:
    if len(differences) < 2:
        return
    expected = stats.permutation_test(
        (np.array(differences),), np.mean, permutation_type="samples", alternative="less", n_resamples=10_000
    ).pvalue
    assert sign_flip(differences) == pytest.approx(expected)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60))
def test_sign_flip_of_flips_is_mcnemar(differences: list[float]) -> None:
    worse, better = differences.count(-1.0), differences.count(1.0)
    sampled = worse + better > 16
    assert sign_flip(differences) == pytest.approx(mcnemar(worse, better), abs=0.03 if sampled else 1e-12)


def test_sampled_signs_agree_with_the_exact_distribution() -> None:
    differences = [-1.0] * 20 + [1.0] * 10
    assert sign_flip(differences) == pytest.approx(mcnemar(20, 10), abs=0.005)
    assert sign_flip(differences) == sign_flip(differences)
    assert sign_flip([-1.0] * 200) == 1 / 10_000


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=10))
def test_a_sign_flip_p_is_a_chance_that_zeros_do_not_change(differences: list[float]) -> None:
    p = sign_flip(differences)
    assert 0 < p <= 1
    assert sign_flip([*differences, 0.0, 0.0]) == p


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=10), st.integers(0, 9))
def test_a_row_that_gets_worse_lowers_the_p(differences: list[float], which: int) -> None:
    worse = list(differences)
    worse[which % len(worse)] *= -1
    assert sign_flip(worse) <= sign_flip(differences)


def test_without_differences_nothing_is_significant() -> None:
    assert (mcnemar(0, 0), sign_flip([0.0, 0.0])) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("flips", "n", "bounds"),
    [((16, 6), 161, (-0.1240, -0.0054)), ((6, 16), 161, (0.0054, 0.1240)), ((7, 1), 21, (-0.517, -0.026))],
)
def test_tango_gives_published_values(flips: tuple[int, int], n: int, bounds: tuple[float, float]) -> None:
    """Cavo et al. 2012 and Bentur et al. 2009 in Fagerland, Lydersen and Laake 2014 and 2017, chapter 8."""
    found = tango(*flips, n)
    assert (found.low, found.high) == pytest.approx(bounds, abs=5e-4 if n == 21 else 5e-5)


def likelihood_statistic(worse: int, better: int, n: int, difference: float) -> float:
    """Tango's statistic from its definition, with the likeliest share of flips found numerically."""
    equal = n - worse - better

    def slope(share_worse: float) -> float:
        share_better, share_equal = share_worse + difference, 1 - 2 * share_worse - difference
        return (
            (worse / share_worse if worse else 0)
            + (better / share_better if better else 0)
            - (2 * equal / share_equal if equal else 0)
        )

    low, high = max(0.0, -difference) + 1e-13, (1 - difference) / 2 - 1e-13
    share = low if slope(low) <= 0 else high if slope(high) >= 0 else brentq(slope, low, high, xtol=1e-15)
    return (better - worse - n * difference) / math.sqrt(n * (2 * share + difference * (1 - difference)))


@given(TABLES, st.floats(-0.9, 0.9).filter(lambda d: abs(d) > 1e-3))
def test_tangos_closed_form_is_the_constrained_likelihood(table: tuple[int, int, int], difference: float) -> None:
    worse, better, equal = table
    n = worse + better + equal
    expected = likelihood_statistic(worse, better, n, difference)
    assert score_statistic(worse, better, n, difference) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(TABLES, st.floats(0.5, 0.99))
def test_tango_holds_the_difference_within_its_range(table: tuple[int, int, int], level: float) -> None:
    worse, better, equal = table
    n = worse + better + equal
    found = tango(worse, better, n, level)
    assert -1 <= found.low <= (better - worse) / n <= found.high <= 1
    assert found.low < found.high


@given(TABLES)
def test_tango_is_mirrored_when_the_sides_are_swapped(table: tuple[int, int, int]) -> None:
    worse, better, equal = table
    n = worse + better + equal
    found, mirrored = tango(worse, better, n), tango(better, worse, n)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)


@given(TABLES.filter(lambda table: table[2] > 0))
def test_tango_falls_with_a_row_that_gets_worse(table: tuple[int, int, int]) -> None:
    worse, better, equal = table
    n = worse + better + equal
    assert tango(worse + 1, better, n).low <= tango(worse, better, n).low + 1e-9
    assert tango(worse + 1, better, n).high <= tango(worse, better, n).high + 1e-9


def test_tango_without_flips_is_the_score_interval_of_none() -> None:
    """With no flips in n rows the bounds are z^2 / (n + z^2), as Wilson's for 0 of n."""
    z = stats.norm.ppf(0.95)
    assert tango(0, 0, 20, 0.9).high == pytest.approx(z**2 / (20 + z**2))
    assert tango(0, 0, 20, 0.9).low == pytest.approx(-(z**2) / (20 + z**2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mcnemar(-1, 2), "-1 rows worse and 2 better are not part of 1 rows"),
        (lambda: tango(3, 2, 4), "3 rows worse and 2 better are not part of 4 rows"),
        (lambda: tango(0, 0, 0), "there are no rows"),
        (lambda: tango(1, 1, 4, 1.5), "level is 1.5, not between 0 and 1"),
        (lambda: sign_flip([]), "there are no scores"),
        (lambda: sign_flip([1.0, math.nan]), "a score is nan, not a finite number"),
    ],
)
def test_bad_pairs_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
