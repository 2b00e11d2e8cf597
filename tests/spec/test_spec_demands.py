"""What a threshold may demand beside a rule: confidence, no loss against a baseline, rows that must pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_case import Case

from pytest_llmops.records.experiment import BaselineSource, Threshold

FILE = "evals/case/experiment.yaml"
BASELINE = "  baseline: baselines/case.json\n"


def demand(case: Case, text: str, baseline: str = BASELINE) -> None:
    """Demand something on line 20 of the file, or 21 below a baseline."""
    case.append(f"llmops:\n{baseline}  thresholds:\n    {text}\n")


def resize(case: Case, rows: int) -> None:
    """Give the dataset and its gold this many rows."""
    case.write("data/rows.jsonl", "".join(f'{{"id": {n}, "text": "t"}}\n' for n in range(rows)))
    case.write("data/gold.jsonl", "".join(f'{{"id": {n}, "label": "l"}}\n' for n in range(rows)))


def name_rows(case: Case) -> None:
    """Name the gold rows by their ids."""
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")


def only(case: Case) -> Threshold:
    (threshold,) = case.load().thresholds
    return threshold


def test_every_demand_is_read(case: Case) -> None:
    name_rows(case)
    resize(case, 20)
    demand(case, "score.f1: {min: 0.8, confidence: 0.95, margin: 0.2, better: higher, must_pass: ['3', '1', '3'], "
           "keep_passing: true, pass_mark: 0.5}")  # fmt: skip
    threshold = only(case)

    assert (threshold.rule.text, threshold.confidence) == (">= 0.8", 0.95)
    assert (threshold.margin, threshold.better) == (0.2, "higher")
    assert (threshold.must_pass, threshold.keep_passing, threshold.pass_mark) == (("3", "1"), True, 0.5)


@pytest.mark.parametrize(
    ("text", "margin", "better"),
    [
        ("score.f1: {max_drop: 0.2}", 0.2, "higher"),
        ("score.f1: {margin: 0.2}", 0.2, "higher"),
        ("score.f1: {min: 0.5, max: 0.9, margin: 0.2}", 0.2, "higher"),
        ("score.f1: {max: 0.9, margin: 0.2}", 0.2, "lower"),
        ("score.f1: {margin: 0.2, better: lower}", 0.2, "lower"),
        ("score.f1: {max: 0.9, max_drop: 0.2, better: higher}", 0.2, "higher"),
        ("run.error_rate: {margin: 0.2}", 0.2, "lower"),
        ("score.f1: '<= 0.9'", None, "lower"),
    ],
)
def test_which_way_is_better(case: Case, text: str, margin: float | None, better: str) -> None:
    demand(case, text)

    assert (only(case).margin, only(case).better) == (margin, better)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("score.f1: {min: 0.5, confidence: 0.5}", "score.f1.confidence: 0.5 is too small; write more than 0.5"),
        ("score.f1: {min: 0.5, confidence: 95}", "score.f1.confidence: 95 is too large; write less than 1"),
        ("score.f1: {confidence: 0.95}", "score.f1: confidence needs a bound to compare with; add min or max"),
        ("score.f1: {max_drop: -0.1}", "score.f1.max_drop: -0.1 is too small; write 0 or more"),
        ("score.f1: {margin: .inf}", "score.f1.margin: inf is not a finite number; correct it"),
        ("score.f1: {max_drop: 0.1, margin: 0.1}", "score.f1: has both max_drop and margin; keep one of them"),
        ("score.f1: {max_drop: 0.1, better: lower}",
         "score.f1.max_drop: max_drop guards against drops, but lower is better here; write margin"),
        ("score.f1: {max: 0.9, max_drop: 0.1}",
         "score.f1.max_drop: max_drop guards against drops, but lower is better here; write margin"),
        ("run.error_rate: {max_drop: 0.1}",
         "run.error_rate.max_drop: max_drop guards against drops, but lower is better here; write margin"),
        ("score.f1: {margin: 0.1, better: more}",
         "score.f1.better: 'more' is not a choice; write 'higher' or 'lower'"),
        ("score.f1: {must_pass: []}", "score.f1.must_pass: is empty; give it a value or remove it"),
        ("score.f1: {must_pass: [1]}",
         "score.f1.must_pass.0: expected text, but YAML reads this as the number 1; put it in quotes"),
        ("score.f1: {keep_passing: false}",
         "score.f1: demands nothing; write min, max, max_drop, margin, must_pass or keep_passing"),
        ("score.f1: {min: 0.1, pass_mark: 0.5}",
         "score.f1.pass_mark: no row is asked whether it passes; "
         "add must_pass or keep_passing, or reduce repeats by k-of-n"),
        ("score.f1: {keep_passing: 'yes'}",
         "score.f1.keep_passing: expected true or false, but YAML reads this as the text 'yes'; correct it"),
        ("run.total_tokens: {margin: 10}", "run.total_tokens: only metrics with a score per row can be compared, "
         "and 'run.total_tokens' has none; write min or max"),
        ("run.rows: {keep_passing: true}", "run.rows: only metrics with a score per row can be compared, "
         "and 'run.rows' has none; write min or max"),
        ("run.latency_p95: {max: 3, confidence: 0.9}", "run.latency_p95: only metrics with a score per row have a "
         "confidence bound, and 'run.latency_p95' has none; leave out confidence"),
        ("run.error_rate: {must_pass: ['1']}", "run.error_rate: only an evaluator's dataset has a key that names rows; "
         "demand must_pass of an evaluator's metric"),
    ],
)  # fmt: skip
def test_demands_that_can_not_be(case: Case, text: str, message: str) -> None:
    demand(case, text)

    assert case.errors() == [f"{FILE}:21: llmops.thresholds.{message}"]


@pytest.mark.parametrize("text", ["score.f1: {max_drop: 0.1}", "score.f1: {keep_passing: true}"])
def test_what_is_compared_needs_a_baseline(case: Case, text: str, tmp_path: Path) -> None:
    demand(case, text, baseline="")
    name = text.partition(":")[0]

    assert case.errors() == [
        f"{FILE}:20: {name}: compares with a baseline, but there is none; set llmops.baseline or --llmops-baseline"
    ]
    assert case.load(baseline=tmp_path).baseline == BaselineSource(path=tmp_path)


@pytest.mark.parametrize(
    ("text", "rows", "message"),
    [
        ("score.f1: {min: 0.8, confidence: 0.95}", 10, "score.f1: with 10 rows in dataset 'rows', '>= 0.8' can't be "
         "shown at 95 % confidence even if every row passes; "
         "it would need 14 rows: add rows, relax the rule, or leave out confidence"),
        ("run.error_rate: {max: 0.05, confidence: 0.95}", 58, "run.error_rate: with 58 rows in dataset 'rows', "
         "'<= 0.05' can't be shown at 95 % confidence even if every row passes; "
         "it would need 59 rows: add rows, relax the rule, or leave out confidence"),
    ],
)  # fmt: skip
def test_confidence_that_so_few_rows_can_not_give(case: Case, text: str, rows: int, message: str) -> None:
    resize(case, rows)
    demand(case, text, baseline="")

    assert case.errors() == [f"{FILE}:20: {message}"]


def test_confidence_that_the_rows_can_give(case: Case) -> None:
    resize(case, 14)
    demand(case, "score.f1: {min: 0.8, confidence: 0.95}")

    assert only(case).confidence == 0.95


@pytest.mark.parametrize(
    ("text", "rows", "warning"),
    [
        ("{max_drop: 0.1}", 3, "with 3 rows in dataset 'rows', nothing can be claimed of a difference from the "
         "baseline: that takes 10 rows; add rows, or write must_pass or keep_passing"),
        ("{max_drop: 0.1}", 24, "with 24 rows in dataset 'rows', a loss of 0.1 can't be ruled out even if no score "
         "changes; it would need 25 rows: add rows, allow more, or write keep_passing"),
        ("{margin: 0}", 24, "no number of rows can show that nothing at all was lost; "
         "allow a little, or write keep_passing"),
    ],
)  # fmt: skip
def test_a_margin_that_so_few_rows_can_not_show(case: Case, text: str, rows: int, warning: str) -> None:
    resize(case, rows)
    demand(case, f"score.f1: {text}")

    assert case.load(strict=True).warnings == (f"{FILE}:21: score.f1: {warning}",)


@pytest.mark.parametrize(("text", "rows"), [("{max_drop: 0.1}", 25), ("{margin: 2}", 10)])
def test_a_margin_that_the_rows_can_show(case: Case, text: str, rows: int) -> None:
    resize(case, rows)
    demand(case, f"score.f1: {text}")

    assert case.load().warnings == ()


def test_must_pass_rows_are_those_of_the_data(case: Case) -> None:
    name_rows(case)
    demand(case, "score.f1: {must_pass: ['1', '7']}")

    assert case.errors() == [
        f"{FILE}:22: score.f1: dataset 'gold' has no row whose 'id' is '7'; there are: '1', '2', '3'"
    ]


def test_must_pass_rows_need_names(case: Case) -> None:
    demand(case, "score.f1: {must_pass: ['1']}")

    assert case.errors() == [
        f"{FILE}:21: score.f1: must_pass needs the rows of dataset 'gold' to have names; set 'key:' there"
    ]


def test_a_metric_that_looks_like_a_message_stays_on_one_line(case: Case) -> None:
    demand(case, '"score.a\\nb": {margin: 0.1}', baseline="")

    assert case.errors() == [
        f"{FILE}:20: 'score.a\\nb': compares with a baseline, but there is none; "
        "set llmops.baseline or --llmops-baseline"
    ]
