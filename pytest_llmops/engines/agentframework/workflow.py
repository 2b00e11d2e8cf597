"""What is known of a workflow, and whether it is new: its executors keep what they were told."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from pytest_llmops.engines.agentframework.outputs import WorkflowEvent
from pytest_llmops.engines.agentframework.owned import is_function, is_of_framework


@runtime_checkable
class Workflow(Protocol):
    """What is known of a workflow. It runs one message at a time, so each row has one of its own."""

    executors: Mapping[str, object]
    start_executor_id: str
    input_types: Sequence[Any]

    async def run(self, message: Any) -> Iterable[WorkflowEvent]:
        """Run it until it is idle."""


class SeenBefore:
    """Workflows and what they are made of, so that no two rows share some. Safe to use from several threads.

    An object is known by its id, beside a weak reference: none is kept alive, since what is gone can't come again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, weakref.ref[Any]] = {}

    def add(self, workflow: Workflow) -> str | None:
        """Take note of a workflow; return what of it belongs to an earlier one, or None where all of it is new."""
        parts = [("workflow", workflow), *_parts(workflow)]
        with self._lock:
            old = next((said for said, part in parts if self._knows(part)), None)
            self._seen.update((id(part), weakref.ref(part)) for _, part in parts)
        return old

    def _knows(self, part: object) -> bool:
        reference = self._seen.get(id(part))
        return reference is not None and reference() is part


def _parts(workflow: Workflow) -> Iterator[tuple[str, object]]:
    """Yield what remembers something of a row, also inside sub-workflows, with what it is called."""
    for name, executor in workflow.executors.items():
        if not is_function(executor):
            yield f"executor '{name}'", executor
        # Agents are told what was said before by a session, which may be shared where its executor is new.
        session = getattr(executor, "_session", None)
        if is_of_framework(type(session)):
            yield f"session of executor '{name}'", session
        for holder in (executor, getattr(executor, "agent", None)):
            inner = getattr(holder, "workflow", None)
            if isinstance(inner, Workflow):
                yield f"sub-workflow of executor '{name}'", inner
                yield from _parts(inner)
