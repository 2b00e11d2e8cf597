"""Verdicts in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from report_samples import FEW_SHOT, HOSTILE, comparison, metric_gate, report, run_gate, unsure_gate

from pytest_llmops.records.estimates import Interval, SliceScore
from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import Decision
from pytest_llmops.reports.verdicts import (
    baseline_text,
    decision_line,
    evidence,
    experiments,
    figure,
    headline,
    interval_brackets,
    interval_text,
    value_text,
)

ITEM = "matcher.exact_match_rate[ner_extract-general-terse]"
WILSON = Interval(low=0.4461, high=0.7365, level=0.95, method="Wilson")


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
        (1.2238997442182153e-05, "<= 3 s", "1.224e-05"),
        (-0.00004999999999, "", "-5e-05"),
        (4.9999912345678e-05, "< 5e-05", "4.99999e-05"),
        (1 / 3 * 1e-300, "", "3.333e-301"),
        (0.7999999123456789, ">= 0.8", "0.7999999"),
        (20345.0000123456, "<= 20345", "20345.00001"),
        (math.nextafter(0.8, 0), ">= 0.8", "0.7999999999999999"),
        (0.33333333, ">= 0.8", "0.3333"),
        (math.nan, ">= 0.8", "NaN"),
        (-math.inf, ">= 0.8", "-Infinity"),
        (-0.0, "", "0"),
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


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        (
            metric_gate(value=0.6, n=40, interval=WILSON),
            f"PASS {ITEM}: 0.6, required >= 0.5 (n = 40, 95 % CI 0.45 to 0.74)",
        ),
        (
            unsure_gate(),
            f"INCONCLUSIVE {ITEM}: 0.6, required >= 0.5, at most 0.05 worse, baseline 0.65, "
            "delta -0.05 (95 % bound -0.1537) (n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438)",
        ),
        (
            unsure_gate(rule="", interval=None, comparison=comparison(adjusted_p=0.6875)),
            f"INCONCLUSIVE {ITEM}: 0.6, baseline 0.65, delta -0.05 (95 % bound -0.1537) "
            "(n = 40 common rows, Holm-adjusted p = 0.6875)",
        ),
        (
            unsure_gate(verdict="FAIL", rule="", comparison=comparison(value=0.575, delta=-0.075, n=38, p_value=1e-6)),
            f"FAIL {ITEM}: 0.6, on common rows 0.575, baseline 0.65, delta -0.075 (95 % bound -0.1537) "
            "(n = 40, compared on 38, 95 % CI 0.45 to 0.74, p < 0.0001)",
        ),
        (
            unsure_gate(
                verdict="PASS",
                value=0.65,
                rule="<= 0.7",
                n=5,
                interval=None,
                comparison=comparison(value=0.65, delta=0.0, n=5, interval=None, p_value=None),
            ),
            f"PASS {ITEM}: 0.65, required <= 0.7, baseline 0.65, delta 0 (n = 5 common rows)",
        ),
        (
            unsure_gate(verdict="ERROR", value=None, rule="at most 0.05 worse", n=0, interval=None, comparison=None),
            f"ERROR {ITEM}: no value, required at most 0.05 worse (n = 0)",
        ),
    ],
)
def test_headline_says_what_a_verdict_rests_on(gate: GateResult, line: str) -> None:
    assert headline(gate) == line


def test_a_bound_is_not_rounded_to_the_margin_that_it_misses() -> None:
    near = Interval(low=-0.050001, high=0.01, level=0.9, method="t")
    assert ", delta -0.02 (95 % bound -0.050001) (" in headline(
        unsure_gate(comparison=comparison(delta=-0.02, interval=near))
    )


def test_where_lower_is_better_the_bound_is_the_upper_end() -> None:
    gate = unsure_gate(comparison=comparison(direction="lower", delta=0.02))
    assert ", delta +0.02 (95 % bound +0.0537) (n = 40 " in headline(gate)
    assert baseline_text(gate) == "0.65 (+0.02, 95 % bound +0.0537)"


def test_a_headline_of_the_longest_item_ends_within_what_azure_devops_lists() -> None:
    gate = unsure_gate(
        name="n" * 200,
        cell="c" * 54,
        value=1234.5678,
        rule=">= 1234.5678 and <= 2000",
        comparison=comparison(n=39, adjusted_p=0.1234),
    )
    assert len(f"inconclusive: {headline(gate)}") <= 500
    assert headline(gate).endswith(" (n = 40, compared on 39, 95 % CI 0.45 to 0.74, Holm-adjusted p = 0.1234)")


@pytest.mark.parametrize("text", HOSTILE)
def test_headline_holds_neither_rows_nor_slices(text: str) -> None:
    rows = dict.fromkeys(("worse", "better", "added", "removed", "changed"), (text,))
    gate = unsure_gate(
        comparison=comparison(name=text, test=text, **rows),
        slices=(SliceScore(column=text, value=text, score=0.25, n=4),),
    )
    assert headline(gate) == headline(unsure_gate())


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.4461, 0.7365, "0.45 to 0.74"),
        (0.91234, 0.96234, "0.912 to 0.962"),
        (0.5, 1.0, "0.50 to 1.00"),
        (812.4, 2043.7, "812 to 2044"),
        (1.25, 3.5, "1.2 to 3.5"),
        (-0.001, 0.3, "0.00 to 0.30"),
        (1.0, 1.0, "1 to 1"),
        (-math.inf, 0.3, "-Infinity to 0.3"),
        (math.nan, math.nan, "NaN to NaN"),
    ],
)
def test_an_interval_has_two_digits_of_its_width(low: float, high: float, shown: str) -> None:
    interval = Interval(low=low, high=high, level=0.95, method="t")
    assert interval_text(interval) == shown
    assert interval_brackets(interval) == f"[{shown.replace(' to ', ', ')}]"


def test_what_is_not_there_is_empty() -> None:
    assert (interval_text(None), interval_brackets(None), baseline_text(metric_gate())) == ("", "", "")


@pytest.mark.parametrize(
    ("value", "rule", "shown"), [(1.25, "<= 3 s", "1.25 s"), (1.50001, "<= 1500 ms", "1.50001 s"), (None, "<= 3 s", "")]
)
def test_a_time_has_its_unit(value: float | None, rule: str, shown: str) -> None:
    assert value_text(metric_gate(name="run.latency_p95", value=value, rule=rule, verdict="PASS")) == shown


def test_evidence_is_rows_and_slices() -> None:
    slices = (
        SliceScore(column="language", value="de", score=0.25, n=4, interval=WILSON),
        SliceScore(column="language", value="fr", score=0.5, n=1),
    )
    assert evidence(unsure_gate(slices=slices)) == (
        "worse: row 3: 1 -> 0",
        "better: row 5: 0 -> 1",
        "slice language=de: 0.25 (n = 4, 95 % CI 0.45 to 0.74)",
        "slice language=fr: 0.5 (n = 1)",
    )


def test_baseline_without_an_interval() -> None:
    assert baseline_text(unsure_gate(comparison=comparison(interval=None))) == "0.65 (-0.05)"


def test_decision_open() -> None:
    assert decision_line(report(run_gate())) == "gate: open"


def test_decision_closed_by_gates() -> None:
    assert decision_line(report()) == "gate: closed: 1 of 4 gates failed"


@pytest.mark.parametrize(
    ("gates", "line"),
    [
        ((run_gate(), unsure_gate()), "gate: open"),
        ((run_gate(), unsure_gate(on_inconclusive="fail")), "gate: closed: 1 of 2 gates inconclusive"),
        (
            (metric_gate(FEW_SHOT, value=0.1), unsure_gate(on_inconclusive="fail")),
            "gate: closed: 1 of 2 gates failed, 1 inconclusive",
        ),
        ((metric_gate(FEW_SHOT, value=0.1), unsure_gate()), "gate: closed: 1 of 2 gates failed"),
    ],
)
def test_decision_with_inconclusive_gates(gates: tuple[GateResult, ...], line: str) -> None:
    assert decision_line(report(*gates)) == line


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
