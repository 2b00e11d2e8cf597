"""The policy of margin gates: what is PASS, FAIL and INCONCLUSIVE, and the line that says why."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.records.experiment import Better
from pytest_llmops.records.gate import Verdict
from pytest_llmops.stats.intervals import cluster_interval, t_interval
from pytest_llmops.stats.noninferiority import Pairs, compare_pairs, noninferior
from pytest_llmops.stats.pairs import mcnemar, sign_flip, tango

BINARY = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)
GRADED = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=40)


def flipped(worse: int, better: int, equal: int) -> tuple[list[float], list[float]]:
    """Return scores of a candidate and its baseline."""
    candidate = [0.0] * worse + [1.0] * better + [1.0] * equal
    return candidate, [1.0] * worse + [0.0] * better + [1.0] * equal


def verdict(
    worse: int, better: int, equal: int, margin: float = 0.05, *, same_outputs: bool = False
) -> tuple[Verdict, str]:
    pairs = compare_pairs(*flipped(worse, better, equal), better="higher")
    return noninferior(pairs, margin, better="higher", p_value=pairs.p_value, same_outputs=same_outputs)


def test_shares_are_compared_by_mcnemar_and_tango() -> None:
    pairs = compare_pairs(*flipped(6, 2, 12), better="higher")
    assert pairs == Pairs(
        delta=-0.2,
        n=20,
        interval=tango(6, 2, 20, 0.9),
        p_value=mcnemar(6, 2),
        test="exact McNemar test",
        worse=6,
        better=2,
        equal=12,
        variance=0.4,
        reach=1.0,
    )


def test_grades_are_compared_by_signs_and_student() -> None:
    baseline = [0.5 + i / 100 for i in range(20)]
    candidate = [value + (0.01 if i % 3 else -0.08) for i, value in enumerate(baseline)]
    differences = [new - old for new, old in zip(candidate, baseline, strict=True)]
    pairs = compare_pairs(candidate, baseline, better="higher")
    expected = t_interval(differences, 0.9)
    assert pairs.interval is not None
    assert expected is not None
    assert (pairs.interval.low, pairs.interval.high) == pytest.approx((expected.low, expected.high))
    assert (pairs.interval.method, pairs.test) == ("t", "sign-flip test")
    assert pairs.p_value == pytest.approx(sign_flip(differences))
    assert (pairs.worse, pairs.better, pairs.equal) == (7, 13, 0)
    by_bootstrap = compare_pairs(candidate, baseline, better="higher", method="bca").interval
    assert by_bootstrap is not None
    assert by_bootstrap.method == "BCa"


def test_clusters_are_compared_by_their_sums() -> None:
    candidate, baseline = flipped(12, 4, 44)
    clusters = [f"document {i % 15}" for i in range(60)]
    pairs = compare_pairs(candidate, baseline, better="higher", clusters=clusters)
    differences = [new - old for new, old in zip(candidate, baseline, strict=True)]
    sums = [sum(differences[first::15]) for first in range(15)]
    expected = cluster_interval(differences, clusters, 0.9)
    assert expected is not None
    assert (pairs.n, pairs.unit, pairs.test, pairs.interval) == (15, "clusters", "sign-flip test", expected)
    assert pairs.p_value == pytest.approx(sign_flip(sums))
    assert (pairs.worse, pairs.better, pairs.equal) == (12, 4, 44)


def test_lower_may_be_better() -> None:
    baseline, candidate = flipped(6, 0, 14)
    pairs = compare_pairs(candidate, baseline, better="lower")
    assert (pairs.delta, pairs.worse, pairs.better) == (0.3, 6, 0)
    found = noninferior(pairs, 0.05, better="lower", p_value=pairs.p_value, same_outputs=False)
    assert found == (
        "FAIL",
        "significantly worse: delta +0.3 on 20 rows, 6 worse and 0 better; 95 % bound +0.4838, margin 0.05; "
        "p = 0.016, exact McNemar test",
    )


@given(BINARY, st.sampled_from(["higher", "lower"]))
def test_swapping_the_sides_mirrors_the_comparison(rows: list[tuple[int, int]], better: Better) -> None:
    candidate, baseline = [new for new, _ in rows], [old for _, old in rows]
    there = compare_pairs(candidate, baseline, better=better)
    back = compare_pairs(baseline, candidate, better=better)
    assert there.delta == pytest.approx(-back.delta)
    assert (there.worse, there.better) == (back.better, back.worse)
    if there.interval is not None and back.interval is not None:
        assert there.interval.low == pytest.approx(-back.interval.high, abs=1e-9)


@given(GRADED, st.sampled_from(["higher", "lower"]))
def test_a_comparison_holds_the_difference(rows: list[tuple[float, float]], better: Better) -> None:
    pairs = compare_pairs([new for new, _ in rows], [old for _, old in rows], better=better)
    assert pairs.worse + pairs.better + pairs.equal == len(rows)
    assert (pairs.p_value is None) == (len(rows) < 10)
    if pairs.interval is not None:
        assert pairs.interval.low <= pairs.delta + 1e-9
        assert pairs.interval.high >= pairs.delta - 1e-9


def test_rounding_is_no_difference() -> None:
    pairs = compare_pairs([0.1 + 0.2] * 10, [0.3] * 10, better="higher")
    assert (pairs.delta, pairs.worse, pairs.better, pairs.equal) == (0.0, 0, 0, 10)


def test_few_changes_of_grades_don_t_narrow_the_interval() -> None:
    """One better row in 20 shows no more of the margin than none does."""
    baseline = [i / 20 for i in range(21)]
    unchanged = compare_pairs(baseline, baseline, better="higher")
    improved = compare_pairs([*baseline[:10], 0.6, *baseline[11:]], baseline, better="higher")
    bound = tango(0, 0, 21, 0.9).high
    for pairs in (unchanged, improved):
        assert pairs.interval is not None
        assert pairs.interval.low == pytest.approx(pairs.delta - bound)
    assert unchanged.interval is not None
    assert improved.interval is not None
    assert (unchanged.interval.method, improved.interval.method) == ("range", "t, range")


FEW = "under 10 rows nothing is tested; write keep_passing for so few"
POLICY = [
    (
        (2, 3, 395),
        ("PASS", "not worse by more than the margin: delta +0.0025 on 400 rows, 2 worse and 3 better; "
         "95 % bound -0.008395, margin 0.05"),
    ),
    (
        (20, 2, 78),
        ("FAIL", "significantly worse: delta -0.18 on 100 rows, 20 worse and 2 better; 95 % bound -0.2569, "
         "margin 0.05; p = 6.1e-05, exact McNemar test"),
    ),
    (
        (2, 2, 36),
        ("INCONCLUSIVE", "neither shown to keep the margin nor significantly worse: delta +0 on 40 rows, 2 worse and "
         "2 better; 95 % bound -0.09974, margin 0.05; p = 0.69, exact McNemar test; "
         "if nothing got worse, about 248 rows would show it"),
    ),
    (
        (0, 0, 40),
        ("INCONCLUSIVE", "neither shown to keep the margin nor significantly worse: delta +0 on 40 rows, 0 worse and "
         "0 better; 95 % bound -0.06335, margin 0.05; p = 1, exact McNemar test; "
         "if nothing got worse, about 52 rows would show it"),
    ),
    ((0, 0, 5), ("INCONCLUSIVE", f"0 worse and 0 better: delta +0 on 5 rows; {FEW}")),
    ((0, 2, 7), ("INCONCLUSIVE", f"0 worse and 2 better: delta +0.2222 on 9 rows; {FEW}")),
    ((2, 1, 2), ("INCONCLUSIVE", f"2 worse and 1 better: delta -0.2 on 5 rows; {FEW}")),
    ((9, 0, 0), ("INCONCLUSIVE", f"9 worse and 0 better: delta -1 on 9 rows; {FEW}")),
]  # fmt: skip


@pytest.mark.parametrize(("flips", "expected"), POLICY)
def test_the_policy_and_its_reasons(flips: tuple[int, int, int], expected: tuple[Verdict, str]) -> None:
    assert verdict(*flips) == expected


def test_an_unchanged_flow_passes_with_as_many_rows_as_the_reason_says() -> None:
    assert (verdict(0, 0, 51)[0], verdict(0, 0, 52)[0]) == ("INCONCLUSIVE", "PASS")


def test_the_same_outputs_pass_whatever_the_margin_and_the_judge_say() -> None:
    same = "all 40 outputs are the same as in the baseline"
    assert verdict(0, 0, 40, margin=0, same_outputs=True) == ("PASS", same)
    noticed = f"{same}; the evaluator gave 2 of them another score"
    assert verdict(2, 0, 38, same_outputs=True) == ("PASS", noticed)


def test_a_margin_of_0_asks_for_more_than_an_unchanged_flow() -> None:
    assert verdict(0, 20, 80, margin=0)[0] == "PASS"
    assert verdict(0, 0, 400, margin=0) == (
        "INCONCLUSIVE",
        "neither shown to keep the margin nor significantly worse: delta +0 on 400 rows, 0 worse and 0 better; "
        "95 % bound -0.006718, margin 0; p = 1, exact McNemar test; "
        "no number of rows shows that an unchanged flow keeps a margin of 0",
    )


def test_the_adjusted_p_value_decides() -> None:
    pairs = compare_pairs(*flipped(6, 0, 34), better="higher")
    assert pairs.p_value == pytest.approx(1 / 64)
    found = [
        noninferior(pairs, 0.05, better="higher", p_value=p, same_outputs=False)[0]
        for p in (pairs.p_value, 4 / 64, 1.0)
    ]
    assert found == ["FAIL", "INCONCLUSIVE", "INCONCLUSIVE"]
    _, reason = noninferior(pairs, 0.05, better="higher", p_value=4 / 64, same_outputs=False)
    assert "; p = 0.062, exact McNemar test, Holm-adjusted; " in reason


def test_scores_that_are_one_and_the_same_show_nothing() -> None:
    pairs = compare_pairs([3.0] * 30, [3.0] * 30, better="higher")
    assert pairs.interval is None
    assert noninferior(pairs, 0.1, better="higher", p_value=pairs.p_value, same_outputs=False) == (
        "INCONCLUSIVE",
        "neither shown to keep the margin nor significantly worse: delta +0 on 30 rows, 0 worse and 0 better; "
        "no bound, as all scores are one and the same; margin 0.1; p = 1, sign-flip test; "
        "scores that do not vary show nothing",
    )


def test_clusters_are_counted_as_such() -> None:
    candidate, baseline = flipped(3, 0, 27)
    pairs = compare_pairs(candidate, baseline, better="higher", clusters=[*"abcde"] * 6)
    assert noninferior(pairs, 0.05, better="higher", p_value=pairs.p_value, same_outputs=False) == (
        "INCONCLUSIVE",
        "3 worse and 0 better: delta -0.1 on 30 rows in 5 clusters; under 10 clusters nothing is tested; "
        "write keep_passing for so few",
    )


@given(BINARY, st.just(0.0) | st.floats(0.001, 0.5), st.booleans())
def test_every_comparison_has_a_verdict_and_one_line(
    rows: list[tuple[int, int]], margin: float, same_outputs: bool
) -> None:
    pairs = compare_pairs([new for new, _ in rows], [old for _, old in rows], better="higher")
    found, reason = noninferior(pairs, margin, better="higher", p_value=pairs.p_value, same_outputs=same_outputs)
    assert found in {"PASS", "FAIL", "INCONCLUSIVE"}
    assert reason
    assert "\n" not in reason
    if found == "FAIL":
        assert pairs.delta < 0


@given(BINARY.filter(lambda rows: len(rows) >= 10), st.floats(0.001, 0.3))
def test_a_wider_margin_is_kept_where_a_narrower_one_is(rows: list[tuple[int, int]], margin: float) -> None:
    pairs = compare_pairs([new for new, _ in rows], [old for _, old in rows], better="higher")
    narrow, wide = (
        noninferior(pairs, m, better="higher", p_value=pairs.p_value, same_outputs=False)[0]
        for m in (margin, 2 * margin)
    )
    assert (narrow, wide) in {(v, v) for v in ("PASS", "FAIL", "INCONCLUSIVE")} | {
        ("FAIL", "PASS"),
        ("INCONCLUSIVE", "PASS"),
    }


def compare(candidate: Sequence[float], baseline: Sequence[float]) -> Callable[[], object]:
    return lambda: compare_pairs(candidate, baseline, better="higher")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (compare([], []), "there are no scores"),
        (compare([1.0], []), "there are no scores"),
        (compare([1.0, 0.0], [1.0]), "2 scores of the candidate but 1 of the baseline"),
        (compare([math.nan], [1.0]), "a score is nan, not a finite number"),
        (compare([1.0], [math.inf]), "a score is inf, not a finite number"),
        (lambda: verdict(0, 0, 20, margin=-0.1), "margin is -0.1, not a finite number of at least 0"),
        (lambda: verdict(0, 0, 20, margin=math.nan), "margin is nan, not a finite number of at least 0"),
    ],
)
def test_bad_comparisons_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
