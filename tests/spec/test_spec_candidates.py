"""Candidates: what is read of them, and candidates that do not fit the flow."""

from __future__ import annotations

import pytest
from spec_case import MAIN, Case

from pytest_llmops.records.experiment import Port, Threshold
from pytest_llmops.rules import parse_rule

FILE = "evals/case/experiment.yaml"
OVERLAY = "evals/case/experiment.dev.yaml"
FIRST = 21
"""The line of the first candidate's name, where ``with_candidates`` writes it."""
WORKFLOW = "def create_workflow(variant: str = 'short'):\n    ...\n"
NEW = "{name: new, flow: new, parity: {agreement: '>= 0.5'}}"
RULES = "write '>= 0.8', '< 5', '== 1', '>= 80 %', '<= 3 s', '>= 0.7 and <= 0.9', or {min: 0.8, max: 1}"
UNHELD = (
    "no metric of an evaluator has a threshold that can close the gate, so nothing is held to it; "
    "add thresholds, or demand agreement"
)
SINGLE = "a share of rows can only be '>= 0.9' if no row misses; add rows or relax the rule"


def with_candidates(case: Case, *candidates: str, thresholds: str = "{score.correct: '>= 0.5'}") -> Case:
    """Give the case candidates, one a line, and a workflow ``new`` for them."""
    case.write("flows/new/workflow.py", WORKFLOW)
    case.write("flows/again/flow.dag.yaml", MAIN)
    lines = "".join(f"  - {candidate}\n" for candidate in candidates)
    case.append(f"llmops:\n  thresholds: {thresholds}\n  candidates:\n{lines}")
    return case


def test_a_candidate_with_everything(case: Case) -> None:
    with_candidates(
        case,
        "{name: agents, flow: new, engine: agent-framework, init: {variant: {a: [1, null]}}, "
        "parity: {margin: 0.5, agreement: '>= 50 %'}, required: true}",
    )
    (found,) = case.load().candidates

    assert (found.name, found.flow.kind, found.flow.name, found.flow.entry) == (
        "agents",
        "workflow",
        "new",
        "workflow:create_workflow",
    )
    assert (found.init, found.margin, found.required) == ({"variant": {"a": [1, None]}}, 0.5, True)
    assert found.agreement == Threshold(
        evaluator="run", metric="agreement", rule=parse_rule(">= 50 %"), file=FILE, line=FIRST
    )


def test_a_candidate_with_the_least(case: Case) -> None:
    (found,) = with_candidates(case, NEW).load().candidates

    assert (found.init, found.margin, found.required) == ({}, None, False)
    assert case.load().warnings == ()


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ("{name: new, flow: new, parity: {margin: 1}, engin: promptflow}", ".new.engin: unknown key; "
         "did you mean 'engine'?"),
        ("{name: new, flow: new, parity: {margins: 1, margin: 1}}", ".new.parity.margins: unknown key; "
         "did you mean 'margin'?"),
        ("{name: new, flow: new}", ".new.parity: key is missing; add it"),
        ("{name: new, flow: new, parity: {}}", ".new.parity: demands nothing; write margin or agreement"),
        ("{name: new, flow: new, parity: }", ".new.parity: expected a mapping, but it is empty; give it a value"),
        ("{name: new, flow: new, parity: {margin: -1}}", ".new.parity.margin: -1 is too small; write 0 or more"),
        ("{name: new, flow: new, parity: {agreement: often}}", ".new.parity.agreement: 'often' is not a rule; "
         f"{RULES}"),
        ("{name: new, flow: new, parity: {agreement: 0.9}}", ".new.parity.agreement: 0.9 is not a rule; "
         f"{RULES}"),
        ("{name: new, flow: new, parity: {agreement: '<= 3 s'}}", ".new.parity.agreement: '<= 3 s' is a duration, "
         "but 'run.agreement' is none; write a number without a unit"),
        ("{name: new, flow: new, parity: {agreement: {min: 0.5, margin: 1}}}", ".new.parity.agreement.margin: unknown "
         "key; did you mean 'min'?"),
        ("{name: new, parity: {margin: 1}}", ".new.flow: key is missing; add it"),
        ("{flow: new, parity: {margin: 1}}", ".0.name: key is missing; add it"),
        ("{name: a/b, flow: new, parity: {margin: 1}}", ".a/b.name: 'a/b' can't be part of test and file names; "
         "use letters, digits, '_', '-', '.'"),
        ("{name: new, flow: nwe, parity: {margin: 1}}", ".new.flow: no flow 'nwe', looked for evals/case/nwe, "
         "evals/case/flows/nwe, flows/nwe; did you mean 'new'?"),
        ("{name: new, flow: new, parity: {margin: 1}, engine: maf}", ".new.engine: 'maf' is not a choice; "
         "write 'promptflow', 'function' or 'agent-framework'"),
        ("{name: new, flow: new, parity: {margin: 1}, engine: function}", ".new.engine: flow 'new' is executed by "
         "'agent-framework', as its files say; correct it, or remove the key"),
        ("{name: new, flow: again, parity: {margin: 1}, engine: function}", ".new.engine: flow 'again' is executed by "
         "'promptflow', as its files say; correct it, or remove the key"),
        ("{name: new, flow: new, parity: {margin: 1}, init: {varaint: x}}", ".new.init.varaint: not an init parameter "
         "of flow 'new'; did you mean 'variant'?"),
        ("{name: new, flow: main, parity: {margin: 1}, init: {variant: x}}", ".new.init.variant: not an init parameter "
         "of flow 'main'; its parameters: none"),
        ("{name: new, flow: new, parity: {margin: 1}, init: {variant: 2024-05-01}}", ".new.init.variant: YAML reads "
         "2024-05-01 as the date 2024-05-01; put it in quotes if it is text"),
        ("{name: new, flow: new, parity: {margin: 1}, required: 1}", ".new.required: expected true or false, but YAML "
         "reads this as the number 1; correct it"),
    ],
)  # fmt: skip
def test_candidates_that_do_not_fit(case: Case, candidate: str, message: str) -> None:
    assert with_candidates(case, candidate).errors() == [f"{FILE}:{FIRST}: llmops.candidates{message}"]


