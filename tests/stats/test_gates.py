"""Verdicts on results, which fail closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.records.experiment import Experiment, Flow, GatePolicy, Threshold
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, GateResult
from pytest_llmops.records.run import CassetteMiss, Row, RunResult, Tokens, Variant
from pytest_llmops.rules import parse_rule
from pytest_llmops.stats.gates import decide, judge_metric, judge_run, report_evaluator, required_variants
from pytest_llmops.stats.measuring import measure

CELL = Cell(experiment="e.yaml", use_case="e", flow="f", dataset="d", variant=Variant())
SCORES = (1.0, 0.0, 1.0, 1.0)


def rows(*scores: float) -> tuple[Row, ...]:
    return tuple(
        Row(line_number=number, inputs={"gold": f"g{number}"}, output={"hit": score}, tokens=Tokens(prompt=3, total=5))
        for number, score in enumerate(scores)
    )


def result(**evaluation: Any) -> CellResult:
    """A cell of four rows, three of which score; keywords change the evaluation's outcome."""
    outcome = replace(RunResult(status="Completed", rows=rows(*SCORES), metrics={"rate": 0.75}), **evaluation)
    return CellResult(
        cell=CELL,
        run=RunResult(status="Completed", rows=rows(*SCORES)),
        evaluations={"m": Evaluation(evaluator="m", dataset="d", expected_rows=4, result=outcome)},
        expected_rows=4,
    )


def experiment(**policy: Any) -> Experiment:
    flow = Flow(name="f", kind="callable", file=Path("f.py"), folder=Path())
    gate = GatePolicy(**policy)
    return Experiment(name="e", file=Path("e.yaml"), env=None, flow=flow, datasets=(), evaluators=(), gate=gate)


def gate(result: CellResult, rule: str = ">= 0.7", metric: str = "m.rate", **keywords: Any) -> GateResult:
    evaluator, _, name = metric.partition(".")
    threshold = Threshold(evaluator=evaluator, metric=name, rule=parse_rule(rule), **keywords)
    return judge_metric(result, threshold, experiment(), measure(result, threshold, experiment()))


def run_gate(result: CellResult, **policy: Any) -> GateResult:
    return judge_run(result, experiment(**policy))


def test_a_metric_inside_its_rule_passes() -> None:
    passed = gate(result())
    assert (passed.verdict, passed.value, passed.n, passed.closes_gate()) == ("PASS", 0.75, 4, False)


def test_a_metric_outside_its_rule_fails_and_names_its_rows() -> None:
    failed = gate(result(), ">= 0.8")
    assert (failed.verdict, failed.closes_gate()) == ("FAIL", True)
    assert failed.details == ('row 1: hit 0  gold="g1"',)


def test_no_row_is_blamed_where_no_score_reproduces_the_metric() -> None:
    failed = gate(result(metrics={"rate": 0.5}))
    assert failed.details == ("the rows behind it are not known: no output has rate as its mean over the rows",)


def test_an_upper_limit_names_the_highest_rows() -> None:
    assert [line.split(":")[0] for line in gate(result(), "<= 0.5").details] == ["row 0", "row 2", "row 3"]


def test_severity_warn_does_not_block() -> None:
    warned = gate(result(), ">= 0.8", severity="warn")
    assert (warned.verdict, warned.blocking, warned.closes_gate()) == ("FAIL", False, False)


@pytest.mark.parametrize(
    ("evaluation", "reason"),
    [
        ({"metrics": {}}, "metric 'rate' was not logged (logged: none)"),
        ({"metrics": {"rate": float("nan")}}, "metric 'rate' is nan, not a finite number"),
        ({"metrics": {"rate": "NaN"}}, "metric 'rate' is nan, not a finite number"),
        ({"metrics": {"rate": "(Failed)"}}, "metric 'rate' is '(Failed)', not a number"),
        ({"metrics": {"rate": True}}, "metric 'rate' is True, not a number"),
        ({"status": "Failed", "rows": (), "error": "no such file"}, "evaluation 'm' failed: no such file"),
        ({"aggregation_error": "boom"}, "evaluation 'm' could not aggregate: boom"),
        ({"rows": rows(1, 1, 1)}, "'m' scored 3 of 4 rows, max_failed_rows is 0"),
        (
            {
                "misses": (CassetteMiss(cassette="/home/me/evals/e/cassettes/c.json", request="chat 'hi'"),),
                "llm_calls": 4,
            },
            None,
        ),
    ],
)
def test_what_can_not_be_trusted_is_an_error(evaluation: dict[str, Any], reason: str | None) -> None:
    error = gate(result(**evaluation))
    assert (error.verdict, error.closes_gate()) == ("ERROR", True)
    assert error.reason == (
        reason
        or "1 of 4 LLM calls are not in cassettes/c.json; record them with --llmops-llm auto. First miss: chat 'hi'."
    )


