"""Executor of plain Python callables, ``module:function`` or ``module:Class``. Needs no prompt flow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from pytest_llmops.engines.function.mapping import map_columns
from pytest_llmops.engines.function.python import PythonExecutor, import_module
from pytest_llmops.engines.function.values import as_output, converter
from pytest_llmops.engines.text import one_line
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import Line, RunRequest


class FunctionExecutor(PythonExecutor):
    """Calls a function, or an instance of a class with ``__call__``, once per line.

    Metrics come from the module's ``aggregate(rows)``, or the class's ``__aggregate__(rows)``.
    """

    def __init__(self, unnoticed: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(unnoticed)
        self._call: Callable[..., Any]
        self._converters: Mapping[str, Callable[[Any], Any]] = {}

    def prepare(self, request: RunRequest) -> list[Line]:
        """Import the callable and map the data to its parameters.

        Raises:
            RunError: with a message for the user, when no line can run.
        """
        self.enter(request)
        self._load(request.flow.entry, request.variant.init)
        parameters = _signature(self._call).parameters.values()
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        required = [p.name for p in named if p.default is p.empty]
        self._converters = {p.name: converter(p.name, _kind(p)) for p in named}
        lines = map_columns(self.sources(request), request.column_mapping, required=required)[: request.max_rows]
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return [(number, inputs) for number, inputs in lines]
        known = {p.name for p in named}
        return [(number, {k: v for k, v in inputs.items() if k in known}) for number, inputs in lines]

    def output_of(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call the callable with one line's inputs."""
        return as_output(self._call(**{name: self._convert(name, value) for name, value in inputs.items()}))

    def _convert(self, name: str, value: Any) -> Any:
        return self._converters[name](value) if name in self._converters else value

    def _load(self, entry: str, init: Mapping[str, Any]) -> None:
        module_name, _, self.name = entry.partition(":")
        module = import_module(module_name)
        target = getattr(module, self.name, None)
        if not callable(target):
            raise RunError(f"'{module_name}' has no function or class '{self.name}'")
        if inspect.isclass(target):
            target = self._make(target, init)
            self.aggregate_with(getattr(target, "__aggregate__", None))
        else:
            self.aggregate_with(getattr(module, "aggregate", None))
        self._call = target

    def _make(self, kind: type, init: Mapping[str, Any]) -> Callable[..., Any]:
        try:
            instance: object = kind(**init)
        except BaseException as problem:
            raise RunError(f"can't make a '{self.name}' with ({', '.join(init)}): {one_line(problem)}") from problem
        if not callable(instance):
            raise RunError(f"the class '{self.name}' has no __call__ method")
        return instance


def _signature(call: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(call, eval_str=True)
    except Exception:
        # Annotations that only a type checker can resolve.
        return inspect.signature(call)


def _kind(parameter: inspect.Parameter) -> Any:
    """Return what a parameter takes, by its annotation or else its default; anything where the default is None."""
    if parameter.default is None:
        return Any
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    return object if parameter.default is parameter.empty else type(parameter.default)