def test_two_candidates_of_one_name(case: Case) -> None:
    with_candidates(case, NEW, NEW)

    assert case.errors() == [
        f"{FILE}:{FIRST + 1}: llmops.candidates.new.name: another candidate has this name; rename one of them"
    ]


def test_a_rule_for_agreement_as_a_mapping(case: Case) -> None:
    with_candidates(case, "{name: new, flow: new, parity: {agreement: {min: 0.5, severity: warn}}}")
    (found,) = case.load().candidates

    assert found.agreement == Threshold(
        evaluator="run", metric="agreement", rule=parse_rule({"min": 0.5}), severity="warn", file=FILE, line=FIRST
    )


def test_a_rule_for_agreement_that_no_share_can_keep(case: Case) -> None:
    with_candidates(case, "{name: new, flow: new, parity: {agreement: '>= 1.5'}}")

    assert case.errors() == [
        f"{FILE}:{FIRST}: run.agreement: with 3 rows in dataset 'rows', no result can be '>= 1.5'; correct the rule"
    ]


def test_a_rule_for_agreement_that_is_finer_than_a_row(case: Case) -> None:
    with_candidates(case, "{name: new, flow: new, parity: {agreement: '>= 0.9'}}")

    assert case.load().warnings == (f"{FILE}:{FIRST}: run.agreement: with 3 rows in dataset 'rows', {SINGLE}",)


def test_a_margin_that_so_few_rows_can_not_show(case: Case) -> None:
    with_candidates(case, "{name: new, flow: new, parity: {margin: 0.05}}")

    assert case.load().warnings == (
        f"{FILE}:{FIRST}: score.correct: with 3 rows in dataset 'rows', nothing can be claimed of a difference from "
        "the flow: that takes 10 rows; add rows, or write must_pass or agreement",
    )


@pytest.mark.parametrize(
    ("margin", "message"),
    [
        ("0.05", "with 20 rows in dataset 'rows', a loss of 0.05 can't be ruled out even if no score changes; "
         "it would need 52 rows: add rows, allow more, or write agreement"),
        ("0", "no number of rows can show that nothing at all was lost; allow a little, or write agreement"),
        ("0.5", ""),
    ],
)  # fmt: skip
def test_margins_that_the_rows_can_show_and_can_not(case: Case, margin: str, message: str) -> None:
    with_candidates(case, f"{{name: new, flow: new, parity: {{margin: {margin}}}}}")
    case.write("data/rows.jsonl", "".join(f'{{"id": {n}, "text": "t"}}\n' for n in range(20)))
    case.write("data/gold.jsonl", "".join(f'{{"id": {n}, "label": "a"}}\n' for n in range(20)))

    assert case.load().warnings == ((f"{FILE}:{FIRST}: score.correct: {message}",) if message else ())


