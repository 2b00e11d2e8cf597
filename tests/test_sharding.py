"""How work is divided: completely, evenly, the same everywhere, and so that what a shard decides is final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored import FLOW, cell, experiment, threshold

from pytest_llmops.judging import Judge
from pytest_llmops.plan import CellPlan, EvaluationPlan, ExecutionPlan
from pytest_llmops.records.experiment import BaselineSource, Candidate, Experiment, Threshold
from pytest_llmops.records.gate import Cell, CellResult
from pytest_llmops.records.report import Shard
from pytest_llmops.records.run import RunRequest, Variant
from pytest_llmops.sharding import Unit, assign, idle_reason, units

SCORES = [1.0, 0.0] * 6
VARIANTS = ("x", "y", "z")
DATASETS = ("d1", "d2")
ABSOLUTE = threshold(">= 0.5")
MARGIN = threshold(margin=0.1)
WARNING = threshold(margin=0.1, severity="warn", metric="m.rate")
KEEPING = threshold(keep_passing=True)
AGREEMENT = threshold(">= 0.9", metric="run.agreement")


def plan(
    variant: str = "x",
    dataset: str = "d1",
    *,
    thresholds: Sequence[Threshold] = (),
    of: Experiment | None = None,
    reference: str | None = None,
    path: str = "e.yaml",
    rows: int | None = 12,
    evaluations: int = 1,
    executions: int = 1,
) -> CellPlan:
    request = RunRequest(flow=FLOW)
    evaluation = EvaluationPlan(evaluator="m", dataset=dataset, request=request)
    chosen = Variant(id=variant, is_default=variant == VARIANTS[0], is_candidate=reference is not None)
    place = Cell(experiment=path, use_case="e", flow="f", dataset=dataset, variant=chosen)
    return CellPlan(
        experiment=of or experiment(),
        cell=place,
        request=request,
        evaluations=(evaluation,) * evaluations,
        thresholds=tuple(thresholds),
        expected_rows=rows,
        repeats=(ExecutionPlan(request=request, evaluations=()),) * (executions - 1),
        reference=None if reference is None else replace(place, variant=Variant(id=reference)),
    )


def matrix(*thresholds: Threshold, baseline: BaselineSource | None = None, **gate: Any) -> list[CellPlan]:
    """All variants on both datasets."""
    of = experiment(gate=gate, baseline=baseline, thresholds=thresholds)
    return [plan(v, d, thresholds=thresholds, of=of) for d in DATASETS for v in VARIANTS]


def groups(plans: Sequence[CellPlan]) -> list[list[str]]:
    """The units of one experiment, each cell as ``dataset-variant``."""
    return sorted([key.removeprefix("e.yaml::f-") for key in unit.cells] for unit in units(plans))


SINGLE = [[f"{d}-{v}"] for d in DATASETS for v in VARIANTS]
ONE = [[f"{d}-{v}" for d in DATASETS for v in VARIANTS]]
BY_VARIANT = [[f"{d}-{v}" for d in DATASETS] for v in VARIANTS]
BY_DATASET = [[f"{d}-{v}" for v in VARIANTS] for d in DATASETS]
IN_A_FILE = BaselineSource(path=Path("baseline.json"))
VARIANT_X = BaselineSource(variant="x")


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        (matrix(ABSOLUTE), SINGLE),
        (matrix(ABSOLUTE, require="all"), SINGLE),
        (matrix(ABSOLUTE, require="best"), ONE),
        (matrix(MARGIN, baseline=IN_A_FILE), BY_VARIANT),
        (matrix(MARGIN, baseline=IN_A_FILE, require="all"), ONE),
        (matrix(KEEPING, baseline=IN_A_FILE), SINGLE),
        (matrix(ABSOLUTE, baseline=VARIANT_X), SINGLE),
        (matrix(MARGIN, baseline=VARIANT_X), ONE),
    ],
    ids=["default", "all", "best", "margins", "margins of all", "rows kept", "unused baseline", "baseline variant"],
)
def test_cells_that_are_decided_on_together_are_one_unit(plans: list[CellPlan], expected: list[list[str]]) -> None:
    assert groups(plans) == expected


def test_a_threshold_of_one_dataset_ties_only_the_cells_that_have_it() -> None:
    of = experiment(baseline=VARIANT_X)
    plans = [
        plan(v, d, thresholds=[MARGIN] if d == "d1" else [ABSOLUTE], of=of) for d in DATASETS for v in VARIANTS[:2]
    ]
    assert groups(plans) == [["d1-x", "d1-y"], ["d2-x"], ["d2-y"]]


def test_experiments_are_never_tied_to_each_other() -> None:
    of = experiment(gate={"require": "best"})
    assert len(units([plan(path=path, of=of) for path in ("a/e.yaml", "b/e.yaml")])) == 2


CANDIDATE = Candidate(name="c", flow=FLOW, agreement=AGREEMENT)


@pytest.mark.parametrize("require", ["default", "all"])
@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (AGREEMENT, [["d1-c", "d1-x"], ["d1-y"], ["d1-z"], ["d2-c", "d2-x"], ["d2-y"], ["d2-z"]]),
        (MARGIN, [["d1-c", "d1-x", "d2-c", "d2-x"], ["d1-y"], ["d1-z"], ["d2-y"], ["d2-z"]]),
    ],
    ids=["agreement", "margin"],
)
def test_a_candidate_is_tied_to_the_flow_alone(require: str, held: Threshold, expected: list[list[str]]) -> None:
    own = matrix(ABSOLUTE, require=require)
    candidates = [plan("c", d, thresholds=[held], of=own[0].experiment, reference="x") for d in DATASETS]
    assert groups([*own, *candidates]) == expected


def test_a_candidate_without_the_flow_is_tied_to_nothing() -> None:
    alone = [plan("c", d, thresholds=[AGREEMENT], reference="x") for d in DATASETS]
    assert groups(alone) == [["d1-c"], ["d2-c"]]


THRESHOLDS = st.lists(
    st.sampled_from([ABSOLUTE, MARGIN, WARNING, KEEPING]), max_size=2, unique_by=lambda found: found.severity
)


@settings(deadline=None, max_examples=50)
@given(
    require=st.sampled_from(["default", "best", "all"]),
    baseline=st.sampled_from([None, VARIANT_X, IN_A_FILE]),
    demanded=st.lists(THRESHOLDS, min_size=8, max_size=8),
)
def test_a_judge_looks_at_no_cell_of_another_unit(
    require: str, baseline: BaselineSource | None, demanded: list[list[Threshold]]
) -> None:
    of = experiment(gate={"require": require}, baseline=baseline, candidates=(CANDIDATE,))
    places = [(v, d) for d in DATASETS for v in (*VARIANTS, "c")]
    plans = [
        plan(v, d, thresholds=found, of=of, reference="x" if v == "c" else None)
        for (v, d), found in zip(places, demanded, strict=True)
    ]
    together = {key: set(unit.cells) for unit in units(plans) for key in unit.cells}
    asked: set[str] = set()

    def result_of(other: CellPlan) -> CellResult:
        asked.add(other.key)
        return replace(cell(SCORES), cell=other.cell)

    in_a_file = (lambda other: replace(cell(SCORES), cell=other.cell)) if baseline == IN_A_FILE else None
    for each in plans:
        for demand in each.demands:
            asked.clear()
            Judge(plans, result_of, in_a_file).decide(each, demand)
            assert asked <= together[each.key]


@pytest.mark.parametrize(
    ("changes", "cost"),
    [
        ({"rows": 10}, 20),
        ({"rows": 10, "evaluations": 3}, 40),
        ({"rows": 10, "executions": 5}, 100),
        ({"rows": 0}, 0),
        ({"rows": None}, 200),
    ],
)
def test_a_unit_costs_the_lines_that_it_runs(changes: dict[str, Any], cost: int) -> None:
    assert [unit.cost for unit in units([plan(**changes)])] == [cost]


WORK = st.lists(st.integers(0, 50), max_size=30).map(
    lambda costs: [Unit(cells=(f"e::{number}", f"e::{number}b"), cost=cost) for number, cost in enumerate(costs)]
)


@given(work=WORK, count=st.integers(1, 12))
def test_every_unit_is_in_exactly_one_shard(work: list[Unit], count: int) -> None:
    shards = assign(work, count)
    assert sorted(shards) == sorted(key for unit in work for key in unit.cells)
    assert all(len({shards[key] for key in unit.cells}) == 1 for unit in work)
    assert set(shards.values()) <= set(range(1, count + 1))


@given(work=WORK, count=st.integers(1, 12), random=st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_matter(work: list[Unit], count: int, random: Any) -> None:
    shuffled = random.sample(work, len(work))
    assert assign(shuffled, count) == assign(work, count)


@given(work=WORK, count=st.integers(1, 12))
def test_no_shard_has_more_than_an_even_share_and_the_largest_unit(work: list[Unit], count: int) -> None:
    shards = assign(work, count)
    loads: Counter[int] = Counter()
    for unit in work:
        loads[shards[unit.cells[0]]] += unit.cost
    share = sum(unit.cost for unit in work) / count
    assert max(loads.values(), default=0) <= share + max((unit.cost for unit in work), default=0)


@given(work=WORK)
def test_one_shard_is_everything(work: list[Unit]) -> None:
    assert set(assign(work, 1).values()) <= {1}


def test_more_shards_than_units_leave_some_empty() -> None:
    work = [Unit(cells=(name,), cost=5) for name in ("a", "b")]
    assert assign(work, 4) == {"a": 1, "b": 2}


def test_ties_are_broken_by_name_and_the_largest_goes_first() -> None:
    work = [Unit(cells=(name,), cost=cost) for name, cost in (("c", 2), ("b", 2), ("a", 1), ("d", 3))]
    assert assign(work, 2) == {"d": 1, "b": 2, "c": 2, "a": 1}


@given(plans=st.permutations(matrix(MARGIN, baseline=IN_A_FILE)))
def test_the_order_of_files_does_not_matter(plans: list[CellPlan]) -> None:
    expected = assign(units(matrix(MARGIN, baseline=IN_A_FILE)), 2)
    assert assign(units(plans), 2) == expected


def test_an_idle_shard_says_whose_gate_counts() -> None:
    assert (
        idle_reason(Shard(index=3, count=3))
        == "shard 3/3 has nothing to do; the gate of the whole is made by llmops merge"
    )
