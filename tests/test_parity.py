"""Candidates: what they are held to, what they are compared with, which of them block, and in which families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored import FLOW, cell, experiment, threshold

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.judging import BaselineOf, Judge, blocking_variants
from pytest_llmops.parity import held_to, reference_name
from pytest_llmops.plan import CellPlan
from pytest_llmops.records.experiment import Candidate, Experiment, NodeVariants, Threshold
from pytest_llmops.records.gate import Cell, CellResult, Demand, GateResult
from pytest_llmops.records.run import RunRequest, Variant
from pytest_llmops.spec.metrics import misfits
from pytest_llmops.thresholds import parse_threshold, with_rules

AGREEMENT = threshold(">= 0.9", metric="run.agreement")
RATE = threshold(">= 0.5")
NEW = Variant(id="new", is_default=False, is_candidate=True)
FLIPPING = [1.0] * 12


def of(*candidates: Candidate, **changes: Any) -> Experiment:
    return experiment(candidates=candidates, **changes)


def candidate(name: str = "new", **changes: Any) -> Candidate:
    return Candidate(name=name, flow=FLOW, **changes)


def planned(variant: Variant, known: Experiment, *thresholds: Threshold, dataset: str = "d") -> CellPlan:
    place = Cell(experiment="e.yaml", use_case="e", flow="f", dataset=dataset, variant=variant)
    return CellPlan(
        experiment=known,
        cell=place,
        request=RunRequest(flow=FLOW),
        evaluations=(),
        thresholds=thresholds,
        expected_rows=12,
        reference=replace(place, variant=Variant()) if variant.is_candidate else None,
    )


def judged(
    plans: Sequence[CellPlan],
    results: dict[str, CellResult],
    *,
    plan: CellPlan,
    demand: Threshold | None,
    baseline_of: BaselineOf | None = None,
) -> GateResult:
    """Judge a threshold of one of the cells, or its run. ``results`` are by variant."""

    def result_of(wanted: CellPlan) -> CellResult:
        return replace(results[wanted.cell.variant.id], cell=wanted.cell)

    name = demand.name if demand else "run"
    return Judge(plans, result_of, baseline_of).decide(plan, Demand(name=name, threshold=demand))


def test_a_candidate_is_held_to_the_margin_where_a_threshold_has_none() -> None:
    own, sliced, of_run = (
        threshold(margin=0.2, metric="m.f1"),
        threshold(">= 1", by="kind"),
        threshold(metric="run.cost"),
    )
    found = held_to(candidate(margin=0.05, agreement=AGREEMENT), [RATE, own, sliced, of_run])
    assert found == (replace(RATE, margin=0.05), own, sliced, of_run, AGREEMENT)


def test_what_a_candidate_says_of_agreement_stands_for_what_the_flow_is_held_to() -> None:
    flows = replace(AGREEMENT, line=7)
    assert held_to(candidate(agreement=AGREEMENT), [RATE, flows]) == (RATE, AGREEMENT)
    assert held_to(candidate(margin=0.1), [flows]) == (flows,)


def test_a_reference_is_named_with_its_variant_where_there_are_several() -> None:
    several = replace(FLOW, variants={"node": NodeVariants(default="a", choices=("a", "b"))})
    place = planned(Variant(id="a"), of()).cell
    assert reference_name(of(), place) == "flow f"
    assert reference_name(replace(of(), flow=several), place) == "flow f, variant a"


@pytest.mark.parametrize(
    ("variants", "require", "expected"),
    [
        (["default", "x", "new", "must"], "default", {"default", "must"}),
        (["default", "x", "new", "must"], "all", {"default", "x", "must"}),
        (["default", "x", "new", "must"], "best", {"x", "must"}),
        (["new"], "default", {"new", "must"}),
        (["x", "new"], "default", {"x", "must"}),
    ],
)
def test_candidates_block_where_they_must_pass_or_nothing_else_is_run(
    variants: list[str], require: str, expected: set[str]
) -> None:
    known = of(candidate(), candidate("must", required=True), gate={"require": require})
    every = [Variant(id=name, is_default=name == "default", is_candidate=name in ("new", "must")) for name in variants]

    def gates_of(name: str) -> list[GateResult]:
        assert name in ("default", "x")  # nobody asks for those of candidates
        return [GateResult(experiment="e", cell=name, name="m", verdict="PASS" if name == "x" else "FAIL")]

    assert blocking_variants([planned(variant, known) for variant in every], gates_of) == expected


@pytest.mark.parametrize("required", [False, True])
def test_an_error_closes_the_gate_only_where_the_candidate_must_pass(required: bool) -> None:
    known = of(candidate(required=required))
    plans = [planned(Variant(), known), planned(NEW, known)]
    short = replace(cell(FLIPPING), expected_rows=13)
    gate = judged(plans, {"default": cell(FLIPPING), "new": short}, plan=plans[1], demand=None)
    assert (gate.verdict, gate.blocking, gate.optional, gate.closes_gate()) == (
        "ERROR",
        required,
        not required,
        required,
    )
    own = judged(plans, {"default": short, "new": short}, plan=plans[0], demand=None)
    assert own.closes_gate()


def test_a_candidate_is_compared_with_the_flow_of_the_session_before_any_baseline() -> None:
    held = replace(RATE, margin=0.3)
    known = of(candidate())
    plans = [planned(Variant(), known), planned(NEW, known, held)]

    def unused(_: CellPlan) -> CellResult:
        raise AssertionError("the flow is run")

    mine, theirs = cell([0.0] * 6 + [1.0] * 6), cell(FLIPPING)
    gate = judged(plans, {"default": theirs, "new": mine}, plan=plans[1], demand=held, baseline_of=unused)
    assert gate.verdict == "FAIL"
    assert gate.comparison is not None
    assert (gate.comparison.name, gate.comparison.with_flow, gate.comparison.baseline) == ("flow f", True, 1.0)
    assert gate.reason.startswith("significantly worse: delta -0.5 on 12 rows, 6 worse and 0 better; ")


def test_without_the_flow_a_candidate_is_compared_with_the_flows_cell_in_the_baseline() -> None:
    plans = [planned(NEW, of(candidate()), AGREEMENT)]
    asked: list[str] = []

    def baseline_of(wanted: CellPlan) -> CellResult:
        asked.append(wanted.cell.id)
        return cell(FLIPPING)

    gate = judged(plans, {"new": cell(FLIPPING)}, plan=plans[0], demand=AGREEMENT, baseline_of=baseline_of)
    assert (gate.verdict, gate.value, asked) == ("PASS", 1.0, ["f-d-default"])
    assert gate.reason == "outputs compared with those of flow f (baseline)"


def test_a_margin_against_the_flow_of_a_baseline_calls_it_what_agreement_does() -> None:
    held = replace(RATE, margin=0.3)
    plans = [planned(NEW, of(candidate()), held)]
    answers = ["a"] * 12
    result = cell([*FLIPPING[:11], 0.0], answers=answers)
    gate = judged(plans, {"new": result}, plan=plans[0], demand=held, baseline_of=lambda _: result)
    assert (gate.verdict, gate.reason) == ("PASS", "all 12 outputs are the same as in flow f (baseline)")


def test_a_margin_against_the_flow_of_a_baseline_with_other_inputs_is_an_error() -> None:
    held = replace(RATE, margin=0.3)
    plans = [planned(NEW, of(candidate()), held)]
    theirs = cell(FLIPPING)
    rows = tuple(replace(row, inputs={**row.inputs, "lang": "de"}) for row in theirs.run.rows)
    theirs = replace(theirs, run=replace(theirs.run, rows=rows))
    gate = judged(plans, {"new": cell(FLIPPING)}, plan=plans[0], demand=held, baseline_of=lambda _: theirs)
    said = (
        "it was also given 'lang', which the candidate does not take, so it can't be told whether the rows are the same"
    )
    assert (gate.verdict, gate.reason) == ("ERROR", f"flow f (baseline): {said}")


def test_a_flow_that_is_neither_run_nor_in_the_baseline_is_said() -> None:
    plans = [planned(NEW, of(candidate()), AGREEMENT)]

    def baseline_of(_: CellPlan) -> CellResult:
        raise LLMOpsError("baseline b.json: no cell f-d-default (it has: none); run pytest")

    gate = judged(plans, {"new": cell(FLIPPING)}, plan=plans[0], demand=AGREEMENT, baseline_of=baseline_of)
    todo = "run the flow too, or save what it gives with: llmops baseline save"
    what = "flow f was not run, and baseline b.json: no cell f-d-default (it has: none)"
    assert (gate.verdict, gate.reason) == ("ERROR", f"{what}; {todo}")


def test_another_dataset_is_no_reference() -> None:
    known = of(candidate())
    plans = [planned(Variant(), known, dataset="other"), planned(NEW, known, AGREEMENT)]
    gate = judged(plans, {"default": cell(FLIPPING), "new": cell(FLIPPING)}, plan=plans[1], demand=AGREEMENT)
    assert gate.reason.startswith("flow f was not run, and there is no baseline file; ")


@pytest.mark.parametrize("require", ["default", "all"])
def test_a_candidate_is_a_family_of_its_own(require: str) -> None:
    held = replace(RATE, margin=0.3)
    known = of(candidate(), candidate("other"), gate={"require": require})
    other = replace(NEW, id="other")
    plans = [planned(Variant(), known, held), planned(NEW, known, held), planned(other, known, held)]
    worse = cell([0.0] * 6 + [1.0] * 6)
    results = {"default": cell(FLIPPING), "new": worse, "other": worse}
    for plan in plans[1:]:
        gate = judged(plans, results, plan=plan, demand=held, baseline_of=lambda _: cell(FLIPPING))
        assert gate.comparison is not None
        assert (gate.comparison.adjusted_p, gate.comparison.p_value) == (None, 1 / 64)


def test_an_evaluator_that_failed_on_one_side_is_said() -> None:
    held = replace(RATE, margin=0.3)
    known = of(candidate())
    plans = [planned(Variant(), known), planned(NEW, known, held)]
    broken = cell(FLIPPING)
    evaluation = broken.evaluations["m"]
    failed = replace(evaluation.result, aggregation_error="no rows")
    broken = replace(broken, evaluations={"m": replace(evaluation, result=failed)})
    gate = judged(plans, {"default": broken, "new": cell(FLIPPING)}, plan=plans[1], demand=held)
    assert (gate.verdict, gate.reason) == ("ERROR", "flow f: evaluator 'm' failed there: no rows")
    gate = judged(plans, {"default": cell(FLIPPING), "new": broken}, plan=plans[1], demand=held)
    assert (gate.verdict, gate.reason) == ("ERROR", "evaluation 'm' could not aggregate: no rows")


SCORES = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30)


@settings(deadline=None)
@given(scores=SCORES, margin=st.sampled_from([0.0, 0.05, 0.5]))
def test_the_same_outputs_never_fail_by_the_margin(scores: list[tuple[float, float]], margin: float) -> None:
    # The evaluator may judge the same answer otherwise: that is none of the candidate's doing.
    held = threshold(margin=margin)
    known = of(candidate())
    plans = [planned(Variant(), known), planned(NEW, known, held, AGREEMENT)]
    answers = [f"a{number}" for number in range(len(scores))]
    mine, theirs = (cell([pair[side] for pair in scores], answers=answers) for side in (0, 1))
    results = {"default": theirs, "new": mine}
    assert judged(plans, results, plan=plans[1], demand=held).verdict == "PASS"
    agrees = judged(plans, results, plan=plans[1], demand=AGREEMENT)
    assert (agrees.verdict, agrees.value) == ("PASS", 1.0)


def test_confidence_and_slices_of_agreement_are_those_of_any_share_of_rows() -> None:
    known = of(candidate(), slices=("kind",))
    sure, sliced = replace(AGREEMENT, confidence=0.95), replace(AGREEMENT, by="kind")
    plans = [planned(Variant(), known), planned(NEW, known, sure)]
    columns = {"kind": ["x", "y"] * 6}
    results = {"default": cell(FLIPPING, columns=columns), "new": cell([*FLIPPING[:11], 0.0], columns=columns)}
    gate = judged(plans, results, plan=plans[1], demand=replace(sure, rule=threshold(">= 0.8").rule))
    assert gate.verdict == "INCONCLUSIVE"
    assert gate.reason.startswith("the value keeps the rule, its 95 % confidence bound (Clopper-Pearson) ")
    assert [(part.value, part.n) for part in gate.slices] == [("y", 6), ("x", 6)]
    assert judged(plans, results, plan=plans[1], demand=sliced).verdict == "INCONCLUSIVE"


def test_a_rule_for_agreement_is_for_candidates_and_for_a_flow_with_a_baseline() -> None:
    given = parse_threshold("run.agreement=>= 0.8", "--llmops-threshold")
    loose, strict = candidate("loose"), candidate("strict", agreement=replace(AGREEMENT, severity="warn", line=3))
    changed = with_rules(of(loose, strict), [given])
    assert changed.thresholds == ()
    assert [found.agreement and found.agreement.rule.text for found in changed.candidates] == [">= 0.8", ">= 0.8"]
    assert with_rules(of(), [given]).thresholds == (given,)


@pytest.mark.parametrize("demand", [{"margin": 0.1}, {"keep_passing": True}])
def test_agreement_takes_no_other_comparison(demand: dict[str, Any]) -> None:
    assert list(misfits(replace(AGREEMENT, **demand))) == [
        ("'run.agreement' is a comparison itself", "write min or max")
    ]
