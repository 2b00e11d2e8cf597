"""The engine that runs flows on this machine, each run in a process of its own."""

from __future__ import annotations

import os
from dataclasses import replace

from pytest_llmops.engines import orders
from pytest_llmops.engines.base import Journal, Progress
from pytest_llmops.engines.driving import Drive
from pytest_llmops.engines.redaction import redacted
from pytest_llmops.engines.text import one_line
from pytest_llmops.engines.workers import Launcher, Library, library_of
from pytest_llmops.records.run import RunRequest, RunResult


class LocalEngine:
    """Executes runs in worker processes, so flows can't harm each other or the process that asks.

    Workers are forked from a warm server that has the libraries of flows imported, or, with ``fork=False`` and where
    processes can't fork, started one by one.
    """

    def __init__(self, *, fork: bool = hasattr(os, "fork")) -> None:
        self._launcher = _launcher(fork)
        self._closed = False

    def warm_up(self, library: Library = "promptflow") -> None:
        """Start the server and have it import a library, without waiting for it."""
        self._launcher.warm_up(library)

    def run(
        self, request: RunRequest, *, journal: Journal | None = None, progress: Progress | None = None
    ) -> RunResult:
        """Execute one run, blocking until it is done. Failures come back as a result, never as an exception."""
        drive = Drive(request, journal, progress)
        track = journal is not None and request.address is None  # what is served reads nothing here
        result = redacted(self._run(request, drive, track=track), request, os.environ)
        if journal is None:
            return result
        return replace(result, reads=journal.conclude(result, drive.tally.reads).files)

    def _run(self, request: RunRequest, drive: Drive, *, track: bool) -> RunResult:
        try:
            order = orders.encode(orders.from_here(request, track=track))
        except Exception as problem:
            return drive.tally.failed(f"the rows can't be handed to another process: {one_line(problem)}")
        library = library_of(request)
        try:
            return drive.through(lambda: self._launcher.launch(library), order, lambda: self._closed)
        except OSError as problem:
            return drive.break_off(f"could not be started ({problem})")

    def close(self) -> None:
        """End every process of this engine, including runs under way."""
        self._closed = True
        self._launcher.close()


def _launcher(fork: bool) -> Launcher:
    if fork:
        from pytest_llmops.engines.forking import ForkServer

        return ForkServer()
    from pytest_llmops.engines.spawning import Spawner

    return Spawner()
