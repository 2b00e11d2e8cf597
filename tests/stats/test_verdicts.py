"""What each kind of demand comes to, and that every kind of bad input has a verdict and a line that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from scored import cell, experiment, threshold, verdict

from pytest_llmops.records.experiment import Evaluator, Price, Score
from pytest_llmops.records.gate import CellResult
from pytest_llmops.records.run import Row, RunResult, Tokens
from pytest_llmops.stats.against_baseline import Contrast, Reference, contrast
from pytest_llmops.stats.measuring import measure

IDS = {"id": [f"k{number}" for number in range(40)]}


def declared(**score: Any) -> Any:
    """An experiment that says which output scores the metric."""
    found = Evaluator(name="m", flow=experiment().flow, datasets=(), scores={"rate": Score(output="hit", **score)})
    return experiment(evaluators=(found,))


# ----------------------------------------------------------------------------------------------------- absolute rules


def test_an_interval_and_the_number_of_rows_are_always_there() -> None:
    gate = verdict(cell([1.0] * 36 + [0.0] * 4), threshold(">= 0.7"))
    assert gate.interval is not None
    assert (gate.verdict, gate.n, gate.interval.method, gate.reason) == ("PASS", 40, "Wilson", "")
    assert (round(gate.interval.low, 3), round(gate.interval.high, 3)) == (0.769, 0.960)


def test_a_pass_that_rests_on_luck_is_called_weak() -> None:
    gate = verdict(cell([1.0] * 33 + [0.0] * 7), threshold(">= 0.8"))
    assert (gate.verdict, gate.weak, gate.reason) == ("PASS", True, "")
    assert not verdict(cell([1.0] * 39 + [0.0]), threshold(">= 0.8")).weak


@pytest.mark.parametrize(
    ("passed", "rule", "expected", "reason"),
    [
        (40, ">= 0.8", "PASS", "95 % confidence bound (Clopper-Pearson) 0.9278"),
        (
            34,
            ">= 0.8",
            "INCONCLUSIVE",
            "the value keeps the rule, its 95 % confidence bound (Clopper-Pearson) 0.7253 does not",
        ),
        (31, ">= 0.8", "FAIL", ""),
        (0, "<= 0.1", "PASS", "95 % confidence bound (Clopper-Pearson) 0.07216"),
    ],
)
def test_confidence_compares_the_bound(passed: int, rule: str, expected: str, reason: str) -> None:
    result = cell([1.0] * passed + [0.0] * (40 - passed))
    gate = verdict(result, threshold(rule, confidence=0.95), of=declared())
    assert (gate.verdict, gate.reason) == (expected, reason)
    assert gate.rule == f"{rule} at 95 % confidence"


def test_without_scores_of_rows_there_is_no_interval_and_no_bound() -> None:
    macro = cell([1.0, 0.0, 1.0], rate=0.55)
    plain, bound = verdict(macro, threshold(">= 0.5")), verdict(macro, threshold(">= 0.5", confidence=0.9))
    assert (plain.verdict, plain.interval, plain.reason) == (
        "PASS",
        None,
        "no interval is claimed: no output has rate as its mean over the rows",
    )
    assert (bound.verdict, bound.reason) == (
        "ERROR",
        "'confidence' needs the scores of rows, but no output has rate as its mean over the rows",
    )


# --------------------------------------------------------------------------------------------------- scores of rows


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([1.0, "1.0", 1.0], "row 1: score 'hit' is '1.0', not a number"),
        ([1.0, "(Failed)", 1.0], "row 1: score 'hit' is '(Failed)', not a number"),
        ([1.0, float("nan"), 1.0], "row 1: score 'hit' is nan, not a number"),
        ([1.0, "true", 1.0], "row 1: score 'hit' is 'true', not a number"),
        ([1.0, None, 1.0], "row 1: score 'hit' is missing, not a number"),
        ([1.0, 50.0, 1.0], "row 1: score 'hit' is 50, out of its range 0 to 1"),
    ],
)
def test_a_declared_score_that_is_none_is_an_error(scores: list[Any], reason: str) -> None:
    gate = verdict(cell(scores, rate=1.0), threshold(">= 0.5"), of=declared(low=0, high=1))
    assert (gate.verdict, gate.reason, gate.closes_gate()) == ("ERROR", reason, True)


def test_an_output_of_the_metrics_name_that_is_a_number_in_some_rows_is_an_error() -> None:
    result = cell([1.0, 1.0], hit=1.0)
    broken = cell([1.0, "(Failed)"], hit=1.0)
    assert verdict(result, threshold(">= 0.5", "m.hit")).verdict == "PASS"
    assert verdict(broken, threshold(">= 0.5", "m.hit")).reason == "row 1: score 'hit' is '(Failed)', not a number"


def test_true_and_false_are_scores() -> None:
    gate = verdict(cell([True, False, True, True]), threshold(">= 0.7"))
    assert gate.interval is not None
    assert (gate.verdict, gate.value, gate.interval.method) == ("PASS", 0.75, "Wilson")


def test_declared_scores_that_are_not_the_metric_support_no_interval() -> None:
    gate = verdict(cell([1.0, 0.0, 1.0], rate=0.9), threshold(">= 0.5"), of=declared())
    assert (gate.verdict, gate.interval) == ("PASS", None)
    assert gate.reason == ("no interval is claimed: the mean of 'hit' over the rows is 0.6667, which is not the metric")


def test_a_metric_that_was_rounded_agrees_with_its_scores() -> None:
    assert verdict(cell([1.0, 0.0, 1.0], rate=0.667), threshold(">= 0.5"), of=declared()).interval is not None
    assert verdict(cell([1.0, 0.0, 1.0], rate=0.7), threshold(">= 0.5"), of=declared()).interval is None


def test_two_outputs_with_the_same_mean_are_not_told_apart_by_chance() -> None:
    result = cell([1.0, 0.0])
    rows = tuple(
        replace(row, output={**(row.output or {}), "other": 1 - row.line_number * 0.0 - (row.line_number == 0)})
        for row in result.evaluations["m"].result.rows
    )
    scored = replace(result.evaluations["m"], result=replace(result.evaluations["m"].result, rows=rows))
    gate = verdict(replace(result, evaluations={"m": scored}), threshold(">= 0.5"))
    assert gate.reason == (
        "no interval is claimed: outputs 'hit' and 'other' all have rate as their mean; name the one under 'scores:'"
    )


@pytest.mark.parametrize(("scores", "interval"), [([1.0], None), ([0.5] * 5, None), ([1.0] * 5, "Wilson")])
def test_one_row_and_constant_scores(scores: list[float], interval: str | None) -> None:
    gate = verdict(cell(scores), threshold(">= 0.4"))
    assert gate.verdict == "PASS"
    assert (gate.interval and gate.interval.method) == interval


def test_constant_scores_have_no_bound() -> None:
    gate = verdict(cell([0.5] * 20), threshold(">= 0.4", confidence=0.95))
    assert (gate.verdict, gate.reason) == (
        "INCONCLUSIVE",
        "there is no confidence bound: the scores are too few, or all the same",
    )


def test_coverage_is_a_metric_of_every_evaluator() -> None:
    result = cell([1.0, "(Failed)", 1.0, 1.0], rate=1.0)
    gate = verdict(result, threshold(">= 0.9", "m.coverage"), of=declared())
    assert (gate.verdict, gate.value, gate.n) == ("FAIL", 0.75, 4)
    assert verdict(result, threshold(">= 0.9", "m.coverage")).value == 1.0  # nothing says that this is no score


# ------------------------------------------------------------------------------------------------------ baselines


def test_identical_outputs_pass_at_any_number_of_rows() -> None:
    result = cell([1.0, 0.0, 1.0])
    gate = verdict(result, threshold(margin=0.05), baseline=result)
    assert (gate.verdict, gate.reason) == ("PASS", "all 3 outputs are the same as in the baseline")
    assert gate.rule == "at most 0.05 worse"


def test_a_clear_regression_fails_and_lists_the_rows_that_flipped() -> None:
    before, after = cell([1.0] * 38 + [0.0] * 2), cell([1.0] * 25 + [0.0] * 15)
    gate = verdict(after, threshold(margin=0.05), baseline=before)
    assert gate.comparison is not None
    assert (gate.verdict, gate.comparison.worse[:2]) == ("FAIL", ("row 25", "row 26"))
    assert gate.details[0] == 'worse: row 25: 1 -> 0  was "a1.0"  is "a0.0"  text="t25"'
    assert gate.details[-1] == "and 8 more rows whose score changed"


def test_a_small_drop_that_may_be_chance_is_inconclusive() -> None:
    before, after = cell([1.0] * 30 + [0.0] * 10), cell([1.0] * 28 + [0.0] * 12)
    gate = verdict(after, threshold(margin=0.05), baseline=before)
    assert (gate.verdict, gate.closes_gate()) == ("INCONCLUSIVE", False)
    strict = verdict(after, threshold(margin=0.05), baseline=before, of=experiment(gate={"on_inconclusive": "fail"}))
    assert strict.closes_gate()


def test_under_ten_rows_flips_are_listed_and_nothing_is_claimed() -> None:
    gate = verdict(cell([1.0, 0.0, 0.0]), threshold(margin=0.05), baseline=cell([1.0, 1.0, 1.0]))
    assert gate.comparison is not None
    assert (gate.verdict, gate.comparison.p_value, gate.comparison.worse) == ("INCONCLUSIVE", None, ("row 1", "row 2"))


def test_lower_may_be_better() -> None:
    before, after = cell([0.0] * 40), cell([1.0] * 12 + [0.0] * 28)
    assert verdict(after, threshold(margin=0.05, better="lower"), baseline=before).verdict == "FAIL"
    assert verdict(before, threshold(margin=0.05, better="lower"), baseline=after).verdict == "PASS"


def test_without_scores_of_rows_the_metric_alone_decides() -> None:
    before, after = cell([1.0, 0.0], rate=0.6), cell([0.0, 0.0], rate=0.58)
    gate = verdict(after, threshold(margin=0.05), baseline=before)
    assert (gate.verdict, gate.reason) == (
        "PASS",
        "decided on the metric alone, without an interval: no output has rate as its mean over the rows",
    )
    assert verdict(after, threshold(margin=0.01), baseline=before).verdict == "FAIL"


def test_no_baseline_is_an_error() -> None:
    gate = verdict(cell([1.0]), threshold(margin=0.05))
    assert (gate.verdict, gate.reason) == ("ERROR", "there is no baseline; give one with --llmops-baseline")


def test_a_baseline_of_another_evaluator_is_refused() -> None:
    other = cell([1.0] * 12)
    other = replace(other, evaluations={"m": replace(other.evaluations["m"], digest="v2")})
    gate = verdict(cell([1.0] * 12), threshold(margin=0.05), baseline=other)
    assert gate.verdict == "ERROR"
    assert gate.reason == (
        "baseline: evaluator 'm' has changed since it scored the baseline; "
        "save a new baseline with: llmops baseline save"
    )


def test_a_baseline_with_missing_rows_is_compared_on_what_both_have() -> None:
    scores = [1.0] * 12
    gate = verdict(cell(scores), threshold(margin=0.3), baseline=cell(scores[:11]))
    assert gate.comparison is not None
    assert (gate.verdict, gate.comparison.added) == ("PASS", ("row 11",))
    assert gate.details == ("not in the baseline, not compared: row 11",)
    assert verdict(cell(scores), threshold(margin=0.3), baseline=cell(scores[:5])).verdict == "ERROR"


def test_holm_corrects_over_all_comparisons_of_the_cell() -> None:
    before, after = cell([1.0] * 40), cell([1.0] * 35 + [0.0] * 5)
    alone = verdict(after, threshold(margin=0.05), baseline=before)
    family = [threshold(margin=0.05), *(threshold(margin=0.05, metric=f"m.{name}") for name in ("b", "c"))]
    both = [cell(scores, b=1.0, c=1.0) for scores in ([1.0] * 40, [1.0] * 35 + [0.0] * 5)]
    assert alone.verdict == "FAIL"
    assert alone.comparison is not None
    assert alone.comparison.p_value == pytest.approx(0.5**5)
    among = verdict(both[1], *family, baseline=both[0])
    assert among.comparison is not None
    assert among.comparison.adjusted_p is None  # the others have no scores, so no p-values


# ------------------------------------------------------------------------------------------------- rows that must pass


def test_rows_that_must_pass() -> None:
    scores = [1.0, 0.0, *[1.0] * 38]
    lost = verdict(cell(scores, columns=IDS), threshold(must_pass=("k0", "k1")))
    assert (lost.verdict, lost.reason, lost.details) == ("FAIL", "1 of 2 rows that must pass did not", ("k1",))
    assert verdict(cell(scores, columns=IDS), threshold(must_pass=("k0",))).verdict == "PASS"
    missing = verdict(cell(scores, columns=IDS), threshold(must_pass=("k99",)))
    assert (missing.verdict, missing.reason) == ("ERROR", "must_pass: k99 without a score")
    excused = experiment(gate={"quarantine": ("k1",)})
    assert verdict(cell(scores, columns=IDS), threshold(must_pass=("k0", "k1")), of=excused).verdict == "PASS"


def test_rows_that_passed_have_to_keep_passing() -> None:
    before, after = cell([1.0, 1.0, 0.0], columns=IDS), cell([1.0, 0.0, 1.0], columns=IDS)
    gate = verdict(after, threshold(keep_passing=True), baseline=before)
    assert (gate.verdict, gate.reason, gate.details[0]) == (
        "FAIL",
        "1 row that passed in the baseline no longer does",
        "k1",
    )


# ------------------------------------------------------------------------------------------------------------- slices


def test_slices_keep_their_own_rule() -> None:
    columns = {"lang": ["de"] * 20 + ["fr"] * 20}
    result = cell([1.0] * 20 + [0.0] * 18 + [1.0] * 2, columns=columns)
    gate = verdict(result, threshold(">= 0.5", by="lang"), of=experiment(slices=("lang",)))
    assert (gate.verdict, gate.value, gate.n, gate.name) == ("FAIL", 0.1, 20, "m.rate@lang")
    assert [(part.value, part.score) for part in gate.slices] == [("fr", 0.1), ("de", 1.0)]


def test_a_slice_that_looks_weak_by_chance_is_inconclusive() -> None:
    columns = {"lang": ["de"] * 20 + ["fr"] * 3}
    gate = verdict(
        cell([1.0] * 20 + [0.0, 0.0, 1.0], columns=columns),
        threshold(">= 0.5", by="lang"),
        of=experiment(slices=("lang",)),
    )
    assert (gate.verdict, gate.reason) == (
        "INCONCLUSIVE",
        "1 of 2 slices by lang are outside the rule, none so clearly that it is not chance (Holm over 2 slices)",
    )


def test_the_worst_slices_are_listed_for_every_metric() -> None:
    columns = {"lang": ["de", "fr", "it", "es"] * 3}
    gate = verdict(
        cell([1.0, 0.0, 1.0, 1.0] * 3, columns=columns), threshold(">= 0.5"), of=experiment(slices=("lang",))
    )
    assert [part.value for part in gate.slices] == ["fr", "de", "es"]


# ------------------------------------------------------------------------------------------------------------ repeats


@pytest.mark.parametrize(
    ("reduce", "value"),
    [("mean", 0.5), ("median", 0.5), ("all", 0.25), ("any", 0.75), ("2-of-3", 0.5), ("1-of-3", 0.75)],
)
def test_repeats_are_reduced_within_the_row(reduce: str, value: float) -> None:
    repeats = ([1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0])
    gate = verdict(cell(*repeats), threshold(">= 0.1"), of=experiment(gate={"repeat": 3, "reduce": reduce}))
    assert (gate.verdict, gate.n) == ("PASS", 4)
    assert gate.value == pytest.approx(value)


def test_a_repeat_that_broke_is_an_error() -> None:
    result = cell([1.0, 1.0], [1.0, 1.0])
    broken = replace(result.repeats[0], run=RunResult(status="Failed", error="late"))
    gate = verdict(replace(result, repeats=(broken,)), threshold(">= 0.1"))
    assert (gate.verdict, gate.reason) == ("ERROR", "repeat 1: the run failed: late")


def test_a_metric_without_scores_of_rows_can_only_be_averaged() -> None:
    result = cell([1.0, 0.0], [1.0, 0.0], rate=0.9)
    assert verdict(result, threshold(">= 0.1")).value == pytest.approx(0.9)
    gate = verdict(result, threshold(">= 0.1"), of=experiment(gate={"repeat": 2, "reduce": "all"}))
    assert (gate.verdict, gate.reason) == (
        "ERROR",
        "'reduce: all' needs the scores of rows, but no output has rate as its mean over the rows",
    )


# -------------------------------------------------------------------------------------------------- metrics of the run


def timed(*seconds: float, llm_calls: int = 0, usage: Mapping[str, Tokens] = {}) -> CellResult:
    """A cell whose rows took so long, and used so many tokens each."""
    total = Tokens(total=sum(tokens.total for tokens in usage.values()))
    rows = tuple(
        Row(line_number=number, inputs={}, output={"a": 1}, duration=duration, tokens=total, usage=usage)
        for number, duration in enumerate(seconds)
    )
    run = RunResult(status="Completed", rows=rows, duration=sum(seconds), llm_calls=llm_calls)
    return replace(cell([1.0] * len(seconds)), run=run)


@pytest.mark.parametrize(
    ("metric", "value"), [("latency_p50", 2.0), ("latency_p95", 4.0), ("latency_max", 4.0), ("duration", 10.0)]
)
def test_latencies_are_ones_that_were_seen(metric: str, value: float) -> None:
    gate = verdict(timed(3, 1, 4, 2), threshold("<= 2500 ms", f"run.{metric}"))
    assert (gate.value, gate.verdict) == (value, "PASS" if value <= 2.5 else "FAIL")


def test_the_latency_of_recorded_answers_is_inconclusive() -> None:
    replayed = replace(timed(1, llm_calls=1), llm="replay")
    gate = verdict(replayed, threshold("<= 3", "run.latency_p95"))
    assert (gate.verdict, gate.reason.split("; ")[-1]) == (
        "INCONCLUSIVE",
        "answers of the LLM are recorded, so this is not the time that the service takes",
    )
    assert verdict(replace(timed(1), llm="replay"), threshold("<= 3", "run.latency_p95")).verdict == "PASS"


def test_cost_is_tokens_by_price() -> None:
    used = {"small-2024": Tokens(prompt=1000, completion=500, total=1500), "big": Tokens(prompt=10, total=10)}
    prices = {"small-*": Price(prompt=1.0, completion=2.0), "big": Price(prompt=100.0, completion=0.0)}
    gate = verdict(timed(1, 1, usage=used), threshold("<= 1", "run.cost"), of=experiment(prices=prices))
    assert gate.verdict == "PASS"
    assert gate.value == pytest.approx(2 * (0.001 + 0.001 + 0.001))
    unknown = verdict(timed(1, usage=used), threshold("<= 1", "run.cost"), of=experiment(prices={"big": prices["big"]}))
    assert (unknown.verdict, unknown.reason) == (
        "ERROR",
        "model 'small-2024' has no price; add it under llmops.prices",
    )


def test_tokens_of_an_unknown_model_have_no_cost() -> None:
    row = Row(line_number=0, inputs={}, output={"a": 1}, tokens=Tokens(total=7))
    result = replace(cell([1.0]), run=RunResult(status="Completed", rows=(row,)))
    assert verdict(result, threshold("<= 1", "run.cost")).reason == ("row 0 used 7 tokens of a model that is not known")


# ---------------------------------------------------------------------------------- what once let a gate stay open


def renamed(result: CellResult, name: str, **more: Any) -> CellResult:
    """The same cell, whose evaluator calls its score otherwise, and has other outputs too."""
    evaluation = result.evaluations["m"]
    rows = tuple(replace(row, output={name: (row.output or {})["hit"], **more}) for row in evaluation.result.rows)
    return replace(result, evaluations={"m": replace(evaluation, result=replace(evaluation.result, rows=rows))})


@pytest.mark.parametrize("lacking", [None, "(Failed)", float("nan")])
def test_an_evaluator_that_averages_what_it_has_is_an_error(lacking: Any) -> None:
    result = cell([1.0] * 5 + [lacking] * 15, rate=1.0)
    gate = verdict(result, threshold(">= 0.9"))
    assert gate.verdict == "ERROR"
    assert gate.reason.startswith("row 5: score 'hit' is ")
    assert gate.reason.endswith("(and 12 more rows)")


def test_what_passes_has_to_be_said_of_scores_that_are_not_0_and_1() -> None:
    result = cell([1.0, 5.0, 3.0], columns=IDS)
    gate = verdict(result, threshold(must_pass=("k0",)))
    problem = "scores go from 1 to 5; say with 'pass_mark' from which one on a row passes"
    assert (gate.verdict, gate.reason) == ("ERROR", f"must_pass: {problem}")
    assert verdict(result, threshold(must_pass=("k0",), pass_mark=4)).verdict == "FAIL"
    kept = verdict(result, threshold(keep_passing=True), baseline=result)
    assert (kept.verdict, kept.reason) == ("ERROR", f"keep_passing: {problem}")
    most = experiment(gate={"repeat": 3, "reduce": "2-of-3"})
    gate = verdict(cell([5.0, 5.0], [5.0, 5.0], [1.0, 5.0]), threshold("<= 1", better="lower"), of=most)
    assert (gate.verdict, gate.reason) == ("ERROR", f"'reduce: 2-of-3': {problem}")


def test_nothing_to_keep_is_no_pass() -> None:
    gate = verdict(cell([0.0, 0.0]), threshold(keep_passing=True), baseline=cell([0.0, 0.0]))
    assert (gate.verdict, gate.reason) == ("INCONCLUSIVE", "no row passed in the baseline, so none could fail")


def test_other_numbers_of_repeats_are_not_compared_where_that_is_unfair() -> None:
    best = experiment(gate={"reduce": "any"})
    gate = verdict(cell([0.0, 1.0], [1.0, 0.0]), threshold(margin=0.05), baseline=cell([1.0, 0.0]), of=best)
    assert (gate.verdict, gate.reason) == (
        "ERROR",
        "baseline: each row was run 1 times, and here 2 times, and 'reduce: any' depends on that",
    )


def test_rows_that_fail_in_other_repeats_add_up() -> None:
    result = cell([1.0] * 6, [1.0] * 6)
    repeat = result.repeats[0]
    first, second = (
        replace(each, result=replace(each.result, rows=rows))
        for each, rows in (
            (result.evaluations["m"], result.evaluations["m"].result.rows[:4]),
            (repeat.evaluations["m"], repeat.evaluations["m"].result.rows[2:]),
        )
    )
    broken = replace(result, evaluations={"m": first}, repeats=(replace(repeat, evaluations={"m": second}),))
    lenient = experiment(gate={"repeat": 2, "max_failed_rows": 2})
    gate = verdict(broken, threshold(">= 0.5"), of=lenient)
    assert (gate.verdict, gate.reason) == (
        "ERROR",
        "2 of 6 rows were scored in every repeat, max_failed_rows is 2",
    )


def without(result: CellResult, *numbers: int) -> CellResult:
    """The cell where these rows failed."""
    rows = tuple(
        replace(row, output=None, error="late") if row.line_number in numbers else row for row in result.run.rows
    )
    evaluation = result.evaluations["m"]
    scored = tuple(row for row in evaluation.result.rows if row.line_number not in numbers)
    evaluated = replace(evaluation, result=replace(evaluation.result, rows=scored))
    return replace(result, run=replace(result.run, rows=rows), evaluations={"m": evaluated})


def test_rows_that_fail_now_are_not_forgotten_in_a_comparison() -> None:
    before = cell([1.0] * 60, columns={"id": [f"k{number}" for number in range(60)]})
    lenient = experiment(gate={"max_failed_rows": 3})
    after = without(before, 0, 1, 2)
    gate = verdict(after, threshold(margin=0.05), baseline=before, of=lenient)
    assert gate.verdict == "INCONCLUSIVE"
    assert gate.reason.startswith("3 rows that have a score in the baseline have none now; ")
    kept = verdict(after, threshold(keep_passing=True), baseline=before, of=lenient)
    assert (kept.verdict, kept.details[0]) == ("FAIL", "k0, k1, k2")


def test_other_outputs_are_not_the_same_score() -> None:
    before, after = renamed(cell([1.0, 0.0]), "hit"), renamed(cell([1.0, 0.0]), "length")
    gate = verdict(after, threshold(margin=0.05), baseline=before)
    assert (gate.verdict, gate.reason) == (
        "PASS",
        "decided on the metric alone, without an interval: the scores are in 'length' now and in 'hit' in the baseline",
    )


def test_the_metric_alone_is_not_compared_over_other_rows() -> None:
    before, after = cell([1.0, 0.0, 1.0], rate=0.9), cell([1.0, 0.0], rate=0.95)
    gate = verdict(after, threshold(margin=0.05), baseline=before)
    assert (gate.verdict, gate.reason) == (
        "INCONCLUSIVE",
        "the metric alone is not of the same rows as in the baseline, and no output has rate as its mean over the rows",
    )


@pytest.mark.parametrize("saved", [False, True])
def test_the_first_rows_of_a_session_are_the_same_rows_on_both_sides(saved: bool) -> None:
    before, after = (replace(cell([1.0, 0.0], rate=rate), partial=True) for rate in (0.9, 0.95))
    demanded, of = threshold(margin=0.05), experiment()
    reference = Reference(name="flow", cell=before, saved=saved)
    found = contrast(after, measure(after, demanded, of), demanded, of, reference)
    assert isinstance(found, Contrast)
    assert found.whole is not saved


def test_clusters_that_are_not_known_are_an_error() -> None:
    gate = verdict(cell([1.0] * 20), threshold(">= 0.5"), of=experiment(gate={"cluster": "document"}))
    assert (gate.verdict, gate.reason) == (
        "ERROR",
        "column 'document', which says what rows belong together, was not read from the data",
    )


def test_a_slice_that_is_outside_in_every_row_fails() -> None:
    columns = {"lang": ["de"] * 50 + ["fr"] * 10}
    gate = verdict(
        cell([2.0] * 50 + [5.0] * 10, columns=columns), threshold(">= 4", by="lang"), of=experiment(slices=("lang",))
    )
    assert (gate.verdict, gate.value) == ("FAIL", 2.0)


def test_a_baseline_of_the_first_rows_is_refused() -> None:
    gate = verdict(cell([1.0] * 20), threshold(margin=0.3), baseline=replace(cell([1.0] * 12), partial=True))
    assert gate.verdict == "ERROR"
    assert gate.reason.startswith("baseline: the baseline has only the first 12 rows of its dataset; save a new")


def test_the_time_of_reused_rows_is_none() -> None:
    used = {"small": Tokens(prompt=1, total=1)}
    replayed = replace(timed(1, 2, usage=used), llm="replay")
    assert verdict(replayed, threshold("<= 3", "run.latency_max")).verdict == "INCONCLUSIVE"
    some = timed(1, 2)
    reused = replace(some, run=replace(some.run, rows=(replace(some.run.rows[0], recorded=1.0), some.run.rows[1])))
    gate = verdict(reused, threshold("<= 9", "run.duration"))
    assert (gate.verdict, gate.reason) == (
        "INCONCLUSIVE",
        "some of the rows were reused, so this is not the time of a whole run",
    )


def test_a_number_beyond_all_floats_is_an_error() -> None:
    gate = verdict(cell([1.0], rate=10**400), threshold(">= 0.5"))
    assert (gate.verdict, gate.reason) == ("ERROR", "metric 'rate' is too large, not a finite number")


def test_scores_that_are_guessed_are_named() -> None:
    gate = verdict(cell([1.0] * 40), threshold(">= 0.8", confidence=0.95))
    assert (gate.verdict, gate.reason) == (
        "PASS",
        "95 % confidence bound (Clopper-Pearson) 0.9278; the scores are taken from 'hit', which is the same in every "
        "row; name the output under 'scores:' of evaluator 'm' to be sure",
    )
    assert "taken from" not in verdict(cell([1.0] * 40), threshold(">= 0.8", confidence=0.95), of=declared()).reason


def test_a_baseline_of_an_unknown_evaluator_version_is_refused() -> None:
    old = cell([1.0] * 12)
    old = replace(old, evaluations={"m": replace(old.evaluations["m"], digest="")})
    gate = verdict(cell([1.0] * 12), threshold(margin=0.3), baseline=old)
    assert (gate.verdict, gate.reason) == (
        "ERROR",
        "baseline: it is not known by which version of the evaluator it was scored; "
        "save a new baseline with: llmops baseline save",
    )
