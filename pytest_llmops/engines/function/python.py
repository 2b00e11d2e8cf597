"""What executors of a user's Python modules have in common: imports, rows, and metrics by an ``aggregate`` function."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from pytest_llmops.engines.environment import resolve_variables
from pytest_llmops.engines.exact import exact_json
from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.function.mapping import Rows
from pytest_llmops.engines.function.rows import sources_of
from pytest_llmops.engines.function.values import LineError, finish
from pytest_llmops.engines.text import one_line
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import Line, Row, RunRequest


def import_module(name: str) -> ModuleType:
    """Import one of the user's modules.

    Raises:
        RunError: where that fails, in whatever way; its cause is what was raised.
    """
    try:
        return importlib.import_module(name)
    except BaseException as problem:
        raise RunError(f"can't import '{name}': {one_line(problem)}") from problem


class PythonExecutor(ABC):
    """Makes one output of each line's inputs, and metrics of the list of completed outputs, in line order.

    ``name`` is that of what is executed, for messages.
    """

    def __init__(self, unnoticed: Callable[[], AbstractContextManager[None]]) -> None:
        self.line_timeout = 0.0
        self.aggregates = False
        self.name = ""
        self._unnoticed = unnoticed
        self._aggregate: Callable[..., Any] | None = None
        self._outputs: dict[int, Mapping[str, Any]] = {}

    @abstractmethod
    def output_of(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Execute what there is with one line's inputs.

        Raises:
            LineError: with the error of the row; any other exception is put into the words of one.
        """

    def enter(self, request: RunRequest) -> None:
        """Set the variables of the run, and have the flow's modules found."""
        os.environ.update(resolve_variables(request.environment_variables, request.connections, request.llm.mode))
        sys.path.insert(0, str(request.flow.folder))
        self.line_timeout = request.line_timeout

    def sources(self, request: RunRequest) -> dict[str, Rows]:
        """Return the rows that a run's column mapping may refer to, by the name of their source."""
        # Lines are known by what they hold, and don't depend on the others in their file.
        with self._unnoticed():
            return sources_of(request)

    def run_line(self, inputs: Mapping[str, Any], line_number: int) -> Row:
        """Execute one line; its failure is in the row."""
        begun = time.monotonic()
        try:
            output = self.output_of(inputs)
        except Exception as problem:
            failure = f"Execution failure in '{self.name}': {one_line(problem)}"
            error = str(problem) if isinstance(problem, LineError) else failure
            return Row(line_number=line_number, inputs=inputs, error=error, duration=time.monotonic() - begun)
        self._outputs[line_number] = output
        return Row(line_number=line_number, inputs=inputs, output=output, duration=time.monotonic() - begun)

    def contribution(self, line_number: int) -> str | None:
        """Return a completed line's output as JSON, or None where JSON would change it."""
        return exact_json(self._outputs[line_number])

    def restore(self, line: Line, contribution: str) -> None:
        """Take a line as completed that another process executed, with its output."""
        self._outputs[line[0]] = json.loads(contribution)

    def aggregate_with(self, function: Callable[..., Any] | None) -> None:
        """Compute the metrics with a function; without one there are none."""
        self._aggregate = function
        self.aggregates = function is not None

    def aggregate(self, completed: Collection[int]) -> Aggregation:
        """Compute the metrics, if there is a function for that."""
        if self._aggregate is None:
            return Aggregation()
        name = getattr(self._aggregate, "__name__", "aggregate")  # a partial has none
        try:
            metrics = finish(self._aggregate([self._outputs[number] for number in completed]))
        except Exception as problem:
            return Aggregation(error=f"Execution failure in '{name}': {one_line(problem)}")
        if not isinstance(metrics, Mapping):
            return Aggregation(error=f"'{name}' returned {type(metrics).__name__}, not a dict of metrics")
        return Aggregation(metrics=metrics)
