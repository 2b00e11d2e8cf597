"""Metrics of prompt flow's flows: aggregation nodes, and ``__aggregate__`` of a flex class.

Imported only in worker processes, because it imports promptflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What promptflow's batch engine gathers the inputs of aggregation nodes with; there is no public way to these steps.
from promptflow._utils.execution_utils import get_aggregation_inputs_properties
from promptflow.contracts.run_info import Status
from promptflow.contracts.types import AttrDict
from promptflow.executor.flow_validator import FlowValidator

from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.text import headline, one_line


@dataclass(frozen=True, slots=True)
class CompletedLine:
    """What aggregation may need of a line: the flow's inputs, its output, and the node outputs that are aggregated."""

    inputs: Mapping[str, Any]
    output: Any
    aggregation_inputs: Mapping[str, Any]


def aggregate_nodes(executor: Any, lines: Sequence[CompletedLine]) -> Aggregation:
    """Execute a DAG flow's aggregation nodes over its completed lines, which may be none.

    Metrics logged before a node failed are kept, as in prompt flow.
    """
    flow = executor._flow
    inputs = [FlowValidator.ensure_flow_inputs_type(flow=flow, inputs=line.inputs) for line in lines]
    result = executor.exec_aggregation(
        _by_name(inputs, flow.inputs),
        _by_name([line.aggregation_inputs for line in lines], get_aggregation_inputs_properties(flow)),
    )
    return Aggregation(metrics=result.metrics, error=_node_error(executor.aggregation_nodes, result.node_run_infos))


def aggregate_class(executor: Any, lines: Sequence[CompletedLine]) -> Aggregation:
    """Call a flex class's ``__aggregate__`` with the outputs of its completed lines.

    Where it fails, prompt flow gives a completed run without metrics and without an error; a gate must know.
    """
    outputs = [AttrDict(line.output) if isinstance(line.output, dict) else line.output for line in lines]
    try:
        metrics = executor._aggr_func(**{executor._aggr_input_name: outputs})
    except Exception as problem:
        return Aggregation(error=f"Execution failure in '__aggregate__': {one_line(problem)}")
    if metrics is None:
        return Aggregation()
    if not isinstance(metrics, dict):
        return Aggregation(error=f"'__aggregate__' returned {type(metrics).__name__}, not a dict of metrics")
    return Aggregation(metrics=metrics)


def _by_name(values: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, list[Any]]:
    return {name: [value.get(name) for value in values] for name in names}


def _node_error(nodes: Iterable[str], run_infos: Mapping[str, Any]) -> str | None:
    """Return what the first aggregation node that did not complete says; one that never started says nothing."""
    failed = [info for info in run_infos.values() if info.status not in (Status.Completed, Status.Bypassed)]
    if failed:
        return headline(failed[0].error["message"])
    missing = sorted(set(nodes) - set(run_infos))
    return f"aggregation node '{missing[0]}' was not executed" if missing else None
