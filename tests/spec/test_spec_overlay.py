"""Overlays: blocks replaced, settings merged, and what an overlay may not do."""

from __future__ import annotations

from spec_case import Case

BASE = "evals/case/experiment.yaml"
OVERLAY = "evals/case/experiment.dev.yaml"


def test_null_empties_a_block(case: Case) -> None:
    case.append("connections:\n- {name: aoai, connection_type: AzureOpenAIConnection, api_base: x}\nruntime: fast\n")
    case.write("experiment.dev.yaml", "connections:\nevaluators:\nruntime:\n")
    experiment = case.load(env="dev")

    assert (experiment.connections, experiment.evaluators, experiment.runtime) == ((), (), None)
    assert [dataset.name for dataset in experiment.datasets] == ["rows"]


def test_llmops_is_merged_key_by_key(case: Case) -> None:
    case.append("llmops:\n  gate: {require: all, max_failed_rows: 1}\n  variants: {exclude: [long]}\n")
    case.write("experiment.dev.yaml", "llmops:\n  gate: {max_failed_rows: 2}\n  variants: {strategy: defaults}\n")
    experiment = case.load(env="dev")

    assert (experiment.gate.require, experiment.gate.max_failed_rows) == ("all", 2)
    assert (experiment.variants.strategy, experiment.variants.exclude) == ("defaults", ("long",))


def test_an_empty_overlay_and_a_missing_one_change_nothing(case: Case) -> None:
    case.write("experiment.dev.yaml", "# nothing\n")

    assert case.load(env="dev").datasets == case.load(env="prod").datasets == case.load().datasets


def test_name_and_flow_may_be_repeated_but_not_changed(case: Case) -> None:
    case.write("experiment.dev.yaml", "name: case\nflow: main\n")
    assert case.load(env="dev").name == "case"

    case.write("experiment.dev.yaml", "name: other\nflow: score\n")
    assert case.errors(env="dev") == [
        f"{OVERLAY}:1: name: differs from 'case' in {BASE}, which alone counts; remove it",
        f"{OVERLAY}:2: flow: differs from 'main' in {BASE}, which alone counts; remove it",
    ]


def test_mistakes_are_named_by_the_file_that_has_them(case: Case) -> None:
    case.edit("experiment.yaml", "    text: ${data.text}", "    txt: ${data.text}")
    case.append("runtimes: x\n")
    case.write("experiment.dev.yaml", "llmops:\n  gate: {requir: all}\nextra: 1\nruntime: [a]\n")

    assert case.errors(env="dev") == [
        f"{OVERLAY}:2: llmops.gate.requir: unknown key; did you mean 'require'?",
        f"{OVERLAY}:3: extra: unknown key; known keys: 'name', 'flow', 'datasets', 'evaluators', 'connections', "
        "'runtime', 'llmops', 'repeat'",
        f"{OVERLAY}:4: runtime: expected text, but YAML reads this as a list; correct it",
        "evals/case/experiment.yaml:7: datasets.rows.mappings.txt: not an input of flow 'main', so prompt flow would "
        "ignore it; did you mean 'text'?",
        "evals/case/experiment.yaml:18: runtimes: unknown key; did you mean 'runtime'?",
    ]


def test_a_replaced_block_is_not_checked_against_data(case: Case) -> None:
    case.edit("experiment.yaml", "source: gold.jsonl", "source: gone.jsonl")
    case.write("experiment.dev.yaml", "evaluators:\n")

    assert case.load(env="dev").evaluators == ()


def test_evaluators_left_bound_to_datasets_that_are_gone(case: Case) -> None:
    case.write(
        "experiment.dev.yaml", "datasets:\n- {name: few, source: rows.jsonl, mappings: {text: '${data.text}'}}\n"
    )

    assert case.errors(env="dev") == [
        f"{OVERLAY}:1: datasets: leaves evaluator 'score' bound to dataset 'rows', which it removes; "
        "set 'evaluators:' here too, empty to run none"
    ]


def test_an_overlay_must_leave_something_to_run(case: Case) -> None:
    case.write("experiment.dev.yaml", "datasets:\nevaluators:\n")

    assert case.errors(env="dev") == [f"{OVERLAY}:1: datasets: leaves no dataset to run; name at least one"]


def test_environments_that_can_not_be_part_of_a_file_name(case: Case) -> None:
    assert case.errors(env="../dev") == [
        f"{BASE}: '../dev' can't be the name of an environment; use letters, digits, '_', '-' and '.'"
    ]


def test_an_overlay_that_is_no_mapping(case: Case) -> None:
    case.write("experiment.dev.yaml", "- a\n")

    assert case.errors(env="dev") == [f"{OVERLAY}:1: is not a mapping; write keys such as 'name:' and 'datasets:'"]
