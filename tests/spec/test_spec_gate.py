"""How an experiment is judged: gate, baseline, prices, slices and row scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_case import Case

from pytest_llmops.records.experiment import BaselineSource, GatePolicy, Price, Score

FILE = "evals/case/experiment.yaml"


def name_rows(case: Case) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")


def score_rows(case: Case, text: str) -> None:
    """Set the scores of the evaluator, on line 10."""
    case.edit("experiment.yaml", "- name: score\n", f"- name: score\n  scores: {text}\n")


def test_every_setting_of_the_gate_is_read(case: Case) -> None:
    name_rows(case)
    case.append("llmops:\n  gate: {require: all, max_failed_rows: 1, min_rows: 2, repeat: 3, reduce: 2-of-3, "
                "on_inconclusive: fail, cluster: label, interval: bca, quarantine: ['2', '2']}\n")  # fmt: skip

    assert case.load().gate == GatePolicy(
        require="all",
        max_failed_rows=1,
        min_rows=2,
        repeat=3,
        reduce="2-of-3",
        on_inconclusive="fail",
        cluster="label",
        interval="bca",
        quarantine=("2",),
    )


def test_a_gate_that_is_not_set_is_the_default_one(case: Case) -> None:
    case.append("llmops:\n  gate: {}\n")

    assert case.load().gate == GatePolicy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("repeat: 0", "repeat: 0 is too small; write 1 or more"),
        ("reduce: avg", "reduce: 'avg' is no way to reduce repeats; write mean, median, all, any, or 2-of-3"),
        ("reduce: 1-of-0", "reduce: '1-of-0' is no way to reduce repeats; write mean, median, all, any, or 2-of-3"),
        ("reduce: 3", "reduce: 3 is no way to reduce repeats; write mean, median, all, any, or 2-of-3"),
        ("repeat: 3, reduce: 4-of-3", "reduce: '4-of-3' can't be met; write a number from 1 to 3 before '-of-'"),
        ("repeat: 3, reduce: 0-of-3", "reduce: '0-of-3' can't be met; write a number from 1 to 3 before '-of-'"),
        ("reduce: 2-of-3", "reduce: '2-of-3' is about 3 repeats, but repeat is 1; write repeat: 3"),
        ("on_inconclusive: pass", "on_inconclusive: 'pass' is not a choice; write 'warn' or 'fail'"),
        ("interval: wald", "interval: 'wald' is not a choice; write 't' or 'bca'"),
        ("cluster: lable", "cluster: neither dataset 'rows' nor its gold rows have a column 'lable'; "
         "did you mean 'label'?"),
        ("quarantine: ['2']", "quarantine: rows are named by the key of an evaluator's dataset, and none has one; "
         "set 'key:' there"),
    ],
)  # fmt: skip
def test_settings_of_the_gate_that_can_not_be(case: Case, text: str, message: str) -> None:
    case.append(f"llmops:\n  gate: {{{text}}}\n")

    assert case.errors() == [f"{FILE}:19: llmops.gate.{message}"]


def test_a_quarantined_row_that_there_is_not(case: Case) -> None:
    name_rows(case)
    case.append("llmops:\n  gate: {quarantine: ['2', '9']}\n")

    assert case.errors() == [
        f"{FILE}:20: llmops.gate.quarantine: no dataset has a row whose key is '9'; there are: '1', '2', '3'"
    ]


def test_where_the_baseline_is(case: Case, tmp_path: Path) -> None:
    assert case.load().baseline is None
    assert case.load(baseline=tmp_path / "x.json").baseline == BaselineSource(path=tmp_path / "x.json")

    case.append("llmops:\n  baseline: ../baselines/case.json\n")
    assert case.load().baseline == BaselineSource(path=case.folder.parent / "baselines/case.json")
    assert case.load(baseline=tmp_path / "x.json").baseline == BaselineSource(path=tmp_path / "x.json")

    case.write("experiment.dev.yaml", "llmops:\n  baseline: {variant: long}\n")
    assert case.load(env="dev").baseline == BaselineSource(variant="long")

    case.write("experiment.dev.yaml", "llmops:\n  baseline:\n")
    assert case.load(env="dev").baseline is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("baseline: ''", "baseline: is empty; give it a value or remove it"),
        ("baseline: [a]", "baseline: expected text, but YAML reads this as a list; correct it"),
        ("baseline: {}", "baseline.variant: key is missing; add it"),
        ("baseline: {file: a.json}", "baseline.file: unknown key; known keys: 'variant'"),
        (
            "prices: {gpt-4o: 2.5}",
            "prices.gpt-4o: expected a mapping, but YAML reads this as the number 2.5; correct it",
        ),
        ("prices: {gpt-4o: {prompt: -1, completion: 10}}", "prices.gpt-4o.prompt: -1 is too small; write 0 or more"),
        (
            "prices: {gpt-4o: {prompt: .nan, completion: 10}}",
            "prices.gpt-4o.prompt: nan is not a finite number; correct it",
        ),
        ("prices: {gpt-4o: {prompt: 1}}", "prices.gpt-4o.completion: key is missing; add it"),
    ],
)
def test_baselines_and_prices_that_can_not_be(case: Case, text: str, message: str) -> None:
    case.append(f"llmops:\n  {text}\n")

    assert message in [error.partition("llmops.")[2] for error in case.errors()]


def test_prices_are_for_a_million_tokens_of_a_model(case: Case) -> None:
    case.append("llmops:\n  prices: {gpt-4o: {prompt: 2.5, completion: 10}}\n  thresholds: {run.cost: '<= 0.50'}\n")

    assert case.load().prices == {"gpt-4o": Price(prompt=2.5, completion=10)}


def test_durations_of_a_run_are_seconds(case: Case) -> None:
    case.append("llmops:\n  thresholds: {run.latency_p95: '<= 1500 ms', run.latency_max: '<= 4', run.duration: "
                "{max: 60}, run.latency_p50: '> 0 s and < 1 min'}\n")  # fmt: skip
    rules = {threshold.metric: threshold.rule for threshold in case.load().thresholds}

    assert {metric: rule.high for metric, rule in rules.items()} == {
        "latency_p95": 1.5,
        "latency_max": 4,
        "duration": 60,
        "latency_p50": 60,
    }
    assert rules["latency_p95"].text == "<= 1500 ms"


def test_scores_say_which_output_is_which_metric(case: Case) -> None:
    score_rows(case, "{accuracy: correct, f1: {output: correct, min: 0, max: 1}}")

    assert case.load().evaluators[0].scores == {
        "accuracy": Score(output="correct"),
        "f1": Score(output="correct", low=0, high=1),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{f1: corect}", "f1: flow 'score' has no output 'corect'; did you mean 'correct'?"),
        ("{f1: {output: corect}}", "f1.output: flow 'score' has no output 'corect'; did you mean 'correct'?"),
        ("{f1: {min: 1}}", "f1.output: key is missing; add it"),
        ("{f1: {output: correct, min: 1, max: 1}}", "f1: min 1.0 is not below max 1.0; correct them"),
        ("{f1: 1}", "f1: expected text, but YAML reads this as the number 1; put it in quotes"),
    ],
)
def test_scores_that_can_not_be(case: Case, text: str, message: str) -> None:
    score_rows(case, text)

    assert case.errors() == [f"{FILE}:10: evaluators.score.scores.{message}"]


def test_scores_of_a_flow_whose_outputs_are_not_known(case: Case) -> None:
    case.write("checks.py", "def check(label, answer, mode):\n    return {}\n")
    case.edit("experiment.yaml", "- name: score\n", "- name: score\n  flow: checks:check\n  scores: {f1: anything}\n")

    assert case.load().evaluators[0].scores == {"f1": Score(output="anything")}
