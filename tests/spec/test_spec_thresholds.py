"""Thresholds from every place they may be written to, and demands that can't be met."""

from __future__ import annotations

import pytest
from spec_case import Case

from pytest_llmops.records.experiment import Experiment

FILE = "evals/case/experiment.yaml"


def demanded(experiment: Experiment) -> set[tuple[str, str | None, str]]:
    return {(threshold.name, threshold.dataset, threshold.rule.text) for threshold in experiment.thresholds}


@pytest.fixture
def levels(case: Case) -> Case:
    """A metric with a threshold on each level, the strictest below."""
    case.append("llmops:\n  thresholds: {score.f1: '>= 0.4', score.other: '> 0', run.error_rate: '<= 0'}\n")
    case.edit("experiment.yaml", "- name: score\n", "- name: score\n  thresholds: {f1: '>= 0.5'}\n")
    case.append("", "experiment.yaml")
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    thresholds: {f1: '>= 0.6'}\n")
    return case


def test_dataset_before_evaluator_before_file(levels: Case) -> None:
    assert demanded(levels.load()) == {
        ("score.f1", None, ">= 0.5"),
        ("score.f1", "rows", ">= 0.6"),
        ("score.other", None, "> 0"),
        ("run.error_rate", None, "<= 0"),
    }


def test_overlay_before_all(levels: Case) -> None:
    levels.write("experiment.dev.yaml", "llmops:\n  thresholds: {score.f1: {min: 0.1, severity: warn}}\n")
    experiment = levels.load(env="dev")
    (threshold,) = (threshold for threshold in experiment.thresholds if threshold.metric == "f1")

    assert (threshold.rule.text, threshold.dataset, threshold.severity) == (">= 0.1", None, "warn")
    assert (threshold.file, threshold.line) == ("evals/case/experiment.dev.yaml", 2)
    assert ("score.other", None, "> 0") in demanded(experiment)


def test_threshold_knows_where_it_was_written(levels: Case) -> None:
    lines = {(t.metric, t.dataset): (t.file, t.line) for t in levels.load().thresholds}

    assert lines[("f1", None)] == (FILE, 10)
    assert lines[("f1", "rows")] == (FILE, 15)


def test_evaluator_names_with_dots(case: Case) -> None:
    case.edit("experiment.yaml", "- name: score\n", "- name: score.v2\n  flow: score\n")
    case.append("llmops: {thresholds: {score.v2.f1.macro: '> 0'}}\n")
    (threshold,) = case.load().thresholds

    assert (threshold.evaluator, threshold.metric) == ("score.v2", "f1.macro")