@pytest.mark.parametrize(
    "thresholds", ["{}", "{run.rows: '>= 1'}", "{score.correct: {min: 0.5, severity: warn}, run.rows: '>= 1'}"]
)
def test_a_margin_that_nothing_is_held_to(case: Case, thresholds: str) -> None:
    with_candidates(case, "{name: new, flow: new, parity: {margin: 0.05}}", thresholds=thresholds)

    assert case.errors() == [f"{FILE}:{FIRST}: llmops.candidates.new.parity.margin: {UNHELD}"]


def test_a_margin_that_a_threshold_can_close_the_gate_by(case: Case) -> None:
    thresholds = "{score.correct: {min: 0.5, severity: warn}, score.coverage: '>= 0.5'}"
    with_candidates(case, "{name: new, flow: new, parity: {margin: 0.5}}", thresholds=thresholds)

    assert case.load().candidates[0].margin == 0.5


def test_a_margin_that_only_slices_are_held_to(case: Case) -> None:
    case.write("flows/new/workflow.py", WORKFLOW)
    case.append(
        "llmops:\n  slices: {by: [text], thresholds: {score.correct: '>= 0.5'}}\n"
        "  candidates:\n  - {name: new, flow: new, parity: {margin: 0.05}}\n"
    )

    assert case.errors() == [f"{FILE}:{FIRST}: llmops.candidates.new.parity.margin: {UNHELD}"]


def test_a_margin_beside_thresholds_with_margins_of_their_own(case: Case) -> None:
    case.append("  thresholds: {correct: {margin: 0.2}}\n")
    with_candidates(case, "{name: new, flow: new, parity: {margin: 0}}", thresholds="{}")
    case.append("  baseline: saved.json\n")

    assert case.load().candidates[0].margin == 0


@pytest.mark.parametrize(
    ("workflow", "message"),
    [
        ("def create_worflow(): ...\n", ": there is no 'create_workflow'; did you mean 'create_worflow'?"),
        ("def build(): ...\n", ": there is no 'create_workflow'; it has: 'build'"),
        ("", ": there is no 'create_workflow'; correct the file"),
        ("\ndef create_workflow(:\n", ":2: not valid Python: invalid syntax; correct the file"),
    ],
)
def test_workflows_that_can_not_be_read_are_named_by_their_file(case: Case, workflow: str, message: str) -> None:
    with_candidates(case, NEW).write("flows/new/workflow.py", workflow)

    assert case.errors() == [f"evals/case/flows/new/workflow.py{message}"]


def test_an_init_parameter_without_a_value(case: Case) -> None:
    with_candidates(case, NEW).write("flows/new/workflow.py", "def create_workflow(variant: str): ...\n")

    assert case.errors() == [
        f"{FILE}:{FIRST}: llmops.candidates.new.init: init parameter 'variant' of flow 'new' has no value; "
        "set it here, or in evals/case/flows/new/init.json"
    ]


def test_init_values_of_the_file_go_before_those_beside_the_flow(case: Case) -> None:
    with_candidates(case, "{name: new, flow: new, init: {variant: long}, parity: {agreement: '>= 0.5'}}")
    case.write("flows/new/workflow.py", "def create_workflow(variant: str, key: str, *, limit: int = 3): ...\n")
    case.write("flows/new/init.json", '{"variant": "short", "key": "${KEY}"}')
    (found,) = case.load(environ={"KEY": "k-1"}).candidates

    assert found.init == {"variant": "long", "key": "k-1"}
    assert found.flow.init["limit"] == Port(name="limit", type="int", default=3, required=False)


def test_init_values_of_a_workflow_with_open_parameters(case: Case) -> None:
    with_candidates(case, "{name: new, flow: new, init: {depth: 2}, parity: {agreement: '>= 0.5'}}")
    case.write("flows/new/workflow.py", "from somewhere import create_workflow\n")

    assert case.load().candidates[0].init == {"depth": 2}


