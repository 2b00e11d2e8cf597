"""What a served flow takes and gives, by the files of the flow that is said to be served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmops.records.experiment import Flow


def inputs_for(flow: Flow, mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a line: of what is mapped, those that the flow has, and the defaults of the others.

    So rows have the inputs that they have where the flow is executed, and can be compared with its results.
    """
    defaults = {name: port.default for name, port in flow.inputs.items() if not port.required}
    known = {name: value for name, value in defaults.items() if value is not None} | dict(mapped)
    if flow.open_inputs:
        return known
    return {name: value for name, value in known.items() if name in flow.inputs}


def served_outputs(flow: Flow) -> tuple[str, ...]:
    """Return the outputs that an answer has to have, none where they are not known.

    Prompt flow's server leaves out those that a DAG flow marks ``evaluation_only``.
    """
    if flow.kind != "dag":
        return flow.outputs
    import yaml

    definition = yaml.safe_load(flow.file.read_text(encoding="utf-8"))
    outputs = definition.get("outputs") or {}
    return tuple(name for name in flow.outputs if not _is_for_evaluation(outputs.get(name)))


def _is_for_evaluation(output: Any) -> bool:
    return isinstance(output, Mapping) and output.get("evaluation_only") is True
