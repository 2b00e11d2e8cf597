"""Strategies, selection and names of variants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.matrix import all_variants, cells
from pytest_llmops.records.experiment import Candidate, Dataset, Experiment, Flow, NodeVariants, VariantRules
from pytest_llmops.records.run import Variant

FILE = Path("evals/x/experiment.yaml")


def flow(**variants: tuple[str, ...]) -> Flow:
    """A DAG flow with variant nodes; the first choice of each is its default."""
    nodes = {node: NodeVariants(default=choices[0], choices=choices) for node, choices in variants.items()}
    return Flow(name="f", kind="dag", file=FILE, folder=FILE.parent, variants=nodes)


def ids(flow: Flow, **rules: Any) -> list[str]:
    return [variant.id for variant in all_variants(flow, VariantRules(**rules))]


def experiment(rules: VariantRules) -> Experiment:
    datasets = tuple(Dataset(name=name, mappings={}) for name in ("a", "b"))
    return Experiment(
        name="x", file=FILE, env=None, flow=flow(n=("v0", "v1")), datasets=datasets, evaluators=(), variants=rules
    )


def with_candidates(*names: str, **rules: Any) -> Experiment:
    """An experiment on one dataset; the candidates have init values."""
    candidates = tuple(Candidate(name=name, flow=flow(), init={"key": "k-1"}) for name in names)
    one = (Dataset(name="a", mappings={}),)
    return replace(experiment(VariantRules(**rules)), datasets=one, candidates=candidates)


def names(experiment: Experiment, selection: str | None = None) -> list[str]:
    return [cell.variant.id for cell in cells(experiment, path="p", selection=selection)]


def test_a_flow_without_variants_has_the_default_one() -> None:
    assert ids(flow()) == ["default"]


def test_one_node_is_named_by_its_variants() -> None:
    assert ids(flow(n=("few_shot", "terse"))) == ["few_shot", "terse"]


def test_one_at_a_time_varies_each_node_with_the_others_at_their_default() -> None:
    assert ids(flow(m=("a", "b"), n=("c", "d"))) == ["m.a+n.c", "m.b+n.c", "m.a+n.d"]


def test_cartesian_takes_every_combination() -> None:
    assert ids(flow(m=("a", "b"), n=("c", "d")), strategy="cartesian") == ["m.a+n.c", "m.a+n.d", "m.b+n.c", "m.b+n.d"]


def test_defaults_takes_one() -> None:
    assert ids(flow(m=("a", "b"), n=("c", "d")), strategy="defaults") == ["m.a+n.c"]


def test_a_list_of_combinations_replaces_the_strategy() -> None:
    assert ids(flow(m=("a", "b"), n=("c", "d")), combinations=({"m": "b", "n": "d"}, {"n": "d"})) == [
        "m.b+n.d",
        "m.a+n.d",
    ]


def test_overrides_and_init_values_vary_like_nodes() -> None:
    rules = VariantRules(overrides={"ask.temperature": (0, 0.7), "init.depth": (1, 2)})
    variants = all_variants(flow(), rules)
    assert [v.id for v in variants] == [
        "ask.temperature=0+init.depth=1",
        "ask.temperature=0.7+init.depth=1",
        "ask.temperature=0+init.depth=2",
    ]
    assert (variants[1].overrides, variants[1].init) == ({"ask.temperature": 0.7}, {"depth": 1})
    assert [v.is_default for v in variants] == [True, False, False]


@pytest.mark.parametrize("value", ["a [text] with brackets", "x" * 100, ["a", "list"], {"a": 1}, "../../etc"])
def test_values_that_make_no_good_name_are_named_by_digest(value: Any) -> None:
    (name,) = ids(flow(), overrides={"n.x": (value,)})
    assert name.startswith("n.x=")
    assert name[4:].isalnum()
    assert len(name) == 12


def test_values_of_different_types_are_different_variants() -> None:
    names = ids(flow(), overrides={"n.x": (1, "1", True, "true")})
    assert len(set(names)) == 4
    assert names[0] == "n.x=1"


def test_cells_that_would_share_a_name_are_an_error() -> None:
    clashing = replace(
        experiment(VariantRules()),
        flow=flow(n=("y", "x-y")),
        datasets=tuple(Dataset(name=name, mappings={}) for name in ("words", "words-x")),
    )
    with pytest.raises(ConfigurationError, match=r"^p: datasets: two cells are named 'f-words-x-y'; rename a dataset$"):
        cells(clashing, path="p")


def test_include_and_exclude_take_globs_over_ids_and_choices() -> None:
    rules = VariantRules(strategy="cartesian", exclude=("v1",))
    assert [cell.variant.id for cell in cells(experiment(rules), path="p")] == ["v0", "v0"]
    assert [cell.id for cell in cells(experiment(VariantRules(include=("n.v*",))), path="p")] == [
        "f-a-v0",
        "f-a-v1",
        "f-b-v0",
        "f-b-v1",
    ]


def test_rules_that_leave_nothing_are_an_error() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^p: llmops\.variants: include and exclude leave no variant to run; "
    ):
        cells(experiment(VariantRules(exclude=("*",))), path="p")


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (None, ["v0", "v1"]),
        ("all", ["v0", "v1"]),
        ("*", ["v0", "v1"]),
        ("defaults", ["v0"]),
        ("v1", ["v1"]),
        ("n.v1, v0", ["v0", "v1"]),
        ("nothing", []),
    ],
)
def test_the_command_line_selects_as_the_template_does(selection: str | None, expected: list[str]) -> None:
    one = replace(experiment(VariantRules()), datasets=(Dataset(name="a", mappings={}),))
    assert [cell.variant.id for cell in cells(one, path="p", selection=selection)] == expected


def test_candidates_come_last_on_each_dataset() -> None:
    datasets = tuple(Dataset(name=name, mappings={}) for name in ("a", "b"))
    found = cells(replace(with_candidates("agents"), datasets=datasets), path="p")

    assert [cell.id for cell in found] == ["f-a-v0", "f-a-v1", "f-a-agents", "f-b-v0", "f-b-v1", "f-b-agents"]
    assert [cell.variant.is_candidate for cell in found] == [False, False, True] * 2


def test_a_candidate_shows_none_of_its_init_values() -> None:
    *_, last = cells(with_candidates("agents"), path="p")

    assert last.variant == Variant(id="agents", is_default=False, is_candidate=True)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"include": ("v1",)}, ["v1", "agents"]),
        ({"exclude": ("v1", "agents", "a*")}, ["v0", "agents"]),
        ({"strategy": "defaults"}, ["v0", "agents"]),
        ({"combinations": ({"n": "v1"},)}, ["v1", "agents"]),
    ],
)
def test_rules_for_variants_leave_out_no_candidate(rules: dict[str, Any], expected: list[str]) -> None:
    assert names(with_candidates("agents", **rules)) == expected


def test_candidates_do_not_stand_in_for_variants_that_the_rules_leave_out() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^p: llmops\.variants: include and exclude leave no variant to run; "
    ):
        names(with_candidates("agents", exclude=("*",)))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("all", ["v0", "v1", "agents", "agents_2"]),
        ("defaults", ["v0"]),
        ("agents", ["agents"]),
        ("agents*", ["agents", "agents_2"]),
        ("v1, agents_?", ["v1", "agents_2"]),
        ("defaults, agents", ["v0", "agents"]),
        ("init.key=*", []),
    ],
)
def test_the_command_line_selects_candidates_by_name(selection: str, expected: list[str]) -> None:
    assert names(with_candidates("agents", "agents_2"), selection) == expected


@pytest.mark.parametrize("rules", [{}, {"exclude": ("v1",)}, {"strategy": "cartesian"}])
def test_a_candidate_named_like_a_variant_is_an_error(rules: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        names(with_candidates("agents", "v1", **rules))

    assert str(caught.value) == (
        "p: llmops.candidates.v1.name: the flow has a variant of this name; rename the candidate"
    )


def test_a_candidate_of_a_flow_without_variants_is_not_named_default() -> None:
    plain = replace(with_candidates("default"), flow=flow())
    with pytest.raises(ConfigurationError) as caught:
        names(plain)

    assert str(caught.value) == (
        "p: llmops.candidates.default.name: the flow has a variant of this name; rename the candidate"
    )


def test_a_candidate_that_makes_two_cells_of_one_name_is_an_error() -> None:
    datasets = tuple(Dataset(name=name, mappings={}) for name in ("words", "words-x"))
    clashing = replace(with_candidates("x-agents", "agents"), datasets=datasets)
    with pytest.raises(
        ConfigurationError, match=r"^p: datasets: two cells are named 'f-words-x-agents'; rename a dataset$"
    ):
        names(clashing)


NAMES = st.text("abc", min_size=1, max_size=3)
CHOICES = st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple)


@given(st.dictionaries(NAMES, CHOICES, max_size=3), st.sampled_from(["one-at-a-time", "cartesian", "defaults"]))
def test_ids_are_unique_and_the_default_comes_first(nodes: dict[str, tuple[str, ...]], strategy: Any) -> None:
    variants = all_variants(flow(**nodes), VariantRules(strategy=strategy))
    assert len({variant.id for variant in variants}) == len(variants)
    assert [variant.is_default for variant in variants] == [True] + [False] * (len(variants) - 1)
