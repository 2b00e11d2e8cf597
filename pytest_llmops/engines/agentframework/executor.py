"""Executor of workflows of Microsoft Agent Framework: ``workflow.py`` with a ``create_workflow``."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from pytest_llmops.engines.agentframework.connections import LoopConnections
from pytest_llmops.engines.agentframework.forms import Form
from pytest_llmops.engines.agentframework.inputs import choose_form
from pytest_llmops.engines.agentframework.outputs import WorkflowEvent, read_output
from pytest_llmops.engines.agentframework.owned import INSTALLED_WITH_US, is_of_framework
from pytest_llmops.engines.agentframework.setup import set_environment
from pytest_llmops.engines.agentframework.workflow import SeenBefore, Workflow
from pytest_llmops.engines.function.mapping import LINE_NUMBER, map_columns
from pytest_llmops.engines.function.python import PythonExecutor, import_module
from pytest_llmops.engines.function.values import LineError
from pytest_llmops.engines.text import one_line
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import Line, RunRequest

_NOT_INSTALLED = (
    "workflows need Agent Framework, and {name} is not installed: pip install 'pytest-llmops[agents]', "
    "where need be in an environment of its own, since it does not share one with the newest prompt flow"
)


class WorkflowExecutor(PythonExecutor):
    """Makes a workflow for each line, and runs it in an event loop of the line's own.

    Metrics come from the module's ``aggregate(rows)``.
    """

    def __init__(self, unnoticed: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(unnoticed)
        self._create: Callable[..., Any]
        self._init: Mapping[str, Any] = {}
        self._names: Sequence[str] = ()
        self._form: Form
        self._seen = SeenBefore()
        self._connections = LoopConnections()

    def prepare(self, request: RunRequest) -> list[Line]:
        """Import the module, make a workflow to learn what it takes, and map the data to that.

        Raises:
            RunError: with a message for the user, when no line can run.
        """
        self.enter(request)
        set_environment()
        self._connections.install()
        self._init, self._names = request.variant.init, request.flow.outputs
        module_name, _, self.name = request.flow.entry.partition(":")
        module = _import(module_name)
        self._create = getattr(module, self.name, None)  # type: ignore[assignment]
        if not callable(self._create):
            raise RunError(f"'{module_name}' has no function '{self.name}'")
        self.aggregate_with(getattr(module, "aggregate", None))
        first = asyncio.run(self._try_out())
        sources, mapping = self.sources(request), request.column_mapping
        columns = next(iter(sources.get("data", ())), {})
        names = [name for name in mapping if name != LINE_NUMBER]
        self._form = choose_form(first.input_types, first.start_executor_id, names, columns)
        lines = map_columns(sources, mapping, required=self._form.required)
        return [(number, inputs) for number, inputs in lines[: request.max_rows]]

    def output_of(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have a workflow of its own answer one line's inputs."""
        return read_output(asyncio.run(self._run(inputs)), self._names)

    async def _run(self, inputs: Mapping[str, Any]) -> Iterable[WorkflowEvent]:
        async with self._connections.own():
            workflow: Workflow = await self._make()
            if old := self._seen.add(workflow):
                raise LineError(self._shared(old))
            message = self._form.make(inputs)
            try:
                return await workflow.run(message)
            except Exception as problem:
                where = _failed_executor(problem, workflow) or workflow.start_executor_id
                raise LineError(f"Execution failure in '{where}': {one_line(_origin(problem))}") from problem

    def _shared(self, old: str) -> str:
        if old == "workflow":
            return f"'{self.name}' returned the same workflow again, and each row needs a new one: build it there"
        return (
            f"'{self.name}' returned a workflow with the {old} of an earlier one, and each row needs new ones: "
            "make it there"
        )

    async def _make(self) -> Any:
        made = self._create(**self._init)
        return await made if inspect.isawaitable(made) else made

    async def _try_out(self) -> Workflow:
        async with self._connections.own():
            try:
                made = await self._make()
            except BaseException as problem:
                given = ", ".join(self._init)
                raise RunError(f"can't make a workflow with {self.name}({given}): {one_line(problem)}") from problem
        if not isinstance(made, Workflow):
            kind = type(made).__name__
            raise RunError(f"'{self.name}' returned {kind}, not a workflow: return what WorkflowBuilder.build() gives")
        self._seen.add(made)
        return made


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except RunError as problem:
        cause = problem.__cause__
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if missing in INSTALLED_WITH_US:
            raise RunError(_NOT_INSTALLED.format(name=missing)) from problem
        raise


def _failed_executor(problem: BaseException, workflow: Workflow) -> str | None:
    """Return the executor that an exception comes from: the last one on its way whose method was called.

    The framework tells of it in an event, but those of a run that failed are lost.
    """
    names = {id(executor): name for name, executor in workflow.executors.items()}
    frames = (frame for frame, _ in traceback.walk_tb(problem.__traceback__))
    called = [names.get(id(frame.f_locals.get("self"))) for frame in frames]
    return next((name for name in reversed(called) if name), None)


def _origin(problem: BaseException) -> BaseException:
    """Return what an exception of the framework was made of: it wraps those of clients, and says less."""
    chain = [problem]
    while is_of_framework(type(chain[-1])) and (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    return chain[-1]
