"""DAG flows: nodes, their variants, and what flows in and out of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pytest_llmops.records.experiment import Flow, NodeVariants
from pytest_llmops.spec.flows.facts import FlowFacts, FlowReader
from pytest_llmops.spec.resolve import FlowPlace
from pytest_llmops.spec.suggest import describe, listing, suggest

_NODE_OUTPUT = re.compile(r"\$\{([^{}.]+)\.")
_Node = dict[str, Any]


def read_dag(place: FlowPlace, reader: FlowReader) -> FlowFacts:
    """Read a ``flow.dag.yaml``."""
    nodes = list(_nodes(reader))
    every = [*((str(node.get("name")), node) for node in nodes), *_variant_nodes(reader)]
    aggregating = {name for name, node in every if node.get("aggregation") or node.get("reduce")}
    outputs = tuple(
        name for name, output in reader.mappings("outputs") if not _reads(output.get("reference"), aggregating)
    )
    node_inputs: dict[str, tuple[str, ...]] = {}
    for name, node in every:
        inputs = node.get("inputs")
        names = inputs if isinstance(inputs, dict) else {}
        node_inputs[name] = tuple(dict.fromkeys((*node_inputs.get(name, ()), *names)))
    connections = (node.get("connection") for _, node in every)
    flow = Flow(
        name=place.name,
        kind="dag",
        file=place.file,
        folder=place.folder,
        inputs=reader.ports("inputs"),
        outputs=outputs,
        node_inputs=node_inputs,
        variants=dict(_variants(reader, nodes)),
        connections=tuple(dict.fromkeys(c for c in connections if isinstance(c, str) and c)),
    )
    return FlowFacts(flow=flow, outputs=outputs)


def _nodes(reader: FlowReader) -> Iterator[_Node]:
    nodes = reader.document.get(("nodes",))
    if nodes is not None and not isinstance(nodes, list):
        what = f"expected a list, but YAML reads this as {describe(nodes)}"
        reader.report.error(("nodes",), what, "correct it")
    for index in range(len(nodes) if isinstance(nodes, list) else 0):
        yield reader.mapping("nodes", index)


def _variant_nodes(reader: FlowReader) -> Iterator[tuple[str, _Node]]:
    """List what each variant makes of its node, by the name of the node."""
    for name, _ in reader.mappings("node_variants"):
        for choice in reader.mapping("node_variants", name, "variants"):
            yield name, reader.mapping("node_variants", name, "variants", choice, "node")


def _variants(reader: FlowReader, nodes: list[_Node]) -> Iterator[tuple[str, NodeVariants]]:
    """Read the variants of the nodes that use them, the only ones that have an effect in prompt flow."""
    defined = dict(reader.mappings("node_variants"))
    using = {str(node.get("name")): index for index, node in enumerate(nodes) if node.get("use_variants")}
    for name, index in using.items():
        if name not in defined:
            reader.report.error(("nodes", index), "has no variants to use", "define them under 'node_variants:'")
    for name, written in defined.items():
        path = ("node_variants", name)
        choices = tuple(reader.mapping(*path, "variants"))
        default = written.get("default_variant_id")
        if name not in using:
            what = f"node {name!r} does not set 'use_variants: true', so that its variants are all the same"
            reader.report.doubt(path, f"{what}, ignored", "set it, or remove the variants")
        elif default is None:
            what = "key 'default_variant_id' is missing"
            reader.report.error(path, what, f"add it, variants: {listing(choices)}")
        elif str(default) not in choices:
            todo = suggest(str(default), choices, "variants")
            reader.report.error((*path, "default_variant_id"), f"there is no variant {str(default)!r}", todo)
        else:
            yield name, NodeVariants(default=str(default), choices=choices)


def _reads(reference: object, nodes: set[str]) -> bool:
    match = _NODE_OUTPUT.match(reference) if isinstance(reference, str) else None
    return match is not None and match[1] in nodes
