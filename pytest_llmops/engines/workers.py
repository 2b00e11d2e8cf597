"""The engine's end of its workers: how they are started, talked to, and ended."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import pytest_llmops
from pytest_llmops.engines.events import Event
from pytest_llmops.records.run import RunRequest

Library = Literal["promptflow", "agent_framework"]
"""What flows are written for, and takes long to import."""

RUN = b"r"
WARM_UP: Mapping[Library, bytes] = {"promptflow": b"w", "agent_framework": b"v"}
RUN_WITH: Mapping[Library, bytes] = {"promptflow": b"p", "agent_framework": b"a"}
"""Commands of the warm server: run a flow that needs no library; import a library; run a flow that needs it."""

CLOSED = "the engine is closed"
"""Why nothing more can be started."""


class Worker(Protocol):
    """A process that executes one run."""

    def tell(self, message: bytes) -> None:
        """Send the encoded order or a command. That a worker is dead already shows in its events."""

    def listen(self, patience: float) -> Sequence[Event] | None:
        """Return what the worker told by now: nothing after ``patience`` seconds of silence, None when it has ended."""

    def kill(self) -> None:
        """End the worker at once, whatever it does. Its last event tells how it ended."""

    def close(self) -> None:
        """End the worker, if it has not ended."""


class Launcher(Protocol):
    """Starts workers. Safe to use from several threads."""

    def warm_up(self, library: Library) -> None:
        """Start what takes time to start, without waiting for it."""

    def launch(self, library: Library | None) -> Worker:
        """Start a worker. ``library`` is what its flow needs.

        Raises:
            OSError: when no process can be started.
        """

    def close(self) -> None:
        """End all workers."""


def library_of(request: RunRequest) -> Library | None:
    """Return what a run's flow needs; None where that is nothing, or it is executed elsewhere."""
    if request.address is not None or request.flow.kind == "callable":
        return None
    return "agent_framework" if request.flow.kind == "workflow" else "promptflow"


def python_command(module: str) -> list[str]:
    """Return the command of a Python process that calls ``main`` of one of our modules.

    Should the package not be installed, the process finds it where this one has it from. That folder comes last on the
    import path, and not first as with ``python -m``, because it may hold modules named like Python's own.
    """
    root = Path(pytest_llmops.__file__).parents[1]
    start = f"import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, "-c", start, str(root)]
