"""Planning figures against published ones, scipy's distributions, and the gates themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.samplesize import rows_for_confidence, rows_to_show_unchanged
from pytest_llmops.stats.intervals import clopper_pearson
from pytest_llmops.stats.noninferiority import compare_pairs, noninferior
from pytest_llmops.stats.pairs import tango
from pytest_llmops.stats.power import (
    Chances,
    chance_of_failing,
    margin_chances,
    passes_needed,
    rows_for_margin,
    smallest_drop_absolute,
    smallest_drop_paired,
    value_failing,
)

BOUNDS = st.floats(0.05, 0.99)


@pytest.mark.parametrize(("bound", "rows"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_rows_for_confidence_are_those_of_the_success_run_theorem(bound: float, rows: int) -> None:
    """Known from demonstration testing: n = ln(1 - C) / ln(R)."""
    assert rows_for_confidence(bound, 0.95) == rows


@given(BOUNDS, st.floats(0.6, 0.99))
def test_rows_for_confidence_are_the_fewest(bound: float, confidence: float) -> None:
    rows = rows_for_confidence(bound, confidence)
    level = 2 * confidence - 1
    assert clopper_pearson(rows, rows, level).low >= bound - 1e-9
    assert rows == 1 or clopper_pearson(rows - 1, rows - 1, level).low < bound + 1e-9


@pytest.mark.parametrize(
    ("margin", "discordant", "rows"), [(0.1, 0.1, 62), (0.1, 0.2, 124), (0.05, 0.1, 248), (0.05, 0.2, 495)]
)
def test_rows_for_margin_are_those_of_the_normal_approximation(margin: float, discordant: float, rows: int) -> None:
    assert rows_for_margin(margin, discordant=discordant) == rows
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    assert rows == math.ceil(z**2 * discordant / margin**2)


@pytest.mark.parametrize(("margin", "discordant"), [(0.1, 0.1), (0.1, 0.2), (0.05, 0.1)])
def test_rows_for_margin_give_about_the_power_that_was_asked_for(margin: float, discordant: float) -> None:
    chances = margin_chances(rows_for_margin(margin, discordant=discordant), margin, discordant=discordant)
    assert chances.passed == pytest.approx(0.8, abs=0.1)


@given(st.floats(0.005, 0.5))
def test_rows_to_show_unchanged_are_the_fewest(margin: float) -> None:
    rows = rows_to_show_unchanged(margin)
    assert tango(0, 0, rows, 0.9).low > -margin
    assert rows == 1 or tango(0, 0, rows - 1, 0.9).low <= -margin + 1e-9


@given(st.integers(1, 200), BOUNDS, st.one_of(st.none(), st.sampled_from([0.8, 0.95])))
def test_passes_needed_are_the_fewest_that_the_rule_accepts(n: int, bound: float, confidence: float | None) -> None:
    def accepted(passed: int) -> bool:
        if confidence is None:
            return passed / n >= bound
        return clopper_pearson(passed, n, round(2 * confidence - 1, 12)).low >= bound

    needed = passes_needed(n, bound, confidence=confidence)
    if needed is None:
        assert not accepted(n)
    else:
        assert accepted(needed)
        assert needed == 0 or not accepted(needed - 1)


@pytest.mark.parametrize(
    ("n", "true_value", "bound", "chance"),
    [(3, 0.9, 0.8, 0.271), (10, 0.9, 0.8, 0.0702), (20, 0.9, 0.8, 0.0432), (10, 0.85, 0.8, 0.1798)],
)
def test_chance_of_failing_is_the_binomial_one(n: int, true_value: float, bound: float, chance: float) -> None:
    assert chance_of_failing(n, true_value, bound) == pytest.approx(chance, abs=5e-5)
    needed = math.ceil(n * bound)
    assert chance_of_failing(n, true_value, bound) == pytest.approx(stats.binom.cdf(needed - 1, n, true_value))


def test_a_rule_that_n_rows_can_t_satisfy_always_fails() -> None:
    assert passes_needed(13, 0.8, confidence=0.95) is None
    assert chance_of_failing(13, 1.0, 0.8, confidence=0.95) == 1
    assert chance_of_failing(14, 1.0, 0.8, confidence=0.95) == 0
    assert value_failing(13, 0.8, 0.5, confidence=0.95) is None
    assert smallest_drop_absolute(13, 0.9, 0.8, confidence=0.95) is None


def test_a_rule_that_everything_satisfies_never_fails() -> None:
    assert (passes_needed(10, 0.0), chance_of_failing(10, 0.0, 0.0)) == (0, 0.0)
    assert smallest_drop_absolute(10, 0.9, 0.0) is None


@given(st.integers(1, 300), BOUNDS, st.floats(0.01, 0.99), st.one_of(st.none(), st.just(0.9)))
def test_value_failing_is_where_the_chance_is(n: int, bound: float, chance: float, confidence: float | None) -> None:
    value = value_failing(n, bound, chance, confidence=confidence)
    if value is not None:
        assert chance_of_failing(n, value, bound, confidence=confidence) == pytest.approx(chance, abs=1e-6)


def test_smallest_drop_of_a_point_rule() -> None:
    drop = smallest_drop_absolute(20, 0.9, 0.8)
    assert drop is not None
    assert chance_of_failing(20, 0.9 - drop, 0.8) == pytest.approx(0.8)
    assert smallest_drop_absolute(20, 0.5, 0.8) == 0


@pytest.mark.parametrize(("n", "drop"), [(5, 0.0), (10, 0.2), (30, 0.0), (30, 0.1)])
def test_margin_chances_are_those_of_the_gate(n: int, drop: float) -> None:
    """Adds up all numbers of worse and better rows, with the verdict that the gate itself gives."""
    worse_share, better_share = 0.05 + drop, 0.05
    sums = {"PASS": 0.0, "FAIL": 0.0, "INCONCLUSIVE": 0.0}
    for worse in range(n + 1):
        for better in range(n + 1 - worse):
            equal = n - worse - better
            candidate = [0.0] * worse + [1.0] * better + [1.0] * equal
            baseline = [1.0] * worse + [0.0] * better + [1.0] * equal
            pairs = compare_pairs(candidate, baseline, better="higher")
            verdict, _ = noninferior(pairs, 0.1, better="higher", p_value=pairs.p_value, same_outputs=False)
            shares = [worse_share, better_share, 1 - worse_share - better_share]
            sums[verdict] += stats.multinomial.pmf([worse, better, equal], n, shares)
    found = margin_chances(n, 0.1, drop=drop)
    assert (found.passed, found.failed, found.inconclusive) == pytest.approx(
        (sums["PASS"], sums["FAIL"], sums["INCONCLUSIVE"]), abs=1e-6
    )


@pytest.mark.parametrize("n", [10, 20, 40, 100, 400, 3_000])
def test_an_unchanged_flow_fails_in_no_more_than_five_of_a_hundred(n: int) -> None:
    for discordant in (0.02, 0.1, 0.3):
        assert margin_chances(n, 0.05, discordant=discordant).failed <= 0.05


def test_a_flow_that_never_flips_passes_as_soon_as_the_rows_can_show_it() -> None:
    assert margin_chances(52, 0.05, discordant=0) == Chances(passed=1, failed=0, inconclusive=0)
    assert margin_chances(51, 0.05, discordant=0) == Chances(passed=0, failed=0, inconclusive=1)
    assert margin_chances(5, 0.5, discordant=0) == Chances(passed=0, failed=0, inconclusive=1)


def test_smallest_drop_of_a_margin_gate() -> None:
    drop = smallest_drop_paired(100, 0.05)
    assert drop is not None
    assert margin_chances(100, 0.05, drop=drop).failed == pytest.approx(0.8, abs=1e-3)
    assert smallest_drop_paired(9, 0.05) is None
    drops = [smallest_drop_paired(n, 0.05) for n in (10, 20, 40, 100, 400)]
    assert drops == sorted((d for d in drops if d is not None), reverse=True)


def test_smallest_drop_agrees_with_the_published_formula() -> None:
    """Connor 1987, Biometrics 43, 207-211: n for McNemar's test, one-sided; the exact test needs some more."""
    n, discordant = 246, 0.1
    drop = smallest_drop_paired(n, 0.0001, discordant=discordant - 0.05)
    assert drop is not None
    flips = discordant - 0.05 + drop
    z_risk, z_power = stats.norm.ppf(0.95), stats.norm.ppf(0.8)
    expected = (z_risk * math.sqrt(flips) + z_power * math.sqrt(flips - drop**2)) ** 2 / drop**2
    assert n == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rows_for_confidence(1.0, 0.95), "bound is 1.0, not between 0 and 1"),
        (lambda: rows_for_confidence(0.8, 95), "confidence is 95, not between 0 and 1"),
        (lambda: rows_for_margin(0), "no number of rows shows a margin of 0"),
        (lambda: rows_to_show_unchanged(-1), "no number of rows shows a margin of -1"),
        (lambda: passes_needed(0, 0.8), "0 rows are none"),
        (lambda: chance_of_failing(10, 80, 0.8), "80 is not a share"),
        (lambda: value_failing(10, 0.8, 0), "chance is 0, not between 0 and 1"),
        (
            lambda: margin_chances(10, 0.1, discordant=0.6, drop=0.5),
            "0.6 of rows flipping and a drop of 0.5 are not possible together",
        ),
    ],
)
def test_what_can_t_be_planned_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
