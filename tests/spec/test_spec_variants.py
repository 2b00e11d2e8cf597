"""Which variants are to be run, checked against the flow."""

from __future__ import annotations

import pytest
from spec_case import Case

from pytest_llmops.records.experiment import VariantRules

FILE = "evals/case/experiment.yaml"


def rules(case: Case, text: str) -> VariantRules:
    case.append(f"llmops:\n  variants:\n    {text}\n")
    return case.load().variants


def test_defaults(case: Case) -> None:
    assert case.load().variants == VariantRules()


def test_strategy_filters_and_overrides(case: Case) -> None:
    text = "{strategy: cartesian, include: ['s*'], exclude: [long], overrides: {ask.temperature: [0, 0.7]}}"
    case.append(f"llmops:\n  variants: {text}\n")

    assert case.load().variants == VariantRules(
        strategy="cartesian", include=("s*",), exclude=("long",), overrides={"ask.temperature": (0, 0.7)}
    )


def test_combinations(case: Case) -> None:
    found = rules(
        case, "strategy: [long, ask.short, {ask: long, tidy.limit: 5}, {}]\n    overrides: {tidy.limit: [20, 5]}"
    )

    assert found.combinations == ({"ask": "long"}, {"ask": "short"}, {"ask": "long", "tidy.limit": 5}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: all", "strategy: 'all' is not a choice; write 'one-at-a-time', 'cartesian' or 'defaults'"),
        ("strategy: []", "strategy: is empty; give it a value or remove it"),
        ("strategy: [lnog]", "strategy.0: flow 'main' has no variant 'lnog'; did you mean 'long'?"),
        ("strategy: [x]", "strategy.0: flow 'main' has no variant 'x'; "
         "its variants: 'short', 'ask.short', 'long', 'ask.long'"),
        ("strategy: [1]", "strategy.0: expected text, but YAML reads this as the number 1; put it in quotes"),
        ("strategy: [{aks: long}]",
         "strategy.0.aks: 'aks' is neither a node with variants nor one of the overrides; did you mean 'ask'?"),
        ("strategy: [{ask: lnog}]", "strategy.0.ask: 'lnog' is not a choice of 'ask'; did you mean 'long'?"),
        ("strategy: [{ask: 0}]", "strategy.0.ask: 0 is not a choice of 'ask'; its choices: 'short', 'long'"),
        ("overrides: {aks.temperature: [0]}",
         "overrides.aks.temperature: flow 'main' has no node 'aks'; did you mean 'ask'?"),
        ("overrides: {ask.temprature: [0]}", "overrides.ask.temprature: node 'ask' has no input 'temprature' "
         "in flow.dag.yaml; did you mean 'temperature'?"),
        ("overrides: {temperature: [0]}", "overrides.temperature: names no input of a node; write node.input"),
        ("overrides: {ask.temperature: 0}",
         "overrides.ask.temperature: expected a list, but YAML reads this as the number 0; correct it"),
        ("overrides: {ask.temperature: []}", "overrides.ask.temperature: is empty; give it a value or remove it"),
        ("include: long", "include: expected a list, but YAML reads this as the text 'long'; correct it"),
    ],
)  # fmt: skip
def test_rules_that_do_not_fit_the_flow(case: Case, text: str, message: str) -> None:
    case.append(f"llmops:\n  variants:\n    {text}\n")

    assert case.errors() == [f"{FILE}:20: llmops.variants.{message}"]


def test_a_name_that_several_nodes_use(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "- name: tidy\n", "- name: tidy\n  use_variants: true\n")
    case.append("  tidy: {default_variant_id: long, variants: {long: {node: {}}}}\n", "flows/main/flow.dag.yaml")
    case.append("llmops:\n  variants: {strategy: [long]}\n")

    assert case.errors() == [
        f"{FILE}:19: llmops.variants.strategy.0: 'long' is a variant of several nodes; write 'ask.long' or 'tidy.long'"
    ]


@pytest.fixture
def class_case(case: Case) -> Case:
    (case.folder / "flows/main/flow.dag.yaml").unlink()
    case.write("flows/main/flow.flex.yaml", "entry: answer:Answer\n")
    case.write("flows/main/answer.py", "class Answer:\n    def __init__(self, tone: str): ...\n"
               "    def __call__(self, text: str): ...\n")  # fmt: skip
    return case


def test_init_values_vary(class_case: Case) -> None:
    assert rules(class_case, "overrides: {init.tone: [dry, warm]}").overrides == {"init.tone": ("dry", "warm")}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tone", "a flex flow has no nodes; write init.tone to vary its init"),
        ("init.tune", "flow 'main' has no init parameter 'tune'; did you mean 'tone'?"),
    ],
)
def test_overrides_that_do_not_fit_a_class(class_case: Case, name: str, message: str) -> None:
    class_case.write("flows/main/init.json", '{"tone": "dry"}')
    class_case.append(f"llmops:\n  variants:\n    overrides: {{{name}: [dry]}}\n")

    assert class_case.errors() == [f"{FILE}:20: llmops.variants.overrides.{name}: {message}"]


def test_a_function_has_nothing_to_override(class_case: Case) -> None:
    class_case.write("flows/main/answer.py", "def Answer(text: str): ...\n")
    class_case.append("llmops:\n  variants:\n    overrides: {init.tone: [dry]}\n")

    assert class_case.errors() == [
        f"{FILE}:20: llmops.variants.overrides.init.tone: flow 'main' has nothing to override; remove it"
    ]