def test_mappings_that_do_not_fit_the_inputs_of_a_candidate(case: Case) -> None:
    with_candidates(case, "{name: new, flow: 'other:answer', parity: {agreement: '>= 0.5'}}")
    case.write("other.py", "def answer(txt): ...\n")

    assert case.errors() == [
        f"{FILE}:6: datasets.rows.mappings: input 'txt' of flow 'answer' is not mapped, and "
        "evals/case/data/rows.jsonl has no such column; map it, columns: 'id', 'text'",
        f"{FILE}:{FIRST}: llmops.candidates.new.flow: flow 'answer' of candidate 'new' does not take 'text', which "
        "dataset 'rows' maps; did you mean 'txt'?",
    ]


def test_an_input_that_a_candidate_does_not_take_is_its_own_mistake(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "outputs:", "  lang:\n    type: string\noutputs:")
    case.edit("experiment.yaml", "text: ${data.text}", "{text: '${data.text}', lang: '${data.id}'}")
    with_candidates(case, NEW, "{name: old, flow: again, parity: {agreement: '>= 0.5'}}")

    assert case.errors() == [
        f"{FILE}:{FIRST + 1}: llmops.candidates.old.flow: flow 'again' of candidate 'old' does not take 'lang', which "
        "dataset 'rows' maps; its inputs: 'text'"
    ]


ITSELF = "is the flow itself, with the same init; name another flow, or give it another init"


def test_a_candidate_that_is_the_flow_itself(case: Case) -> None:
    with_candidates(case, "{name: new, flow: flows/main, parity: {agreement: '>= 0.5'}}")

    assert case.errors() == [f"{FILE}:{FIRST}: llmops.candidates.new.flow: {ITSELF}"]


@pytest.mark.parametrize(
    ("init", "variants", "is_itself"),
    [
        ("{}", "{}", True),
        ("{tone: kind}", "{}", True),
        ("{limit: 3}", "{}", True),
        ("{tone: stern}", "{}", False),
        ("{limit: 4}", "{}", False),
        ("{}", "{overrides: {init.limit: [4, 3]}}", False),
        ("{limit: 4}", "{overrides: {init.limit: [4, 3]}}", True),
        ("{limit: 3}", "{overrides: {init.limit: [4, 3]}}", False),
    ],
)
def test_a_candidate_of_the_flow_with_the_init_of_its_default_variant(
    case: Case, init: str, variants: str, is_itself: bool
) -> None:
    case.write("flows/tuned/workflow.py", "def create_workflow(tone: str, limit: int = 3): ...\n")
    case.write("flows/tuned/init.json", '{"tone": "kind"}')
    case.edit("experiment.yaml", "flow: main\n", "flow: tuned\n")
    with_candidates(case, f"{{name: new, flow: tuned, init: {init}, parity: {{agreement: '>= 0.5'}}}}")
    case.append(f"  variants: {variants}\n")

    if is_itself:
        assert case.errors() == [f"{FILE}:{FIRST}: llmops.candidates.new.flow: {ITSELF}"]
    else:
        assert len(case.load().candidates) == 1


def test_places_of_mappings_beside_a_dataset_of_the_same_name(case: Case) -> None:
    case.edit(
        "experiment.yaml",
        "evaluators:\n",
        "- {name: rows, source: rows.jsonl, mappings: {text: '${data.text}'}}\n"
        "- {name: more, source: rows.jsonl, mappings: {text: '${data.text}'}}\nevaluators:\n",
    )
    with_candidates(case, "{name: new, flow: 'other:answer', parity: {agreement: '>= 0.5'}}")
    case.write("other.py", "def answer(text, tone): ...\n")
    lacking = (
        "input 'tone' of flow 'answer' is not mapped, and evals/case/data/rows.jsonl has no such column; "
        "map it, columns: 'id', 'text'"
    )

    assert case.errors() == [
        f"{FILE}:6: datasets.rows.mappings: {lacking}",
        f"{FILE}:8: datasets.rows.name: another dataset has this name; rename one of them",
        f"{FILE}:9: datasets.more.mappings: {lacking}",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("${data.text}", "${data.txt}", "evals/case/data/rows.jsonl has no column 'txt'; did you mean 'text'?"),
        ("${data.text}", "${txt}", "'${txt}' can't be resolved; write ${data.<column>}"),
    ],
)
def test_a_mapping_that_fits_neither_is_reported_once(case: Case, old: str, new: str, message: str) -> None:
    with_candidates(case, NEW, NEW.replace("name: new", "name: newer"))
    case.edit("experiment.yaml", old, new)

    assert case.errors() == [f"{FILE}:7: datasets.rows.mappings.text: {message}"]


