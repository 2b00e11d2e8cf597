"""What is planned for the cells of candidates."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_case import MAIN, Case

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.plan import CellPlan, Options, demands_on, plan
from pytest_llmops.records.cloud import Address

FILE = "evals/case/experiment.yaml"
AGENTS = "{name: agents, flow: new, init: {variant: long}, parity: {margin: 0.5, agreement: '>= 0.5'}}"


@pytest.fixture
def candidates(tmp_path: Path) -> Case:
    """A case with the candidates ``agents``, a workflow, and ``again``, another DAG."""
    case = Case(tmp_path)
    case.write("flows/new/workflow.py", "def create_workflow(variant: str, depth=1): ...\n")
    case.write("flows/new/init.json", '{"depth": 3}')
    case.write("flows/again/flow.dag.yaml", MAIN)
    case.append(
        "llmops:\n"
        "  thresholds: {score.correct: '>= 0.5', score.coverage: {min: 0.5, margin: 0.2}, run.error_rate: '== 0'}\n"
        "  baseline: saved.json\n"
        f"  candidates:\n  - {AGENTS}\n  - {{name: again, flow: again, parity: {{agreement: '>= 0.5'}}}}\n"
    )
    return case


def planned(case: Case, **options: object) -> dict[str, CellPlan]:
    """Plan the case; the cells by their variant."""
    found = plan(case.load(environ={}), path=FILE, options=Options(**options))  # type: ignore[arg-type]
    return {cell.cell.variant.id: cell for cell in found}


def test_a_candidate_is_run_in_place_of_the_flow(candidates: Case) -> None:
    cells = planned(candidates)
    own, agents = cells["short"].request, cells["agents"].request

    assert list(cells) == ["short", "long", "agents", "again"]
    assert (own.flow.name, agents.flow.name, cells["again"].request.flow.name) == ("main", "new", "again")
    assert (own.variant.init, agents.variant.init) == ({}, {"variant": "long", "depth": 3})
    assert (agents.data, agents.column_mapping) == (own.data, own.column_mapping)
    assert cells["agents"].cell.id == "main-rows-agents"


def test_answers_are_recorded_under_the_name_of_the_flow_that_asked(candidates: Case) -> None:
    cells = planned(candidates)
    cassettes = {name: cell.request.llm.cassette for name, cell in cells.items()}

    folder = candidates.folder / "cassettes"
    assert cassettes["short"] == folder / "main.json"
    assert cassettes["agents"] == folder / "new.json"
    assert {evaluation.request.llm.cassette for cell in cells.values() for evaluation in cell.evaluations} == {
        folder / "score.json"
    }


def test_evaluators_get_nothing_of_a_candidate_but_its_run(candidates: Case) -> None:
    cells = planned(candidates)

    assert cells["agents"].evaluations == cells["short"].evaluations


def test_a_candidate_is_held_to_the_thresholds_and_to_parity(candidates: Case) -> None:
    cells = planned(candidates)
    margins = {name: {t.name: t.margin for t in cell.thresholds} for name, cell in cells.items()}

    own = {"score.correct": None, "score.coverage": 0.2, "run.error_rate": None}
    assert margins["short"] == margins["long"] == own
    assert margins["agents"] == {**own, "score.correct": 0.5, "run.agreement": None}
    assert margins["again"] == {**own, "run.agreement": None}
    assert cells["agents"].items == (
        "run[main-rows-agents]",
        "score.correct[main-rows-agents]",
        "score.coverage[main-rows-agents]",
        "run.error_rate[main-rows-agents]",
        "run.agreement[main-rows-agents]",
    )


@pytest.mark.parametrize(
    ("variants", "reference"),
    [
        ("{}", "short"),
        ("{strategy: defaults}", "short"),
        ("{exclude: [short]}", "long"),
        ("{include: [long]}", "long"),
        ("{strategy: [long, short]}", "short"),
        ("{strategy: [long]}", "long"),
        ("{overrides: {tidy.limit: [5, 20]}, strategy: [{ask: long, tidy.limit: 20}, {tidy.limit: 20}]}",
         "long+tidy.limit=20"),
    ],
)  # fmt: skip
def test_a_candidate_is_compared_with_the_default_variant_or_else_the_first(
    candidates: Case, variants: str, reference: str
) -> None:
    candidates.append(f"  variants: {variants}\n")
    cells = planned(candidates)
    found = cells["agents"].reference

    assert found is not None
    assert (found.variant.id, found.dataset, found.flow) == (reference, "rows", "main")
    assert all(cell.reference is None for cell in cells.values() if not cell.cell.variant.is_candidate)


def test_implementations_of_one_name_share_no_recorded_answers(candidates: Case) -> None:
    parity = "parity: {agreement: '>= 0.5'}"
    for folder in ("old", "Old", "newer"):
        candidates.write(f"flows/{folder}/flow.dag.yaml", MAIN)
    candidates.write("flows/old/main/flow.dag.yaml", MAIN)
    candidates.append(
        f"  - {{name: same, flow: flows/old/main, {parity}}}\n  - {{name: one, flow: old, {parity}}}\n"
        f"  - {{name: two, flow: Old, {parity}}}\n  - {{name: more, flow: newer, {parity}}}\n"
    )
    cells = planned(candidates, repeat=2)
    recorded = [llm.name for cell in cells.values() if (llm := cell.request.llm.cassette)]

    assert recorded == [
        "main.json",
        "main.json",
        "new.json",
        "again.json",
        "main.same.json",
        "old.one.json",
        "Old.two.json",
        "newer.json",
    ]
    (again,) = cells["same"].repeats
    assert again.request.llm.cassette == candidates.folder / "cassettes" / "main.same.repeat-1.json"


def test_what_is_asked_of_a_cell_is_known_without_a_plan_of_it(candidates: Case) -> None:
    for cell in planned(candidates).values():
        assert demands_on(cell.experiment, cell.cell) == cell.demands


def test_only_candidates_can_be_selected(candidates: Case) -> None:
    cells = planned(candidates, variants="ag*")

    assert list(cells) == ["agents", "again"]
    assert cells["agents"].reference is not None


@pytest.mark.parametrize(
    "options", [{"variants": "defaults"}, {"backend": "endpoint", "address": Address(url="http://localhost/score")}]
)
def test_the_defaults_and_what_is_served_are_no_candidates(candidates: Case, options: dict[str, object]) -> None:
    assert list(planned(candidates, **options)) == ["short"]


def test_a_candidate_is_no_baseline(candidates: Case) -> None:
    candidates.edit("experiment.yaml", "baseline: saved.json", "baseline: {variant: agents}")
    with pytest.raises(ConfigurationError) as caught:
        planned(candidates)

    assert str(caught.value) == (
        f"{FILE}: llmops.baseline.variant: there is no variant 'agents'; name one of: short, long"
    )


def test_each_repeat_of_a_candidate_has_a_cassette_of_its_own(candidates: Case) -> None:
    (again,) = planned(candidates, repeat=2, variants="agents")["agents"].repeats

    assert again.request.llm.cassette == candidates.folder / "cassettes" / "new.repeat-1.json"
    assert again.request.variant.init == {"variant": "long", "depth": 3}