GRAMMAR = "write '>= 0.8', '< 5', '== 1', '>= 80 %', '<= 3 s', '>= 0.7 and <= 0.9', or {min: 0.8, max: 1}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scor.f1: '> 0'", "llmops.thresholds.scor.f1: there is no evaluator 'scor'; did you mean 'score'?"),
        ("f1: '> 0'", "llmops.thresholds.f1: names no evaluator; write evaluator.metric or run.metric"),
        ("score.: '> 0'", "llmops.thresholds.score.: there is no evaluator 'score'; evaluators: 'score', 'run'"),
        ("run.eror_rate: '> 0'",
         "llmops.thresholds.run.eror_rate: a run has no metric 'eror_rate'; did you mean 'error_rate'?"),
        ("run.cost: '< 3'", "run.cost: nothing tells what tokens cost; add llmops.prices"),
        ("run.duration: '< 0 s'",
         "run.duration: with 3 rows in dataset 'rows', no result can be '< 0 s'; correct the rule"),
        ("run.latency_p95: '< 50 %'", "llmops.thresholds.run.latency_p95: '< 50 %' is a share, but 'run.latency_p95' "
         "is a duration; write seconds, such as '<= 3 s'"),
        ("run.total_tokens: '< 50 %'", "llmops.thresholds.run.total_tokens: '< 50 %' is a share, but "
         "'run.total_tokens' is none; write a number without a unit"),
        ("run.rows: '< 5 s'", "llmops.thresholds.run.rows: '< 5 s' is a duration, but 'run.rows' is none; "
         "write a number without a unit"),
        ("score.f1: '< 500 ms'", "llmops.thresholds.score.f1: '< 500 ms' is a duration, but 'score.f1' is none; "
         "write a number without a unit"),
        ("score.f1: high", f"llmops.thresholds.score.f1: 'high' is not a rule; {GRAMMAR}"),
        ("score.f1: 0.8", f"llmops.thresholds.score.f1: 0.8 is not a rule; {GRAMMAR}"),
        ("score.f1: [1]", f"llmops.thresholds.score.f1: [1] is not a rule; {GRAMMAR}"),
        ("score.f1:", f"llmops.thresholds.score.f1: None is not a rule; {GRAMMAR}"),
        ("score.f1: {severity: warn}", "llmops.thresholds.score.f1: demands nothing; "
         "write min, max, max_drop, margin, must_pass or keep_passing"),
        ("score.f1: {min: 2, max: 1}",
         "llmops.thresholds.score.f1: min 2.0 is above max 1.0: no value can satisfy it"),
        ("score.f1: {rule: '> 0'}", "llmops.thresholds.score.f1.rule: unknown key; "
         "known keys: 'min', 'max', 'severity', 'confidence', 'max_drop', 'margin', 'better', 'must_pass', "
         "'keep_passing', 'pass_mark'"),
        ("score.f1: {min: high}",
         "llmops.thresholds.score.f1.min: expected a number, but YAML reads this as the text 'high'; correct it"),
        ("score.f1: {min: 1, severity: error}",
         "llmops.thresholds.score.f1.severity: 'error' is not a choice; write 'fail' or 'warn'"),
        ("run.error_rate: '> 1'", "run.error_rate: with 3 rows in dataset 'rows', no result can be '> 1'; "
         "correct the rule"),
        ("run.rows: '>= 4'", "run.rows: with 3 rows in dataset 'rows', no result can be '>= 4'; correct the rule"),
        ("run.total_tokens: '< 0'",
         "run.total_tokens: with 3 rows in dataset 'rows', no result can be '< 0'; correct the rule"),
    ],
)  # fmt: skip
def test_thresholds_that_can_not_be(case: Case, text: str, message: str) -> None:
    case.append(f"llmops:\n  thresholds:\n    {text}\n")

    assert case.errors() == [f"{FILE}:20: {message}"]


def test_a_bound_nearer_than_one_row(case: Case) -> None:
    case.append(
        "llmops:\n  thresholds:\n    score.f1: '>= 0.9'\n    run.error_rate: '<= 10 %'\n    run.rows: '> 0.1'\n"
    )

    assert case.load(strict=True).warnings == (
        f"{FILE}:20: score.f1: with 3 rows in dataset 'rows', a share of rows can only be '>= 0.9' if no row misses; "
        "add rows or relax the rule",
        f"{FILE}:21: run.error_rate: with 3 rows in dataset 'rows', a share of rows can only be '<= 10 %' if no row "
        "misses; add rows or relax the rule",
    )


def test_more_rows_demanded_than_there_are(case: Case) -> None:
    case.append("llmops:\n  gate: {min_rows: 4}\n")

    assert case.errors() == [
        f"{FILE}:19: llmops.gate.min_rows: demands 4 rows, but dataset 'rows' has 3 rows; lower it or add rows"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("require: some", "require: 'some' is not a choice; write 'default', 'best' or 'all'"),
        ("max_failed_rows: -1", "max_failed_rows: -1 is too small; write 0 or more"),
        ("min_rows: 0", "min_rows: 0 is too small; write 1 or more"),
        ("min_rows: 1.5", "min_rows: expected a whole number, but YAML reads this as the number 1.5; correct it"),
        ("min_rows: on", "min_rows: expected a whole number, but YAML reads this as true; correct it"),
    ],
)
def test_gate_settings_that_can_not_be(case: Case, text: str, message: str) -> None:
    case.append(f"llmops:\n  gate: {{{text}}}\n")

    assert case.errors() == [f"{FILE}:19: llmops.gate.{message}"]


def test_strictly_an_evaluator_needs_thresholds(case: Case) -> None:
    assert case.load().thresholds == ()
    assert case.errors(strict=True) == [
        f"{FILE}:9: evaluators.score: has no thresholds, so nothing is demanded of it; add thresholds"
    ]