def test_outputs_that_a_candidate_lacks(case: Case) -> None:
    with_candidates(case, "{name: new, flow: other, parity: {agreement: '>= 0.5'}}")
    case.write("flows/other/flow.dag.yaml", MAIN.replace("  answer:\n    type: string\n    ref", "  reply:\n    ref"))

    assert case.errors() == [
        f"{FILE}:{FIRST}: llmops.candidates.new.flow: flow 'other' has no output 'answer', and the flow that it "
        "stands for has; its outputs: 'reply'"
    ]


def test_a_connection_that_only_a_candidate_names(case: Case) -> None:
    case.append("connections:\n- {name: aoai, connection_type: AzureOpenAIConnection, api_base: x, api_key: k}\n")
    case.write("flows/other/flow.dag.yaml", MAIN.replace("connection: aoai", "connection: aoia"))
    case.append("llmops:\n  candidates:\n  - {name: new, flow: other, parity: {agreement: '>= 0.5'}}\n")

    assert len(case.load().candidates) == 1
    assert case.errors(live=True) == [
        f"{FILE}:22: llmops.candidates.new.flow: flow 'other' needs connection 'aoia', which is not defined; "
        "did you mean 'aoai'?"
    ]


def test_a_bad_candidate_hides_no_other_problem(case: Case) -> None:
    with_candidates(
        case,
        "{name: gone, flow: gone, parity: {agreement: '<= 3 s'}}",
        "{name: none, flow: new}",
        "{name: new, flow: new, init: {x: 1}, parity: {margin: 1}}",
        thresholds="{score.correct: '>> 1', run.rows: '>= 1'}",
    )
    case.edit("experiment.yaml", "flow: main\n", "flow: gnoe\n")
    case.edit("experiment.yaml", "gold.jsonl", "glod.jsonl")

    assert [line.split(": ", 2)[1] for line in case.errors()] == [
        "flow",
        "evaluators.score.datasets.gold.source",
        "llmops.thresholds.score.correct",
        "llmops.candidates.gone.flow",
        "llmops.candidates.gone.parity.agreement",
        "llmops.candidates.none.parity",
        "llmops.candidates.new.init.x",
        "llmops.candidates.new.parity.margin",
    ]


def test_candidates_of_an_overlay(case: Case) -> None:
    case.write("flows/new/workflow.py", WORKFLOW)
    case.write("experiment.dev.yaml", f"llmops:\n  candidates:\n  - {NEW}\n")

    assert [candidate.name for candidate in case.load(env="dev").candidates] == ["new"]
    assert case.load().candidates == ()


def test_mistakes_in_candidates_of_an_overlay_are_named_by_it(case: Case) -> None:
    case.write("experiment.dev.yaml", "llmops:\n  candidates:\n  - {name: new, flow: nwe, parity: {margin: 1}}\n")
    case.write("flows/new/workflow.py", WORKFLOW)

    assert case.errors(env="dev") == [
        f"{OVERLAY}:3: llmops.candidates.new.flow: no flow 'nwe', looked for evals/case/nwe, evals/case/flows/nwe, "
        "flows/nwe; did you mean 'new'?",
        f"{OVERLAY}:3: llmops.candidates.new.parity.margin: {UNHELD}",
    ]


@pytest.mark.parametrize("nothing", ["", "[]", "null"])
def test_an_overlay_that_removes_candidates(case: Case, nothing: str) -> None:
    with_candidates(case, NEW).write("experiment.dev.yaml", f"llmops:\n  candidates: {nothing}\n")

    assert case.load(env="dev").candidates == ()
    assert len(case.load().candidates) == 1


def test_an_overlay_replaces_the_list_of_candidates(case: Case) -> None:
    with_candidates(case, NEW, "{name: old, flow: again, parity: {agreement: '>= 0.5'}}")
    case.write("experiment.dev.yaml", "llmops:\n  candidates:\n  - {name: x, flow: again, parity: {margin: 1}}\n")

    assert [candidate.name for candidate in case.load(env="dev").candidates] == ["x"]
