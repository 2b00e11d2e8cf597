"""The matrix of an experiment: which variants there are, and the cells flow x dataset x variant. Pure."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.hashing import digest
from pytest_llmops.records.experiment import Candidate, Experiment, Flow, VariantRules
from pytest_llmops.records.gate import Cell
from pytest_llmops.records.run import Variant

_INIT = "init."
_DEFAULTS = ("default", "defaults")
_PLAIN = re.compile(r"[\w.-]{1,24}")


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies: a node's variants, the values of a node input, or of an ``init`` parameter.

    The first choice is the default one.
    """

    name: str
    choices: tuple[Any, ...]
    is_node: bool = False


def cells(experiment: Experiment, *, path: str, selection: str | None = None) -> tuple[Cell, ...]:
    """List the cells of an experiment, datasets outermost, default variant first, candidates last.

    The file's rules for variants are about those of the flow: they leave out no candidate.

    ``path`` is the experiment file as cells should name it. ``selection`` is what ``--llmops-variants`` said: ``all``
    or ``*``, or a comma-separated list of ``defaults`` and globs over variants; it is applied after the file's rules.

    Raises:
        ConfigurationError: where the file's own rules leave no variant to run, or two cells would have one name.
    """
    own = kept_variants(experiment)
    if not own:
        raise ConfigurationError.one(
            path, 0, "llmops.variants", "include and exclude leave no variant to run", "widen one of them"
        )
    taken = {variant.id for variant in all_variants(experiment.flow, experiment.variants)}
    variants = (*own, *_candidates(experiment, taken, path))
    found = tuple(
        cell_of(experiment, path, dataset.name, variant)
        for dataset in experiment.datasets
        for variant in variants
        if _selected(variant, selection)
    )
    if repeated := [name for name, times in Counter(cell.id for cell in found).items() if times > 1]:
        raise ConfigurationError.one(path, 0, "datasets", f"two cells are named '{repeated[0]}'", "rename a dataset")
    return found


def cell_of(experiment: Experiment, path: str, dataset: str, variant: Variant) -> Cell:
    """Name the cell of an experiment's dataset and a variant of its flow. ``path`` is that of its file."""
    return Cell(experiment=path, use_case=experiment.name, flow=experiment.flow.name, dataset=dataset, variant=variant)


def _candidates(experiment: Experiment, taken: Collection[str], path: str) -> Iterator[Variant]:
    """Yield a variant for each candidate. Like those of the flow, it holds no init values but chosen ones."""
    for candidate in experiment.candidates:
        if candidate.name in taken:
            key = f"llmops.candidates.{candidate.name}.name"
            raise ConfigurationError.one(path, 0, key, "the flow has a variant of this name", "rename the candidate")
        yield candidate_variant(candidate)


def candidate_variant(candidate: Candidate) -> Variant:
    """Return what stands for a candidate in the place of a variant."""
    return Variant(id=candidate.name, is_default=False, is_candidate=True)


def kept_variants(experiment: Experiment) -> tuple[Variant, ...]:
    """List the variants of the flow that the experiment's file has run, the default one first if it is among them."""
    known = all_variants(experiment.flow, experiment.variants)
    return tuple(variant for variant in known if _included(variant, experiment.variants))


def all_variants(flow: Flow, rules: VariantRules) -> tuple[Variant, ...]:
    """List every variant that the rules' strategy asks for, the default one first, without repetition."""
    axes = _axes(flow, rules)
    default = {axis.name: axis.choices[0] for axis in axes}
    combinations = [{**default, **chosen} for chosen in rules.combinations] or _by_strategy(axes, default, rules)
    variants = (_variant(axes, combination, combination == default) for combination in combinations)
    return tuple({variant.id: variant for variant in variants}.values())


def _axes(flow: Flow, rules: VariantRules) -> tuple[Axis, ...]:
    nodes = (
        Axis(node, (variants.default, *(c for c in variants.choices if c != variants.default)), is_node=True)
        for node, variants in flow.variants.items()
    )
    return (*nodes, *(Axis(name, values) for name, values in rules.overrides.items()))


def _by_strategy(axes: tuple[Axis, ...], default: Mapping[str, Any], rules: VariantRules) -> list[dict[str, Any]]:
    if rules.strategy == "defaults":
        return [dict(default)]
    if rules.strategy == "cartesian":
        names = [axis.name for axis in axes]
        products = itertools.product(*(axis.choices for axis in axes))
        return [dict(zip(names, choices, strict=True)) for choices in products]
    return [dict(default), *({**default, axis.name: choice} for axis in axes for choice in axis.choices[1:])]


def _variant(axes: tuple[Axis, ...], combination: Mapping[str, Any], is_default: bool) -> Variant:
    chosen = [(axis, combination[axis.name]) for axis in axes]
    return Variant(
        id=_variant_id(chosen),
        nodes={axis.name: choice for axis, choice in chosen if axis.is_node},
        overrides={axis.name: v for axis, v in chosen if not axis.is_node and not axis.name.startswith(_INIT)},
        init={axis.name.removeprefix(_INIT): v for axis, v in chosen if axis.name.startswith(_INIT)},
        is_default=is_default,
    )


def _variant_id(chosen: Iterable[tuple[Axis, Any]]) -> str:
    """Name a variant by every choice, the default ones too: its history survives a change of the default."""
    chosen = list(chosen)
    several_nodes = sum(axis.is_node for axis, _ in chosen) > 1
    parts = []
    for axis, choice in chosen:
        if axis.is_node:
            parts.append(f"{axis.name}.{choice}" if several_nodes else str(choice))
        else:
            parts.append(f"{axis.name}={_short(choice)}")
    return "+".join(parts) or "default"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    ambiguous = isinstance(value, str) and _is_json(text)  # the text "1" is not the number 1
    return text if _PLAIN.fullmatch(text) and not ambiguous else digest(value)[:8]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _included(variant: Variant, rules: VariantRules) -> bool:
    kept = not rules.include or any(_matches(variant, pattern) for pattern in rules.include)
    return kept and not any(_matches(variant, pattern) for pattern in rules.exclude)


def _selected(variant: Variant, selection: str | None) -> bool:
    if selection is None or selection.strip().lower() in ("*", "all", ""):
        return True
    patterns = map(str.strip, selection.split(","))
    return any(variant.is_default if p.lower() in _DEFAULTS else _matches(variant, p) for p in patterns)


def _matches(variant: Variant, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in _names(variant))


def _names(variant: Variant) -> Iterator[str]:
    """Names under which a variant can be selected: its id, and each of its choices with and without the node."""
    yield variant.id
    for node, choice in variant.nodes.items():
        yield from (choice, f"{node}.{choice}")
    for name, value in (*variant.overrides.items(), *((_INIT + k, v) for k, v in variant.init.items())):
        yield f"{name}={_short(value)}"
