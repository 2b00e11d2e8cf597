"""Noise of metrics: figures against simulated noise that is known."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_llmops.records.experiment import Experiment, Flow, Threshold
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, Repeat
from pytest_llmops.records.run import Row, RunResult, Variant
from pytest_llmops.reports.noise import as_yaml, noise_lines
from pytest_llmops.reports.text import neutralise
from pytest_llmops.stats.noise import (
    Proposal,
    flip_rate,
    most_that_fits,
    propose,
    rerun_error,
    sampling_error,
    spread,
)
from pytest_llmops.stats.reruns import noise_of

ROWS = 40


def simulate(chances: list[float], repeats: int, seed: int) -> list[list[float]]:
    """Draw 0/1 scores: a line for each row, whose chance to pass is known."""
    draw = random.Random(seed).random
    return [[float(draw() < chance) for _ in range(repeats)] for chance in chances]


def metric(scores: list[list[float]]) -> list[float]:
    return [statistics.fmean(column) for column in zip(*scores, strict=True)]


def test_a_spread_is_described() -> None:
    found = spread([0.8, 0.9, 0.85, 0.8])
    assert (found.low, found.high, found.pairs) == (0.8, 0.9, 6)
    assert found.mean == pytest.approx(0.8375)
    assert found.sd == pytest.approx(0.0478714)
    assert found.largest == found.usual == pytest.approx(0.1)


def test_the_usual_difference_holds_95_percent_of_pairs() -> None:
    values = [0.0] * 20 + [1.0]  # 190 of 210 pairs are equal, which is under 95 %
    assert spread(values).usual == 1
    values = [0.0] * 40 + [1.0]  # 780 of 820 are
    assert spread(values).usual == 0


def test_one_repeat_says_nothing() -> None:
    with pytest.raises(ValueError, match=r"^noise needs at least 2 repeats, and there is 1$"):
        spread([0.8])


def test_the_rerun_error_of_known_noise_is_found() -> None:
    chances = [0.5] * 10 + [0.9] * 10 + [1.0] * 20
    true = math.sqrt(sum(p * (1 - p) for p in chances)) / ROWS
    found = statistics.fmean(rerun_error(simulate(chances, 10, seed)) for seed in range(200))
    assert found == pytest.approx(true, rel=0.02)


def test_the_sampling_error_does_not_shrink_with_repeats() -> None:
    drawn = random.Random(1)

    def average(repeats: int) -> float:
        errors = []
        for seed in range(200):
            chances = [drawn.betavariate(4, 1) for _ in range(ROWS)]
            errors.append(sampling_error(simulate(chances, repeats, seed)))
        return statistics.fmean(errors)

    true = math.sqrt(4 / (25 * 6)) / math.sqrt(ROWS)  # the variance of Beta(4, 1) is 4 / 150
    assert average(20) == pytest.approx(true, rel=0.05)
    assert average(5) == pytest.approx(true, rel=0.15)


def test_a_proposed_number_of_repeats_lets_unchanged_versions_pass() -> None:
    chances = [0.5] * 8 + [1.0] * 32
    scores = simulate(chances, 10, 3)
    proposal = propose(spread(metric(scores)), rerun_error(scores), ROWS)
    error = math.sqrt(2 * sum(p * (1 - p) for p in chances) / proposal.repeat) / ROWS
    draw = random.Random(4)
    differences = [draw.gauss(0, error) for _ in range(4000)]
    passing = sum(difference - 1.645 * error > -proposal.margin for difference in differences) / 4000
    assert passing > 0.93
    assert proposal.repeat > 1
    assert proposal.passes_once < 0.95


def test_a_margin_is_never_below_the_weight_of_a_row() -> None:
    assert propose(spread([0.9, 0.9, 0.9]), 0.001, 30).margin == 0.034
    assert propose(spread([0.9, 0.9, 0.9]), 0.001, 40).margin == 0.025
    assert propose(spread([0.5, 0.9]), 0.1, 40).margin == 0.4


def test_where_rows_are_not_known_the_margin_is_the_difference_alone() -> None:
    assert propose(spread([0.9, 0.91, 0.9]), 0.006, None).margin == 0.01


@pytest.mark.parametrize(("passed", "rate"), [("ppp", 0), ("ppf", 1 / 3), ("ffp", 1 / 3), ("pf", 0.5)])
def test_a_flip_is_what_differs_from_the_majority(passed: str, rate: float) -> None:
    assert flip_rate([letter == "p" for letter in passed]) == pytest.approx(rate)


@given(st.lists(st.booleans(), min_size=1))
def test_no_row_flips_more_than_half_of_the_time(passed: list[bool]) -> None:
    assert 0 <= flip_rate(passed) <= 0.5


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=30))
def test_proposals_are_finite_for_any_scores(scores: list[list[float]]) -> None:
    found, error = spread(metric(scores)), rerun_error(scores)
    proposal = propose(found, error, len(scores))
    assert proposal.margin >= max(found.usual, 1 / len(scores)) * (1 - 1e-6)
    assert proposal.repeat >= 1
    assert 0 <= proposal.passes_once <= 1


def test_what_was_not_seen_may_still_happen() -> None:
    assert most_that_fits(10) == pytest.approx(0.2589, abs=1e-4)
    assert most_that_fits(59) == pytest.approx(0.05, abs=1e-3)


FLOW = Flow(name="f", kind="callable", file=Path("f.py"), folder=Path())
EXPERIMENT = Experiment(
    name="sorting",
    file=Path("experiment.yaml"),
    env=None,
    flow=FLOW,
    datasets=(),
    evaluators=(),
    thresholds=(Threshold(evaluator="check", metric="accuracy", file="experiment.yaml", line=7),),
)


def execution(scores: Sequence[float | None], *, logged: float | None = None, output: str = "accuracy") -> Repeat:
    """One execution: the score of each row, or None where it failed."""
    rows = tuple(
        Row(line_number=number, inputs={}, output=None if score is None else {output: score}, error="failed")
        for number, score in enumerate(scores)
    )
    known = [score for score in scores if score is not None]
    metrics = {"accuracy": statistics.fmean(known) if logged is None else logged, "note": "text"}
    result = RunResult(status="Completed", rows=rows, metrics=metrics)
    run = replace(result, metrics={}, llm_calls=len(rows))
    return Repeat(
        run=run,
        evaluations={"check": Evaluation(evaluator="check", dataset="d", expected_rows=len(rows), result=result)},
    )


def cell(*executions: Repeat, key: bool = True) -> CellResult:
    first, *others = executions
    return CellResult(
        cell=Cell(experiment="e", use_case="u", flow="f", dataset="d", variant=Variant()),
        run=first.run,
        evaluations=first.evaluations,
        repeats=tuple(others),
        columns={"id": ("a", "b", "c", "d", "e")} if key else {},
        key="id" if key else None,
    )


def lines(*executions: Repeat, key: bool = True) -> list[str]:
    return noise_lines("sorting", [noise_of(cell(*executions, key=key), EXPERIMENT)])[2:]


def test_noise_is_shown_with_what_follows_from_it() -> None:
    runs = [execution([1, 1, 1, 1, score]) for score in (1, 0, 1, 1, 0, 1)]
    assert lines(*runs) == [
        "f-d-default: 6 runs of 5 rows",
        "  metric            mean      sd  lowest  highest  largest diff  rerun SE  rows SE  rows that flip",
        "  check.accuracy  0.9333  0.1033     0.8        1           0.2    0.1033  0.05164          1 of 5",
        "  check.accuracy: share of repeats in which a row flips: e 0.3333",
        "  check.accuracy: margin: 0.2 (95 % of the 15 pairs of repeats differ by at most 0.2; one row weighs 0.2)",
        "  check.accuracy: repeat: 6 (an unchanged version passes that margin in 39% of cases with one run, "
        "in at least 95% with 6)",
        "",
        "to put into the experiment file, under 'gate:' of 'llmops:':",
        "    repeat: 6",
        '    quarantine: ["e"]  # flip in more than 20% of repeats',
        "experiment.yaml:7: check.accuracy: margin: 0.2",
    ]


def test_rows_that_failed_in_some_repeat_are_left_out_and_named() -> None:
    found = noise_of(cell(execution([1, 0, 1]), execution([1, None, 1]), execution([1, 1, None])), EXPERIMENT)
    assert found.left_out == ("b", "c")
    assert [metric.rows for metric in found.metrics] == [1]
    assert "  failed in some repeat, so not in the figures of rows: b, c" in noise_lines("sorting", [found])


def test_a_metric_without_scores_of_rows_is_known_for_the_whole_only() -> None:
    runs = [execution([1, 0], logged=value) for value in (0.7, 0.8, 0.7)]
    said = lines(*runs)
    assert said[2].split()[-2:] == ["?", "?"]
    assert said[3] == (
        "  check.accuracy: no output has accuracy as its mean over the rows, so its noise is known for the whole only"
    )
    assert said[4] == "  check.accuracy: margin: 0.1 (95 % of the 3 pairs of repeats differ by at most 0.1)"


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        ([execution([1, 1])], "noise needs at least 2 repeats, and there is 1"),
        (
            [execution([1, 1]), execution([1, 1], logged=math.nan)],
            "repeat 1: evaluator 'check': metric 'accuracy' is nan, not a finite number",
        ),
        ([execution([1, 1]), execution([None, None], logged=0)], "repeat 1: every row failed: rows 0, 1: failed"),
    ],
)
def test_nothing_is_told_of_what_can_not_be_measured(runs: list[Repeat], problem: str) -> None:
    assert lines(*runs) == [f"f-d-default: {len(runs)} runs of 2 rows", f"  ERROR {problem}"]


def test_equal_repeats_do_not_show_that_there_is_no_noise() -> None:
    assert lines(*[execution([1, 0])] * 10)[-1] == (
        "  all repeats are equal: nothing to propose. "
        "A row that flips in up to 26% of runs may still stay unseen in 10 of them"
    )


@pytest.mark.parametrize(("calls", "steady"), [(0, True), (None, False)])
def test_a_flow_is_deterministic_only_where_it_is_known_that_it_asked_no_model(calls: int | None, steady: bool) -> None:
    made = execution([1, 0])
    runs = [replace(made, run=replace(made.run, llm_calls=calls))] * 3
    assert ("no LLM was called" in lines(*runs)[-1]) is steady


def test_without_a_key_rows_have_numbers() -> None:
    runs = [execution([1, 1, 1, 1, score]) for score in (1, 0, 1, 0, 1)]
    assert noise_of(cell(*runs, key=False), EXPERIMENT).quarantine == ("row 4",)


@pytest.mark.parametrize("passed", [(1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 1, 1)])
def test_few_repeats_or_a_single_flip_are_no_reason_for_quarantine(passed: tuple[int, ...]) -> None:
    runs = [execution([1, 1, 1, 1, score]) for score in passed]
    found = noise_of(cell(*runs), EXPERIMENT)
    assert list(found.metrics[0].flips) == ["e"]
    assert (found.quarantine, found.too_noisy) == ((), False)


def test_where_many_rows_flip_none_is_proposed_for_quarantine() -> None:
    said = lines(*[execution([1, 1, 1, score, 1 - score]) for score in (1, 0, 1, 0, 1)])
    assert "  check.accuracy: share of repeats in which a row flips: d 0.4, e 0.4" in said
    assert (
        "  2 of 5 rows flip in more than 20% of repeats: the flow is too noisy for gates row by row, and no row is "
        "proposed for quarantine; repeat rows, or lower the temperature"
    ) in said
    assert not any("quarantine:" in line for line in said)


def test_more_repeats_than_are_worthwhile_are_said_and_not_proposed() -> None:
    draw = random.Random(7).random
    runs = [execution([float(draw() < 0.5) for _ in range(40)]) for _ in range(3)]
    found = noise_of(cell(*runs, key=False), EXPERIMENT)
    metric = replace(found.metrics[0], proposal=Proposal(margin=0.034, repeat=57, passes_once=0.1))
    said = noise_lines("sorting", [replace(found, metrics=(metric,))])
    assert (
        "  check.accuracy: only 57 repeats would have an unchanged version pass that margin in 95% of cases; "
        "widen the margin, or lower the temperature"
    ) in said
    assert not any("repeat: " in line for line in said)


def test_scores_without_a_mark_to_pass_are_not_said_to_flip() -> None:
    said = lines(*[execution([1, 3, 5, 4, score]) for score in (1, 2, 5, 4, 3, 2)])
    assert said[2].endswith(" ?")
    assert said[3] == (
        "  check.accuracy: which rows flip can't be told: scores go from 1 to 5; "
        "say with 'pass_mark' from which one on a row passes"
    )


@given(st.lists(st.text(alphabet=st.characters(codec=None)), max_size=4))
@example(
    ["##vso[task.complete result=Failed]", "a" * 300, "yes", "012", "1e5", "", "x # y", "caf\u00e9", "\x1b[31m", "a, b"]
)
def test_keys_read_back_from_yaml_as_they_are(keys: list[str]) -> None:
    text = as_yaml(keys)
    assert yaml.safe_load(text) == keys
    assert neutralise(text) == text
    assert "\n" not in text
