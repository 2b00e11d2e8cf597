"""What the session knows of an engine, and an engine of what is known already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from pytest_llmops.engines.workers import Library
from pytest_llmops.records.run import Line, Outcome, Reads, RunRequest, RunResult

Progress = Callable[[int, int], None]
"""Called with (rows done, rows to do) while a run is under way, from any thread."""


class Journal(Protocol):
    """Outcomes of one run's lines, shared with earlier sessions and with those that are under way."""

    def take(self, lines: Sequence[Line]) -> tuple[Mapping[int, Outcome], Sequence[int]]:
        """Return the outcomes that are known, by line number, and the lines that are now the caller's to execute.

        Lines in neither are being executed by somebody else: ask again for them after one's own are done. Blocks as
        long as that is true of all of them.
        """

    def keep(self, outcomes: Sequence[Outcome], reads: Reads) -> None:
        """Keep outcomes of lines that were taken. ``reads`` is all that the flow has read by now."""

    def conclude(self, result: RunResult, reads: Reads) -> Reads:
        """Keep the run as a whole, if it can be reused. Returns all that was read for its outcomes, by whomever."""


@runtime_checkable
class Remote(Protocol):
    """An engine whose runs are executed elsewhere, where there may be much to wait for before any row is done."""

    def under_way(self) -> str:
        """Say in a few words what is waited for; empty where nothing is."""


class Engine(Protocol):
    """Executes runs. Safe to call from several threads at once: runs overlap."""

    def warm_up(self, library: Library = "promptflow") -> None:
        """Start what takes time to start for flows that need a library, without waiting for it."""

    def run(
        self, request: RunRequest, *, journal: Journal | None = None, progress: Progress | None = None
    ) -> RunResult:
        """Execute one run, blocking until it is done. Failures come back as a result, never as an exception."""

    def close(self) -> None:
        """End every process of this engine, including runs under way."""
