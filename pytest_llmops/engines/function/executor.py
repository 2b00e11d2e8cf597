"""Executor of plain Python callables, ``module:function`` or ``module:Class``. Needs no prompt flow."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

from pytest_llmops.engines.environment import resolve_variables
from pytest_llmops.engines.exact import exact_json
from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.function.mapping import map_columns
from pytest_llmops.engines.function.rows import sources_of
from pytest_llmops.engines.function.values import WrongValue, as_output, converter, finish
from pytest_llmops.engines.text import one_line
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import Line, Row, RunRequest


class FunctionExecutor:
    """Calls a function, or an instance of a class with ``__call__``, once per line.

    Metrics come from the module's ``aggregate(rows)``, or the class's ``__aggregate__(rows)``: a function of the list
    of completed outputs, in line order.
    """

    def __init__(self, unnoticed: Callable[[], AbstractContextManager[None]]) -> None:
        self.line_timeout = 0.0
        self._unnoticed = unnoticed
        self.aggregates = False
        self._call: Callable[..., Any]
        self._aggregate: Callable[..., Any] | None = None
        self._name = ""
        self._converters: Mapping[str, Callable[[Any], Any]] = {}
        self._outputs: dict[int, Mapping[str, Any]] = {}

    def prepare(self, request: RunRequest) -> list[Line]:
        """Import the callable and map the data to its parameters.

        Raises:
            RunError: with a message for the user, when no line can run.
        """
        os.environ.update(resolve_variables(request.environment_variables, request.connections))
        sys.path.insert(0, str(request.flow.folder))
        self.line_timeout = request.line_timeout
        self._load(request.flow.entry, request.variant.init)
        parameters = _signature(self._call).parameters.values()
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        required = [p.name for p in named if p.default is p.empty]
        self._converters = {p.name: converter(p) for p in named}
        # Lines are known by what they hold, and don't depend on the others in their file.
        with self._unnoticed():
            sources = sources_of(request)
        lines = map_columns(sources, request.column_mapping, required=required)[: request.max_rows]
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return [(number, inputs) for number, inputs in lines]
        known = {p.name for p in named}
        return [(number, {k: v for k, v in inputs.items() if k in known}) for number, inputs in lines]

    def run_line(self, inputs: Mapping[str, Any], line_number: int) -> Row:
        """Call the callable with one line's inputs."""
        begun = time.monotonic()
        try:
            values = {name: self._convert(name, value) for name, value in inputs.items()}
            output = as_output(self._call(**values))
        except Exception as problem:
            failure = f"Execution failure in '{self._name}': {one_line(problem)}"
            error = str(problem) if isinstance(problem, WrongValue) else failure
            return Row(line_number=line_number, inputs=inputs, error=error, duration=time.monotonic() - begun)
        self._outputs[line_number] = output
        return Row(line_number=line_number, inputs=inputs, output=output, duration=time.monotonic() - begun)

    def contribution(self, line_number: int) -> str | None:
        """Return a completed line's output as JSON, or None where JSON would change it."""
        return exact_json(self._outputs[line_number])

    def restore(self, line: Line, contribution: str) -> None:
        """Take a line as completed that another process executed, with its output."""
        self._outputs[line[0]] = json.loads(contribution)

    def aggregate(self, completed: Collection[int]) -> Aggregation:
        """Compute the metrics, if the callable has a function for that."""
        if self._aggregate is None:
            return Aggregation()
        name = self._aggregate.__name__
        try:
            metrics = finish(self._aggregate([self._outputs[number] for number in completed]))
        except Exception as problem:
            return Aggregation(error=f"Execution failure in '{name}': {one_line(problem)}")
        if not isinstance(metrics, Mapping):
            return Aggregation(error=f"'{name}' returned {type(metrics).__name__}, not a dict of metrics")
        return Aggregation(metrics=metrics)

    def _convert(self, name: str, value: Any) -> Any:
        return self._converters[name](value) if name in self._converters else value

    def _load(self, entry: str, init: Mapping[str, Any]) -> None:
        module_name, _, self._name = entry.partition(":")
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as problem:
            raise RunError(f"can't import '{module_name}': {one_line(problem)}") from problem
        target = getattr(module, self._name, None)
        if not callable(target):
            raise RunError(f"'{module_name}' has no function or class '{self._name}'")
        if inspect.isclass(target):
            target = self._make(target, init)
            self._aggregate = getattr(target, "__aggregate__", None)
        else:
            self._aggregate = getattr(module, "aggregate", None)
        self.aggregates = self._aggregate is not None
        self._call = target

    def _make(self, kind: type, init: Mapping[str, Any]) -> Callable[..., Any]:
        try:
            instance: object = kind(**init)
        except Exception as problem:
            raise RunError(f"can't make a '{self._name}' with ({', '.join(init)}): {one_line(problem)}") from problem
        if not callable(instance):
            raise RunError(f"the class '{self._name}' has no __call__ method")
        return instance


def _signature(call: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(call, eval_str=True)
    except Exception:
        # Annotations that only a type checker can resolve.
        return inspect.signature(call)
