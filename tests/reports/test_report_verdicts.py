"""Verdicts in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from report_samples import metric_gate, report, run_gate

from pytest_llmops.records.report import Decision
from pytest_llmops.reports.verdicts import decision_line, experiments, figure, headline


@pytest.mark.parametrize(
    ("value", "rule", "shown"),
    [
        (None, ">= 0.8", ""),
        (0.625, ">= 0.8", "0.625"),
        (2 / 3, ">= 0.8", "0.6667"),
        (1.0, "", "1"),
        (20345.5, "<= 20000", "20345.5"),
        (0.79999, ">= 0.8", "0.79999"),
        (0.80001, "<= 80 %", "0.80001"),
        (0.00001, "== 0", "1e-05"),
        (0.33333333, ">= 0.8", "0.3333"),
        (math.nan, ">= 0.8", "NaN"),
        (-math.inf, ">= 0.8", "-Infinity"),
    ],
)
def test_figure(value: float | None, rule: str, shown: str) -> None:
    assert figure(value, rule) == shown


def test_headline_of_a_failed_metric() -> None:
    gate = metric_gate(value=0.625, verdict="FAIL", rule=">= 0.8", n=40)
    expected = "FAIL matcher.exact_match_rate[ner_extract-general-terse]: 0.625, required >= 0.8 (n = 40)"
    assert headline(gate) == expected


def test_headline_of_a_metric_without_a_value() -> None:
    gate = metric_gate(value=None, verdict="ERROR", n=None)
    assert headline(gate) == "ERROR matcher.exact_match_rate[ner_extract-general-terse]: no value, required >= 0.5"


def test_headline_of_a_run() -> None:
    assert headline(run_gate()) == "PASS run[ner_extract-general-terse] (n = 2)"


def test_headline_holds_neither_reason_nor_details() -> None:
    gate = metric_gate(reason="the model said x", details=("the model said y",))
    assert "said" not in headline(gate)


def test_decision_open() -> None:
    assert decision_line(report(run_gate())) == "gate: open"


def test_decision_closed_by_gates() -> None:
    assert decision_line(report()) == "gate: closed: 1 of 4 gates failed"


def test_decision_closed_by_something_else() -> None:
    closed = Decision(state="closed", reasons=("nothing was evaluated", "2 items were deselected"))
    shown = decision_line(replace(report(run_gate()), decision=closed))
    assert shown == "gate: closed: nothing was evaluated (and 1 more)"


def test_experiments_known_from_gates_alone_are_not_lost() -> None:
    stray = metric_gate(experiment="evals/a/experiment.yaml")
    assert experiments(report(stray)) == {
        "evals/a/experiment.yaml": "evals/a/experiment.yaml",
        "evals/ner/experiment.yaml": "ner",
    }