def test_an_error_blocks_whatever_the_severity() -> None:
    assert gate(result(metrics={}), severity="warn").closes_gate()


def test_an_evaluator_that_did_not_run_is_an_error() -> None:
    missing = replace(result(), evaluations={})
    assert gate(missing).reason == "evaluator 'm' did not run for dataset 'd'"


@pytest.mark.parametrize(
    ("run", "policy", "reason"),
    [
        ({"status": "Failed", "error": "mapping"}, {}, "the run failed: mapping"),
        ({"rows": rows(1, 1, 1)}, {}, "3 rows came back of 4 in the dataset"),
        ({"rows": (*rows(1, 1, 1), rows(1)[0])}, {}, "line numbers [0] came back more than once"),
        ({}, {"min_rows": 5}, "4 rows ran, min_rows is 5"),
        (
            {"rows": (*rows(1, 1), Row(line_number=2, inputs={}, error="late\nmore"), rows(1, 1, 1, 1)[3])},
            {},
            "1 of 4 rows failed, max_failed_rows is 0: row 2: late",
        ),
    ],
)
def test_a_run_that_is_not_whole_is_an_error(run: dict[str, Any], policy: dict[str, Any], reason: str) -> None:
    broken = replace(result(), run=replace(result().run, **run))
    verdict = run_gate(broken, **policy)
    assert (verdict.verdict, verdict.reason) == ("ERROR", reason)


def test_metrics_of_the_run_itself() -> None:
    failed = replace(rows(1, 1, 1, 1)[3], output=None, error="late")
    partial = replace(result(), run=replace(result().run, rows=(*rows(1, 1, 1), failed)))
    assert gate(partial, "<= 0.1", "run.error_rate").value == 0.25
    assert gate(partial, "<= 0.1", "run.error_rate").verdict == "FAIL"
    assert gate(result(), "<= 100", "run.total_tokens").value == 20
    assert (
        gate(replace(result(), run=RunResult(status="Failed", error="x")), "<= 1", "run.error_rate").verdict == "ERROR"
    )


def test_an_evaluator_without_thresholds_is_reported() -> None:
    report = report_evaluator(result(), "m", experiment())
    assert (report.verdict, report.blocking, report.reason) == (
        "PASS",
        False,
        "no thresholds, reported only: rate 0.75",
    )
    nothing = report_evaluator(result(metrics={}), "m", experiment())
    assert (nothing.verdict, nothing.reason) == ("PASS", "no thresholds, reported only: no metric was logged")
    assert report_evaluator(result(aggregation_error="boom"), "m", experiment()).closes_gate()


def test_the_decision_is_closed_without_gates_and_with_obstacles() -> None:
    assert decide([]).state == "closed"
    assert decide([gate(result())]).state == "open"
    assert decide([gate(result())], ["a shard is missing"]).reasons == ("a shard is missing",)
    closed = decide([gate(result()), gate(result(), ">= 0.8")])
    assert (closed.state, closed.reasons, dict(closed.counts)) == (
        "closed",
        ("FAIL m.rate[f-d-default]",),
        {"FAIL": 1, "PASS": 1},
    )


@pytest.mark.parametrize(
    ("require", "passing", "expected"),
    [
        ("default", (), {"a"}),
        ("all", (), {"a", "b"}),
        ("best", ("b",), {"b"}),
        ("best", (), {"a", "b"}),
    ],
)
def test_which_variants_must_pass(require: Any, passing: tuple[str, ...], expected: set[str]) -> None:
    variants = [Variant(id="a"), Variant(id="b", is_default=False)]
    gates = {True: [gate(result())], False: [gate(result(), ">= 0.8")]}
    assert required_variants(require, variants, lambda name: gates[name in passing]) == expected


def test_without_the_default_variant_all_that_were_selected_must_pass() -> None:
    assert required_variants("default", [Variant(id="b", is_default=False)], lambda _: []) == {"b"}


def test_verdicts_carry_the_age_of_the_oldest_outcome_they_rest_on() -> None:
    fresh = result()
    scored = result(rows=tuple(replace(row, recorded=50.0) for row in rows(*SCORES)))
    ran = replace(scored, run=replace(scored.run, rows=tuple(replace(row, recorded=40.0) for row in scored.run.rows)))
    reported = [report_evaluator(cell, "m", experiment()).recorded for cell in (fresh, scored, ran)]
    assert [gate(cell).recorded for cell in (fresh, scored, ran)] == reported == [None, 50.0, 40.0]
    assert [run_gate(cell).recorded for cell in (fresh, scored, ran)] == [None, None, 40.0]
    assert gate(ran, "<= 9", "run.rows").recorded == 40.0
