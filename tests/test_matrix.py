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
from pytest_llmops.records.experiment import Dataset, Experiment, Flow, NodeVariants, VariantRules

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


NAMES = st.text("abc", min_size=1, max_size=3)
CHOICES = st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple)


@given(st.dictionaries(NAMES, CHOICES, max_size=3), st.sampled_from(["one-at-a-time", "cartesian", "defaults"]))
def test_ids_are_unique_and_the_default_comes_first(nodes: dict[str, tuple[str, ...]], strategy: Any) -> None:
    variants = all_variants(flow(**nodes), VariantRules(strategy=strategy))
    assert len({variant.id for variant in variants}) == len(variants)
    assert [variant.is_default for variant in variants] == [True] + [False] * (len(variants) - 1)
