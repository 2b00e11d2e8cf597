"""Picks the executor of a run, and imports no other."""

from __future__ import annotations

from pathlib import Path

from pytest_llmops.engines.executor import Executor
from pytest_llmops.engines.reads import Tracker
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import RunRequest


def executor_of(request: RunRequest, scratch: Path, tracker: Tracker) -> Executor:
    """Make the executor of a run. ``scratch`` is an empty folder that lasts as long as the run.

    Raises:
        RunError: when the flow needs promptflow, and that is not installed.
    """
    if request.address is not None:
        from pytest_llmops.engines.endpoint.executor import EndpointExecutor

        return EndpointExecutor(request.address)
    flow = request.flow
    if flow.kind == "callable":
        from pytest_llmops.engines.function.executor import FunctionExecutor

        return FunctionExecutor(tracker.paused)
    if flow.kind == "workflow":
        from pytest_llmops.engines.agentframework.executor import WorkflowExecutor

        return WorkflowExecutor(tracker.paused)
    from pytest_llmops.engines.promptflow.setup import preload

    try:
        preload(scratch.parent)
    except ImportError as problem:
        raise RunError(f"{flow.kind} flows need prompt flow, which can't be imported: {problem}") from problem
    from pytest_llmops.engines.promptflow.executor import PromptflowExecutor

    return PromptflowExecutor(scratch, tracker.paused)
