"""How often intervals hold the truth, and gates are wrong, for 3 to 200 rows: the guarantees, and the weak spots.

Figures are exact where outcomes can be counted, else simulated from a seed; bounds leave room for the simulation's own
error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import pytest
from scipy import stats

from pytest_llmops.records.estimates import Interval
from pytest_llmops.stats.intervals import (
    bca_interval,
    clopper_pearson,
    cluster_interval,
    confidence_interval,
    interval_of,
    normal_quantile,
    t_interval,
    wilson,
)
from pytest_llmops.stats.noninferiority import compare_pairs
from pytest_llmops.stats.pairs import mcnemar, score_statistic, sign_flip, tango

pytestmark = pytest.mark.slow

ROWS = (3, 5, 10, 20, 50, 100, 200)
SHARES = (0.5, 0.7, 0.8, 0.9, 0.95)


def coverage_of_share(method: Callable[[int, int], Interval], n: int, share: float) -> float:
    """Add up the chances of all outcomes whose interval holds the true share."""
    found = [method(passed, n) for passed in range(n + 1)]
    held = [interval.low <= share <= interval.high for interval in found]
    chances = np.asarray(stats.binom.pmf(np.arange(n + 1), n, share))
    return float(chances[held].sum())


def simulated(
    method: Callable[[list[float]], Interval | None], draw: Callable[[], list[float]], truth: float, times: int
) -> float:
    """Count how often an interval holds the truth; one that is missing claims nothing, and holds it."""
    found = [method(draw()) for _ in range(times)]
    return sum(interval is None or interval.low <= truth <= interval.high for interval in found) / times


@pytest.mark.parametrize("n", ROWS)
def test_clopper_pearson_covers_every_share(n: int) -> None:
    assert min(coverage_of_share(clopper_pearson, n, share) for share in np.linspace(0.01, 0.99, 99)) >= 0.95


@pytest.mark.parametrize("n", ROWS)
def test_wilson_covers_shares_on_average(n: int) -> None:
    covered = [coverage_of_share(wilson, n, share) for share in SHARES]
    assert np.mean(covered) >= 0.935
    assert min(covered) >= (0.91 if n >= 10 else 0.85)


def test_wilson_is_weak_with_three_rows_near_1() -> None:
    assert coverage_of_share(wilson, 3, 0.95) == pytest.approx(0.857, abs=1e-3)


@pytest.mark.parametrize("n", ROWS)
def test_student_covers_a_normal_mean_and_nearly_a_skewed_one(n: int) -> None:
    rng = np.random.default_rng(n)
    assert simulated(t_interval, lambda: rng.normal(size=n).tolist(), 0.0, 2_000) >= 0.935
    skewed = simulated(t_interval, lambda: rng.beta(5, 1, size=n).tolist(), 5 / 6, 2_000)
    assert skewed >= (0.93 if n >= 50 else 0.88)


@pytest.mark.parametrize(("n", "least"), [(5, 0.76), (10, 0.84), (20, 0.84), (50, 0.88)])
def test_the_bootstrap_does_no_better_with_few_skewed_scores(n: int, least: float) -> None:
    rng = np.random.default_rng(n)
    assert simulated(bca_interval, lambda: rng.beta(5, 1, size=n).tolist(), 5 / 6, 200) >= least


def graded_clusters(rng: np.random.Generator, clusters: int, size: int, alike: float) -> list[float]:
    means = np.repeat(rng.normal(size=clusters), size) * math.sqrt(alike)
    return (means + rng.normal(size=clusters * size) * math.sqrt(1 - alike)).tolist()  # type: ignore[no-any-return]


def binary_clusters(rng: np.random.Generator, clusters: int, size: int, alike: float, share: float) -> list[float]:
    weight = (1 - alike) / alike
    shares = np.repeat(rng.beta(share * weight, (1 - share) * weight, size=clusters), size)
    return (rng.random(clusters * size) < shares).astype(float).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("clusters", [5, 10, 20, 40])
def test_clusters_cover_the_mean_of_grades(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    names = [str(cluster) for cluster in range(clusters) for _ in range(5)]
    covered = simulated(
        lambda scores: cluster_interval(scores, names), lambda: graded_clusters(rng, clusters, 5, 0.4), 0.0, 2_000
    )
    assert covered >= 0.93
    if clusters >= 10:  # as if rows were independent, which they are not
        assert simulated(t_interval, lambda: graded_clusters(rng, clusters, 5, 0.4), 0.0, 1_000) <= 0.9


@pytest.mark.parametrize("share", [0.8, 0.95])
@pytest.mark.parametrize("alike", [0.1, 0.5])
@pytest.mark.parametrize("clusters", [5, 10, 20, 40])
def test_clusters_cover_a_share(clusters: int, alike: float, share: float) -> None:
    rng = np.random.default_rng(clusters)
    names = [str(cluster) for cluster in range(clusters) for _ in range(5)]

    def draw() -> list[float]:
        return binary_clusters(rng, clusters, 5, alike, share)

    assert simulated(lambda scores: interval_of(scores, clusters=names), draw, share, 1_000) >= 0.9
    bounds = simulated(lambda scores: confidence_interval(scores, clusters=names, confidence=0.975), draw, share, 1_000)
    assert bounds >= 0.92


def outcomes(n: int, shares: Sequence[float]) -> Iterator[tuple[int, int, float]]:
    """Yield all numbers of worse and better rows, with their chance."""
    worse, better = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = worse + better <= n
    worse, better = worse[possible], better[possible]
    counts = np.stack([worse, better, n - worse - better], axis=-1)
    chances = np.asarray(stats.multinomial.pmf(counts, n, [*shares, 1 - sum(shares)]))
    likely = chances > 1e-10
    yield from zip(worse[likely].tolist(), better[likely].tolist(), chances[likely].tolist(), strict=True)


@pytest.mark.parametrize("margin", [0.05, 0.1])
@pytest.mark.parametrize("n", [10, 20, 40, 60, 100, 200])
def test_a_drop_of_the_margin_passes_no_more_than_six_times_of_a_hundred(n: int, margin: float) -> None:
    z = normal_quantile(0.9)
    for flips in (margin, 0.1, 0.2, 0.3):
        shares = ((flips + margin) / 2, (flips - margin) / 2)
        passed = sum(chance for w, b, chance in outcomes(n, shares) if score_statistic(w, b, n, -margin) > z)
        assert passed <= 0.06


@pytest.mark.parametrize("n", [5, 10, 20, 50, 100])
def test_tango_covers_the_difference(n: int) -> None:
    interval_of_counts = cache(lambda worse, better: tango(worse, better, n))
    covered = []
    for shares in [(0.05, 0.05), (0.1, 0.05), (0.15, 0.05), (0.2, 0.2), (0.3, 0.1)]:
        truth = shares[1] - shares[0]
        found = [(interval_of_counts(w, b), chance) for w, b, chance in outcomes(n, shares)]
        covered.append(sum(chance for interval, chance in found if interval.low <= truth <= interval.high))
    assert np.mean(covered) >= 0.945
    assert min(covered) >= 0.93


def newcombe_low(worse: int, better: int, both: int, n: int, level: float) -> float:
    """Return the lower bound of (better - worse) / n by method 10 of Newcombe 1998."""
    first, second = both + better, both + worse
    one, two = wilson(first, n, level), wilson(second, n, level)
    squares = first * (n - first) * second * (n - second)
    product = both * (n - both - worse - better) - worse * better
    shrunk = max(product - n / 2, 0) if product > 0 else product
    correlation = shrunk / math.sqrt(squares) if squares else 0.0
    below, above = first / n - one.low, two.high - second / n
    return (better - worse) / n - math.sqrt(below**2 - 2 * correlation * below * above + above**2)


def test_newcombes_bound_is_wrong_more_often_where_only_a_drop_flips_rows() -> None:
    assert newcombe_low(16, 6, 59, 161, 0.95) == pytest.approx(-0.1186, abs=5e-5)  # Cavo et al. 2012, as published
    risks = {"tango": 0.0, "newcombe": 0.0}
    for n, margin in ((20, 0.1), (40, 0.1), (200, 0.05)):
        for worse, failed, chance in outcomes(n, (margin, 0.15)):
            both = n - worse - failed
            risks["tango"] += chance * (tango(worse, 0, n, 0.9).low > -margin)
            risks["newcombe"] += chance * (newcombe_low(worse, 0, both, n, 0.9) > -margin)
    assert risks["tango"] < risks["newcombe"]


@pytest.mark.parametrize("n", [5, 10, 20, 50, 100])
def test_mcnemar_finds_what_is_not_there_in_no_more_than_five_of_a_hundred(n: int) -> None:
    for flips in (0.05, 0.2, 0.5, 1.0):
        found = sum(c for w, b, c in outcomes(n, (flips / 2, flips / 2)) if mcnemar(w, b) < 0.05)
        assert found <= 0.05


@pytest.mark.parametrize("n", [10, 30])
def test_sign_flip_finds_what_is_not_there_in_about_five_of_a_hundred(n: int) -> None:
    rng = np.random.default_rng(n)
    found = sum(sign_flip(rng.standard_t(3, size=n).tolist()) < 0.05 for _ in range(400))
    assert found / 400 <= 0.085


@pytest.mark.parametrize("n", [10, 20, 40, 100, 200])
def test_grades_of_which_few_change_don_t_pass_by_chance(n: int) -> None:
    """A row in 20 drops by all it can. Student's interval alone would keep a margin of so much far too often."""
    rng = np.random.default_rng(n)
    passed = alone = 0
    for _ in range(1_000):
        baseline = rng.choice([0.25, 0.5, 0.75, 1.0], size=n)
        baseline[:2] = (0.0, 1.0)
        candidate = baseline - (rng.random(n) < 0.05)
        by_student = t_interval((candidate - baseline).tolist(), 0.9)
        alone += by_student is None or by_student.low > -0.05
        interval = compare_pairs(candidate.tolist(), baseline.tolist(), better="higher").interval
        passed += interval is not None and interval.low > -0.05
    assert passed / 1_000 <= 0.12
    assert alone >= passed
    if n <= 20:
        assert alone / 1_000 >= 0.3
        assert passed == 0
