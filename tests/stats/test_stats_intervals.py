"""Intervals against published values and other implementations, and what holds for all input."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from pytest_llmops.records.estimates import Interval
from pytest_llmops.stats.intervals import (
    bca_interval,
    clopper_pearson,
    cluster_interval,
    confidence_interval,
    effective_rows,
    interval_of,
    t_interval,
    wilson,
)

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.floats(0.5, 0.999)
SCORE = st.floats(-100, 100).map(lambda score: round(score, 6))
SCORES = st.lists(SCORE, min_size=2, max_size=40)
PROPORTIONS = (wilson, clopper_pearson)


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def test_wilson_gives_newcombes_published_values() -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (passed, n), bounds in published.items():
        assert ends(wilson(passed, n)) == pytest.approx(bounds, abs=5e-5)


def test_clopper_pearson_gives_newcombes_published_values() -> None:
    """The same table, method 5."""
    published = {
        (81, 263): (0.2527, 0.3676),
        (15, 148): (0.0578, 0.1617),
        (0, 20): (0, 0.1684),
        (1, 29): (0.0009, 0.1776),
    }
    for (passed, n), bounds in published.items():
        assert ends(clopper_pearson(passed, n)) == pytest.approx(bounds, abs=5e-5)


@given(COUNTS, LEVELS)
def test_proportions_agree_with_scipy(counts: tuple[int, int], level: float) -> None:
    test = stats.binomtest(*counts)
    assert ends(wilson(*counts, level)) == pytest.approx(tuple(test.proportion_ci(level, "wilson")), abs=1e-9)
    assert ends(clopper_pearson(*counts, level)) == pytest.approx(tuple(test.proportion_ci(level, "exact")), abs=1e-9)


@given(COUNTS)
def test_proportions_agree_with_statsmodels(counts: tuple[int, int]) -> None:
    assert ends(wilson(*counts)) == pytest.approx(proportion_confint(*counts, method="wilson"), abs=1e-9)
    assert ends(clopper_pearson(*counts)) == pytest.approx(proportion_confint(*counts, method="beta"), abs=1e-9)


@pytest.mark.parametrize("method", PROPORTIONS)
@given(counts=COUNTS, level=LEVELS)
def test_a_proportions_interval_holds_it_within_0_and_1(
    method: Callable[[int, int, float], Interval], counts: tuple[int, int], level: float
) -> None:
    low, high = ends(method(*counts, level))
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1
    assert low < high


@pytest.mark.parametrize("method", PROPORTIONS)
@given(counts=COUNTS, level=LEVELS)
def test_a_proportions_interval_is_mirrored_with_its_counts(
    method: Callable[[int, int, float], Interval], counts: tuple[int, int], level: float
) -> None:
    passed, n = counts
    low, high = ends(method(n - passed, n, level))
    assert (1 - high, 1 - low) == pytest.approx(ends(method(passed, n, level)), abs=1e-9)


@pytest.mark.parametrize("method", PROPORTIONS)
@pytest.mark.parametrize("n", [1, 3, 10, 57])
def test_a_proportions_interval_rises_with_each_row_that_passes(method: Callable[[int, int], Interval], n: int) -> None:
    intervals = [ends(method(passed, n)) for passed in range(n + 1)]
    assert intervals == sorted(intervals)
    assert [high for _, high in intervals] == sorted(high for _, high in intervals)


@given(SCORES, LEVELS)
def test_student_agrees_with_scipy(scores: list[float], level: float) -> None:
    found = t_interval(scores, level)
    if found is None:
        assert max(scores) == pytest.approx(min(scores), rel=1e-9)
    else:
        expected = stats.t.interval(level, len(scores) - 1, np.mean(scores), stats.sem(scores))
        assert ends(found) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_bca_agrees_with_scipy_and_is_the_same_each_time() -> None:
    scores = [0.1, 0.4, 0.5, 0.75, 0.8, 0.9, 0.95, 1.0, 1.0, 1.0]
    found = bca_interval(scores)
    expected = stats.bootstrap((scores,), np.mean, n_resamples=50_000, rng=np.random.default_rng(7))
    assert ends(found) == pytest.approx(tuple(expected.confidence_interval), abs=0.01)
    assert found == bca_interval(scores)


def test_bca_of_many_rows_works_in_batches() -> None:
    scores = [float(i % 7) for i in range(1_000)]
    assert ends(bca_interval(scores)) == pytest.approx(ends(t_interval(scores)), abs=0.01)


@given(
    st.lists(
        st.tuples(SCORE, st.sampled_from("abcde")),
        min_size=3,
        max_size=40,
    )
)
def test_clusters_agree_with_the_sandwich_estimator_of_statsmodels(rows: list[tuple[float, str]]) -> None:
    scores, clusters = [score for score, _ in rows], [cluster for _, cluster in rows]
    found = cluster_interval(scores, clusters)
    if found is None:
        return
    codes = np.array([ord(cluster) for cluster in clusters])
    fitted = OLS(scores, np.ones(len(scores))).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    assert ends(found) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-5, abs=1e-6)


@given(SCORES)
def test_clusters_of_one_row_are_no_clusters(scores: list[float]) -> None:
    found, expected = cluster_interval(scores, [str(i) for i in range(len(scores))]), t_interval(scores)
    if found is not None and expected is not None:
        assert ends(found) == pytest.approx(ends(expected), rel=1e-6, abs=1e-9)


def test_doubled_rows_in_clusters_are_worth_no_more_than_single_ones() -> None:
    scores = [0.2, 0.5, 0.9, 1.0, 0.7]
    doubled, clusters = [*scores, *scores], [*"abcde", *"abcde"]
    assert ends(cluster_interval(doubled, clusters)) == pytest.approx(ends(t_interval(scores)))


def test_effective_rows_are_those_of_the_design_effect() -> None:
    """Korn and Graubard 1998: n* = p (1 - p) / var(p) x (z / t)^2."""
    scores = [1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1]
    clusters = [*"aaabbbcccddd"]
    found = cluster_interval(scores, clusters)
    assert found is not None
    z, t = stats.norm.ppf(0.975), stats.t.ppf(0.975, 3)
    error = (found.high - found.low) / 2 / t
    assert effective_rows(scores, clusters) == pytest.approx(0.75 * 0.25 / error**2 * (z / t) ** 2)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdef")), min_size=2, max_size=60))
def test_effective_rows_are_never_more_than_rows(rows: list[tuple[int, str]]) -> None:
    scores, clusters = [score for score, _ in rows], [cluster for _, cluster in rows]
    found = effective_rows(scores, clusters)
    assert (found is None) == (len(set(clusters)) < 2)
    assert found is None or 0 < found <= len(scores)


def test_clusters_without_variance_are_one_row_each() -> None:
    scores, clusters = [1.0] * 20, [*"aabbccddee"] * 2
    assert interval_of(scores, clusters=clusters) == Interval(
        low=wilson(5, 5).low, high=1.0, level=0.95, method="Wilson, clusters"
    )
    found = confidence_interval(scores, clusters=clusters, confidence=0.95)
    assert ends(found) == pytest.approx((0.05 ** (1 / 5), 1.0))


@pytest.mark.parametrize(
    ("scores", "method"),
    [([1, 0, 1], "Wilson"), ([1.0, 1.0], "Wilson"), ([0.5, 1.0, 0.7], "t"), ([3.0, 4.0, 4.0, 5.0], "t")],
)
def test_the_scores_choose_the_method(scores: Sequence[float], method: str) -> None:
    found = interval_of(scores)
    assert found is not None
    assert (found.method, found.level) == (method, 0.95)


def test_the_user_chooses_the_bootstrap_where_scores_are_no_shares() -> None:
    graded, binary = interval_of([0.5, 1.0, 0.7, 0.2], method="bca"), interval_of([1, 0, 1], method="bca")
    assert graded is not None
    assert binary is not None
    assert (graded.method, binary.method) == ("BCa", "Wilson")


def test_clusters_replace_the_method() -> None:
    clusters = ["a", "a", "b", "b"]
    graded, binary = (interval_of(s, clusters=clusters, method="bca") for s in ([0.5, 1.0, 0.7, 0.2], [1, 0, 1, 1]))
    assert graded is not None
    assert binary is not None
    assert (graded.method, binary.method) == ("t, clusters", "Wilson, clusters")


@pytest.mark.parametrize("scores", [[1.0], [0.5], [0.5, 0.5, 0.5], [0.1 + 0.2, 0.3]])
@pytest.mark.parametrize("method", ["t", "bca"])
def test_there_is_none_where_none_would_be_honest(scores: list[float], method: str) -> None:
    assert interval_of(scores, method="bca" if method == "bca" else "t") is None
    assert confidence_interval(scores, confidence=0.95) is None


def test_there_is_none_for_a_single_cluster() -> None:
    for scores in ([1, 0, 1], [0.5, 0.7, 0.9]):
        assert interval_of(scores, clusters=["a"] * 3) is None
        assert confidence_interval(scores, clusters=["a"] * 3, confidence=0.95) is None


def test_ends_of_a_confidence_interval_are_one_sided_bounds() -> None:
    found = confidence_interval([1] * 14, confidence=0.95)
    assert found is not None
    assert found.low == pytest.approx(0.05 ** (1 / 14))
    assert (found.level, found.method) == (0.9, "Clopper-Pearson")
    expected = stats.binomtest(16, 20, alternative="greater").proportion_ci(0.95, "exact")
    bound = confidence_interval([1] * 16 + [0] * 4, confidence=0.95)
    assert bound is not None
    assert bound.low == pytest.approx(expected.low)
    assert confidence_interval([1.0, 2.0, 4.0], confidence=0.975) == t_interval([1.0, 2.0, 4.0], 0.95)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interval_of([]), "there are no scores"),
        (lambda: interval_of([1.0, math.nan]), "a score is nan, not a finite number"),
        (lambda: t_interval([1.0, math.inf]), "a score is inf, not a finite number"),
        (lambda: interval_of([1.0, 0.0], clusters=["a"]), "2 scores but 1 names of clusters"),
        (lambda: cluster_interval([1.0], ["a", "b"]), "1 scores but 2 names of clusters"),
        (lambda: interval_of([1.0, 0.0], level=1.0), "level is 1.0, not between 0 and 1"),
        (lambda: t_interval([1.0, 0.5], 95), "level is 95, not between 0 and 1"),
        (lambda: confidence_interval([1.0, 0.0], confidence=0.5), "confidence is 0.5, not between 0.5 and 1"),
        (lambda: wilson(4, 3), "4 of 3 is not a proportion"),
        (lambda: clopper_pearson(0, 0), "0 of 0 is not a proportion"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
