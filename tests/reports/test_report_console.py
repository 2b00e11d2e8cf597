"""What the terminal says: exact, aligned, at most 100 columns wide, and safe to print."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import (
    CREATED,
    FEW_SHOT,
    HOSTILE,
    cell,
    cell_result,
    comparison,
    metric_gate,
    report,
    reused,
    run_gate,
    unsure_gate,
)

from pytest_llmops.records.estimates import SliceScore
from pytest_llmops.records.gate import CellResult, Evaluation, GateResult
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import RunResult, Variant
from pytest_llmops.reports.console import failure_text, inconclusive_lines, summary_lines


def test_failure_text() -> None:
    gate = metric_gate(
        value=0.625,
        verdict="FAIL",
        rule=">= 0.8",
        n=40,
        reason="2 of 42 rows failed and are not in it",
        details=('row 3: exact 0  gold="cook"', 'row 7: exact 0  gold="vet"'),
    )
    assert failure_text(gate) == (
        "FAIL matcher.exact_match_rate[ner_extract-general-terse]: 0.625, required >= 0.8 (n = 40)\n"
        "2 of 42 rows failed and are not in it\n"
        '  row 3: exact 0  gold="cook"\n'
        '  row 7: exact 0  gold="vet"'
    )


def test_failure_text_without_reason_and_details_is_its_headline() -> None:
    gate = metric_gate(value=None, verdict="ERROR", n=None)
    assert failure_text(gate) == (
        "ERROR matcher.exact_match_rate[ner_extract-general-terse]: no value, required >= 0.5"
    )


def test_failure_text_says_the_age_of_what_it_rests_on() -> None:
    gate = metric_gate(verdict="FAIL", reason="1 of 2 rows failed", details=("row 1",), recorded=CREATED - 7200)
    assert failure_text(gate).splitlines()[1:] == [
        "1 of 2 rows failed",
        "rests on reused rows, the oldest from 2026-09-01T08:00:00+00:00",
        "  row 1",
    ]


def test_failure_text_of_a_comparison_has_the_rows_that_changed() -> None:
    assert failure_text(unsure_gate()).splitlines()[1:] == [
        "the loss may be as large as 0.1537; 4 rows got worse, 2 better",
        "  worse: row 3: 1 -> 0",
        "  better: row 5: 0 -> 1",
        "  slice language=de: 0.25 (n = 4)",
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_failure_text_is_safe_and_says_the_verdict_first(text: str) -> None:
    slices = (SliceScore(column=text, value=text * 999, score=0.25, n=4),)
    shown = failure_text(metric_gate(verdict="FAIL", reason=text * 99, details=(text, text * 999), slices=slices))
    assert shown.startswith("FAIL matcher.exact_match_rate[ner_extract-general-terse]: 0.5, required >= 0.5 (n = 1)\n")
    assert "##vso[" not in shown
    assert "##[" not in shown
    assert not any(ord(character) < 32 and character != "\n" for character in shown)


def test_summary() -> None:
    assert summary_lines(report()) == [
        "ner (evals/ner/experiment.yaml)",
        "                                      matcher",
        "  dataset  variant      run  exact_match_rate",
        "                       rows            varies",
        "  general  terse     2 PASS        0.5 FAIL",
        "  general  few_shot  2 PASS       0.25 (FAIL)",
        "",
        "(FAIL) does not close the gate",
        "reports: reports/index.html",
        "gate: closed: 1 of 4 gates failed",
    ]


def test_summary_of_gates_that_are_inconclusive() -> None:
    session = report(run_gate(), unsure_gate(), run_gate(FEW_SHOT), unsure_gate(FEW_SHOT, on_inconclusive="fail"))
    assert summary_lines(session) == [
        "ner (evals/ner/experiment.yaml)",
        "                                                     matcher",
        "  dataset  variant      run                 exact_match_rate",
        "                       rows       >= 0.5, at most 0.05 worse",
        "  general  terse     2 PASS  0.6 [0.45, 0.74] (INCONCLUSIVE)",
        "  general  few_shot  2 PASS  0.6 [0.45, 0.74] INCONCLUSIVE",
        "",
        "reports: reports/index.html",
        "1 inconclusive: not enough rows to tell; see summary.md",
        "gate: closed: 1 of 4 gates inconclusive",
    ]


def test_gates_that_are_inconclusive_line_by_line() -> None:
    assert inconclusive_lines(report(run_gate(), unsure_gate(), unsure_gate(FEW_SHOT, on_inconclusive="fail"))) == [
        "evals/ner/experiment.yaml: INCONCLUSIVE matcher.exact_match_rate[ner_extract-general-terse]: 0.6, "
        "required >= 0.5, at most 0.05 worse, baseline 0.65, delta -0.05 (95 % bound -0.1537) "
        "(n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438)"
    ]


def test_summary_says_what_is_reused_and_how_old_it_is() -> None:
    assert summary_lines(report(run_gate(), cells=(reused(cell_result()),)))[-3:] == [
        "reused: 1 of 3 rows, oldest from 2 days ago",
        "reports: reports/index.html",
        "gate: open",
    ]


def test_summary_of_an_open_gate() -> None:
    assert summary_lines(replace(report(run_gate()), settings={})) == [
        "ner (evals/ner/experiment.yaml)",
        "  dataset  variant     run",
        "                      rows",
        "  general  terse    2 PASS",
        "",
        "gate: open",
    ]


def test_summary_shows_the_metrics_of_an_evaluator_without_thresholds() -> None:
    logged = RunResult(status="Completed", metrics={"coverage": 1.0, "agreement": 0.52345, "model": "x"})
    judge = Evaluation(evaluator="judge", dataset="gold", expected_rows=2, result=logged)
    result = CellResult(cell=cell(), run=RunResult(status="Completed"), evaluations={"judge": judge})
    gate = metric_gate(name="judge", value=None, verdict="PASS", rule="", blocking=False)
    assert summary_lines(report(gate, cells=(result,)))[:4] == [
        "ner (evals/ner/experiment.yaml)",
        "                       judge      judge",
        "  dataset  variant  coverage  agreement",
        "  general  terse           1     0.5234",
    ]


def test_summary_of_an_evaluator_without_thresholds_that_broke() -> None:
    gate = metric_gate(name="judge", value=None, verdict="ERROR", rule="", n=0, reason="could not aggregate")
    assert summary_lines(report(gate))[1:3] == ["  dataset  variant  judge", "  general  terse    ERROR"]


def test_summary_names_a_cell_without_a_result_by_its_id() -> None:
    assert summary_lines(report(run_gate(), cells=()))[3] == "  ner_extract-general-terse           2 PASS"


def test_summary_of_nothing() -> None:
    nothing = Decision(state="closed", reasons=("nothing was evaluated",))
    assert summary_lines(Report(experiments={"e.yaml": "ner"}, cells=(), gates=(), decision=nothing)) == [
        "ner (e.yaml)",
        "  nothing was evaluated",
        "",
        "gate: closed: nothing was evaluated",
    ]


def test_wide_summaries_are_split_into_blocks_with_the_same_labels() -> None:
    variants = [Variant(id=f"extract.variant_{i}+clean.v{i}") for i in range(3)]
    metrics = ["exact_match_rate", "precision", "recall", "f1", "recall_of_rare_classes", "macro_f1", "coverage"]
    gates = [
        GateResult(
            experiment=cell().experiment,
            cell=cell(variant).id,
            name=f"matcher.{metric}",
            verdict="INCONCLUSIVE",
            value=0.8125,
            rule=">= 0.8",
            n=40,
        )
        for variant in variants
        for metric in metrics
    ]
    cells = tuple(CellResult(cell=cell(variant), run=RunResult(status="Completed")) for variant in variants)
    lines = summary_lines(report(*gates, cells=cells))
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("  general  extract.variant_1+clean.v1") for line in lines) == 4
    assert sum(line.count("0.8125 (INCONCLUSIVE)") for line in lines) == len(gates)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_in_the_summary(text: str) -> None:
    gate = unsure_gate(cell=text, name=text, rule=text, comparison=comparison(name=text, worse=(text,)))
    session = replace(report(gate), experiments={"evals/ner/experiment.yaml": text}, settings={"report-dir": text})
    for line in (*summary_lines(session), *inconclusive_lines(session)):
        assert "##vso[" not in line
        assert not any(ord(character) < 32 for character in line)
