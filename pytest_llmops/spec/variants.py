"""The rules for variants, checked against what the flow has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.records.experiment import VariantRules
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.flows import FlowFacts
from pytest_llmops.spec.models import VariantsBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import suggest

_PATH: KeyPath = ("llmops", "variants")
_INIT = "init."
_Axes = Mapping[str, Sequence[Any]]


class VariantReader:
    """Reads the ``llmops.variants`` block of one experiment."""

    def __init__(self, facts: FlowFacts, report: Reporter) -> None:
        self._flow = facts.flow
        self._open_init = facts.open_init
        self._report = report

    def read(self, block: VariantsBlock | None) -> VariantRules:
        """Resolve the block; what does not fit the flow is reported and left out."""
        if block is None:
            return VariantRules()
        overrides = {
            name: tuple(values)
            for name, values in (block.overrides or {}).items()
            if self._can_override(name, (*_PATH, "overrides", name))
        }
        rules = VariantRules(
            include=tuple(block.include or ()), exclude=tuple(block.exclude or ()), overrides=overrides
        )
        if isinstance(block.strategy, str):
            return replace(rules, strategy=block.strategy)
        axes = {**{node: variants.choices for node, variants in self._flow.variants.items()}, **overrides}
        paths = ((*_PATH, "strategy", index) for index in range(len(block.strategy)))
        items = zip(block.strategy, paths, strict=True)
        return replace(rules, combinations=tuple(self._combination(item, axes, path) for item, path in items))

    def _can_override(self, name: str, path: KeyPath) -> bool:
        if self._flow.kind == "dag":
            return self._is_node_input(name, path)
        if not (self._flow.init or self._open_init):
            self._report.error(path, f"flow '{self._flow.name}' has nothing to override", "remove it")
            return False
        if not name.startswith(_INIT):
            self._report.error(path, f"a {self._flow.kind} flow has no nodes", f"write {_INIT}{name} to vary its init")
            return False
        parameter = name.removeprefix(_INIT)
        known = self._open_init or parameter in self._flow.init
        if not known:
            todo = suggest(parameter, self._flow.init, "its parameters")
            self._report.error(path, f"flow '{self._flow.name}' has no init parameter {parameter!r}", todo)
        return known

    def _is_node_input(self, name: str, path: KeyPath) -> bool:
        nodes = self._flow.node_inputs
        node = next((node for node in nodes if name.startswith(f"{node}.")), None)
        if node is None:
            unknown, dot, _ = name.partition(".")
            what = f"flow '{self._flow.name}' has no node {unknown!r}" if dot else "names no input of a node"
            self._report.error(path, what, suggest(unknown, nodes, "its nodes") if dot else "write node.input")
            return False
        wanted = name[len(node) + 1 :]
        if wanted not in nodes[node]:
            what = f"node {node!r} has no input {wanted!r} in {self._flow.file.name}"
            self._report.error(path, what, suggest(wanted, nodes[node], "its inputs"))
        return wanted in nodes[node]

    def _combination(self, item: str | Mapping[str, Any], axes: _Axes, path: KeyPath) -> Mapping[str, Any]:
        if isinstance(item, str):
            return self._named(item, path)
        return {axis: choice for axis, choice in item.items() if self._is_choice(axis, choice, axes, (*path, axis))}

    def _named(self, text: str, path: KeyPath) -> Mapping[str, str]:
        """Find the variant that a text names, with or without its node."""
        choices = [(node, choice) for node, variants in self._flow.variants.items() for choice in variants.choices]
        found = [(node, choice) for node, choice in choices if text in (choice, f"{node}.{choice}")]
        if len(found) > 1:
            meant = " or ".join(f"'{node}.{choice}'" for node, choice in found)
            self._report.error(path, f"{text!r} is a variant of several nodes", f"write {meant}")
        elif not found:
            names = dict.fromkeys(name for node, choice in choices for name in (choice, f"{node}.{choice}"))
            what = f"flow '{self._flow.name}' has no variant {text!r}"
            self._report.error(path, what, suggest(text, names, "its variants"))
        return dict(found[:1])

    def _is_choice(self, axis: str, choice: Any, axes: _Axes, path: KeyPath) -> bool:
        if axis not in axes:
            what = f"{axis!r} is neither a node with variants nor one of the overrides"
            self._report.error(path, what, suggest(axis, axes, "these are"))
            return False
        if choice not in axes[axis]:
            todo = suggest(str(choice), map(str, axes[axis]), "its choices")
            self._report.error(path, f"{choice!r} is not a choice of {axis!r}", todo)
        return choice in axes[axis]
