"""Executor of prompt flow's DAG flows, flex flows and ``.prompty`` files.

It takes the steps of ``PFClient().run`` with promptflow's own code, but without its process pool, storage and polling.
Imported only in worker processes, because it imports promptflow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

# promptflow's public functions give no metrics, so its executors are used directly.
from promptflow._constants import LINE_NUMBER_KEY
from promptflow._utils.dataclass_serializer import convert_dataclass_to_dict
from promptflow._utils.exception_utils import ExceptionPresenter
from promptflow._utils.execution_utils import apply_default_value_for_input
from promptflow.contracts.flow import Flow as ExecutableFlow
from promptflow.contracts.run_info import Status
from promptflow.exceptions import PromptflowException
from promptflow.executor import FlowExecutor
from promptflow.executor._flow_nodes_scheduler import DEFAULT_CONCURRENCY_BULK
from promptflow.executor._result import LineResult
from promptflow.executor._script_executor import ScriptExecutor
from promptflow.executor.flow_validator import FlowValidator
from promptflow.storage._run_storage import DummyRunStorage

from pytest_llmops.engines.environment import needs_no_keys, resolve_variables
from pytest_llmops.engines.exact import exact_json
from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.promptflow.adapt import adapt_promptflow
from pytest_llmops.engines.promptflow.aggregation import CompletedLine, aggregate_class, aggregate_nodes
from pytest_llmops.engines.promptflow.connections import Connections
from pytest_llmops.engines.promptflow.data import map_lines
from pytest_llmops.engines.promptflow.flow import (
    ResolvedFlow,
    load_definition,
    resolve_flow,
    unset_references,
)
from pytest_llmops.engines.text import first_line, headline
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import Line, Row, RunRequest

_TIMEOUT_VARIABLE = "PF_LINE_TIMEOUT_SEC"


class PromptflowExecutor:
    """Runs one flow in a process of its own: it changes the environment, the working directory and promptflow."""

    def __init__(self, scratch: Path, unnoticed: Callable[[], AbstractContextManager[None]]) -> None:
        self.line_timeout = 0.0
        self.aggregates = False
        self._scratch = scratch
        self._unnoticed = unnoticed
        # Never closed: the files it keeps are in ``scratch``.
        self._until_end = ExitStack()
        self._request: RunRequest
        self._connections: Connections
        self._flow: ResolvedFlow
        self._executor: Any
        self._completed: dict[int, CompletedLine] = {}

    def prepare(self, request: RunRequest) -> list[Line]:
        """Load the flow and map the data to its inputs.

        Raises:
            RunError: with one line for the user, when no line can run.
        """
        adapt_promptflow()
        self._request = request
        self._connections = Connections(request.connections, request.llm.mode)
        self._connections.install()
        try:
            self._load()
            # Lines are known by what they hold, and don't depend on the others in their file.
            with self._unnoticed():
                return self._map_lines()
        except PromptflowException as problem:
            raise RunError(headline(problem.message)) from problem

    def run_line(self, inputs: Mapping[str, Any], line_number: int) -> Row:
        """Execute one line."""
        try:
            # promptflow passes the number on, and a flow may have an input of that name.
            result = self._executor.exec_line(
                {**inputs, LINE_NUMBER_KEY: line_number},
                index=line_number,
                run_id="run",
                node_concurrency=DEFAULT_CONCURRENCY_BULK,
            )
        except Exception as problem:
            error = _message(ExceptionPresenter.create(problem).to_dict())
            return Row(line_number=line_number, inputs=inputs, error=error)
        return self._row(result, inputs, line_number)

    def contribution(self, line_number: int) -> str | None:
        """Return what a completed line contributes to the metrics, as JSON, or None where JSON would change it."""
        line = self._completed[line_number]
        return exact_json([line.output, line.aggregation_inputs])

    def restore(self, line: Line, contribution: str) -> None:
        """Take a line as completed that another process executed, with what it contributes to the metrics."""
        number, inputs = line
        output, aggregation_inputs = json.loads(contribution)
        self._completed[number] = CompletedLine(inputs, output, aggregation_inputs)

    def aggregate(self, completed: Collection[int]) -> Aggregation:
        """Compute the metrics over the completed lines."""
        if not self.aggregates:
            return Aggregation()
        lines = [self._completed[number] for number in completed]
        if isinstance(self._executor, ScriptExecutor):
            # prompt flow aggregates on an instance that has seen no line, whatever lines may leave in theirs.
            return aggregate_class(self._make_executor(), lines)
        return aggregate_nodes(self._executor, lines)

    def _load(self) -> None:
        request = self._request
        definition = load_definition(request.flow)
        variables = {**(definition.get("environment_variables") or {}), **request.environment_variables}
        os.environ.update(resolve_variables(variables, request.connections, request.llm.mode))
        if needs_no_keys(request.llm.mode):
            os.environ.update(unset_references(definition))
        self.line_timeout = float(os.environ.get(_TIMEOUT_VARIABLE) or request.line_timeout)
        self._flow = resolve_flow(definition, request, self._scratch, self._until_end)
        os.chdir(self._flow.folder)
        self._executor = self._make_executor()
        self.aggregates = bool(self._executor.has_aggregation_node)

    def _make_executor(self) -> Any:
        flow = self._flow
        if self._request.flow.kind == "dag":
            executable = ExecutableFlow._from_dict(flow_data=flow.definition, working_dir=flow.folder)
            return FlowExecutor._create_from_flow(
                executable, self._connections, flow.folder, storage=DummyRunStorage(), raise_ex=False
            )
        return FlowExecutor.create(
            flow.file,
            self._connections,
            flow.folder,
            storage=DummyRunStorage(),
            raise_ex=False,
            init_kwargs={**self._request.variant.init} or None,
        )

    def _map_lines(self) -> list[Line]:
        executor = self._executor
        if isinstance(executor, ScriptExecutor):
            definitions = executor._inputs_sign
        else:
            definitions = executor._flow.inputs
            FlowValidator.ensure_flow_valid_in_batch_mode(executor._flow)
        lines = map_lines(self._request, executor.get_inputs_definition(), executor._message_format, self._scratch)
        return [(int(line.pop(LINE_NUMBER_KEY)), apply_default_value_for_input(definitions, line)) for line in lines]

    def _row(self, result: LineResult, inputs: Mapping[str, Any], line_number: int) -> Row:
        metrics = result.run_info.system_metrics or {}
        row = Row(line_number=line_number, inputs=inputs, duration=metrics.get("duration") or 0.0)
        if result.run_info.status != Status.Completed:
            return replace(row, error=_message(result.run_info.error))
        output = self._plain_output(result.output)
        if self.aggregates:
            # Nodes aggregate outputs of nodes, a class those of its lines.
            own_output = output if isinstance(self._executor, ScriptExecutor) else None
            self._completed[line_number] = CompletedLine(inputs, own_output, result.aggregation_inputs)
        return replace(row, output=output if isinstance(output, dict) else {"output": output})

    def _plain_output(self, output: Any) -> Any:
        """Turn an output into what promptflow stores, but images into base64: its files would not outlive the run."""
        if isinstance(output, dict):
            output.pop(LINE_NUMBER_KEY, None)
        converted = convert_dataclass_to_dict(output)
        return self._executor._multimedia_processor.convert_multimedia_data_to_base64_dict(converted)


def _message(error: Mapping[str, Any]) -> str:
    """Return the first line of what promptflow reports, or the kind of an exception that says nothing."""
    return first_line(error["message"]) or f"({(error['innerError'] or error)['code']})"
