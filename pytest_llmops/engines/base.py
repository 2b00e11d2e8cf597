"""What the session knows of an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pytest_llmops.records.run import RunRequest, RunResult

Progress = Callable[[int, int], None]
"""Called with (rows done, rows to do) while a run is under way, from any thread."""


class Engine(Protocol):
    """Executes runs. Safe to call from several threads at once: runs overlap."""

    def warm_up(self) -> None:
        """Start what takes time to start, without waiting for it."""

    def run(self, request: RunRequest, progress: Progress | None = None) -> RunResult:
        """Execute one run, blocking until it is done. Failures come back as a result, never as an exception."""

    def close(self) -> None:
        """End every process of this engine, including runs under way."""
