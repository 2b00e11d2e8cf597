"""What a variant changes in the definition of a DAG flow, as its YAML holds it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmops.errors import RunError
from pytest_llmops.records.run import Variant
from pytest_llmops.spec.suggest import did_you_mean

# An LLM node takes these, whether or not its YAML mentions them: the first beside its inputs, the others among them.
_LLM_KEYS = ("connection", "provider", "api")
_LLM_INPUTS = ("deployment_name", "model")


def apply_variant(definition: Any, variant: Variant) -> None:
    """Make the chosen variants of nodes the default ones, and write overridden inputs into the nodes.

    prompt flow chooses for one node at a time. Where a node has variants, an override goes into the one that is its
    default then.

    Raises:
        RunError: for a node, variant or input that the flow does not have.
    """
    _choose(definition, variant.nodes)
    _override(definition, variant.overrides)


def _choose(definition: Any, choices: Mapping[str, str]) -> None:
    known = definition.get("node_variants") or {}
    nodes = {node["name"]: node for node in definition.get("nodes", ())}
    for name, choice in choices.items():
        if name not in nodes:
            raise RunError(f"the flow has no node '{name}'{_hint(name, nodes)}")
        if name not in known or not nodes[name].get("use_variants"):
            raise RunError(f"node '{name}' has no variants")
        if choice not in known[name]["variants"]:
            raise RunError(f"node '{name}' has no variant '{choice}'; it has {', '.join(known[name]['variants'])}")
        known[name]["default_variant_id"] = choice


def _override(definition: Any, overrides: Mapping[str, Any]) -> None:
    """Write values of node inputs into the nodes, or into the variants of them that are the default."""
    nodes = {node["name"]: _effective(definition, node) for node in definition.get("nodes", ())}
    for target, value in overrides.items():
        name, _, key = target.partition(".")
        if name not in nodes:
            raise RunError(f"override '{target}': the flow has no node '{name}'{_hint(name, nodes)}")
        node = nodes[name]
        is_llm = node.get("type") == "llm"
        inputs = node.setdefault("inputs", {})
        if is_llm and key in _LLM_KEYS:
            node[key] = value
        elif key in inputs or (is_llm and key in _LLM_INPUTS):
            inputs[key] = value
        else:
            raise RunError(f"override '{target}': node '{name}' has no input '{key}'{_hint(key, inputs)}")


def _effective(definition: Any, node: Any) -> Any:
    if not node.get("use_variants"):
        return node
    known = definition["node_variants"][node["name"]]
    return known["variants"][known["default_variant_id"]]["node"]


def _hint(word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return f"; {hint}" if hint else ""
