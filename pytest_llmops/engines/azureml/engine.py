"""The engine that has flows run by a workspace: submits, waits, collects, and finds again what it once submitted."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.run_records import Lines, RunState
from pytest_llmops.azure.runs import CloudRuns, Submission
from pytest_llmops.cloudruns import IN_FLIGHT
from pytest_llmops.engines.azureml.collecting import collect, reused
from pytest_llmops.engines.azureml.polling import Overdue, Poller
from pytest_llmops.engines.azureml.submissions import Submissions
from pytest_llmops.engines.azureml.work import KEY_TAG, Work, prepare
from pytest_llmops.engines.base import Engine, Journal, Progress
from pytest_llmops.engines.redaction import redacted
from pytest_llmops.engines.text import one_line
from pytest_llmops.engines.workers import Library
from pytest_llmops.errors import CloudError, LLMOpsError, RunError
from pytest_llmops.records.cloud import DEFAULT_TIMEOUT
from pytest_llmops.records.kinds import NOT_PROMPT_FLOW
from pytest_llmops.records.run import NO_READS, Outcome, RunRequest, RunResult

_CANCELLING = 10.0
"""Seconds that cancelling all runs may take."""
_CLOSED = "the run was ended with its engine"


class AzureMLEngine:
    """Executes flows on the compute of a workspace, and evaluators that are none of prompt flow's on ``local``.

    ``connect`` reaches the workspace; it is called once, for the first run. ``tags`` are put on every run. Not more
    than ``in_flight`` runs are under way at once, each for ``timeout`` seconds at most. ``submissions`` is where those
    are noted that closing it has to cancel.

    A run is named after the digest of all that decides its outcome. So one that is under way already, submitted by a
    session that died, is waited for; one that completed is collected; and only where there is none, or the newest one
    failed, is the next attempt submitted. With ``fresh``, the name of a session, only its own runs are found.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        local: Engine,
        *,
        tags: Mapping[str, str] | None = None,
        fresh: str = "",
        timeout: float = DEFAULT_TIMEOUT,
        in_flight: int = IN_FLIGHT,
        submissions: Submissions | None = None,
    ) -> None:
        self._connect = connect
        self._local = local
        self._tags = tags or {}
        self._fresh = fresh
        self._slots = threading.Semaphore(in_flight)
        # The SDKs don't say that they may be used from several threads at once, and uploads share the network anyway.
        self._submitting = threading.Lock()
        self._closing = threading.Lock()
        self._closed = threading.Event()
        self._here = threading.Semaphore(max(2, os.cpu_count() or 2))
        self._timeout = timeout
        self._submitted = submissions or Submissions()
        self._poller = Poller(self._look)

    def warm_up(self, library: Library = "promptflow") -> None:
        """Do nothing: what takes time, such as importing the SDKs, is done with the first run."""

    def run(
        self, request: RunRequest, *, journal: Journal | None = None, progress: Progress | None = None
    ) -> RunResult:
        """Execute one run, blocking until it is done. Failures come back as a result, never as an exception."""
        if request.flow.kind in NOT_PROMPT_FLOW and request.run_outputs is not None:
            with self._here:
                return self._local.run(request, journal=journal, progress=progress)
        begun = time.monotonic()
        try:
            result = self._execute(request, progress)
        except LLMOpsError as problem:
            result = _failed(str(problem))
        except Exception as problem:
            result = _failed(f"the run can't be handed to the workspace: {one_line(problem)}")
        result = replace(result, duration=result.duration or time.monotonic() - begun)
        result = redacted(result, request, os.environ)
        return result if journal is None else _kept(result, journal)

    def under_way(self) -> str:
        """Say how many runs are waited for, by what the service calls their state."""
        states = Counter(self._poller.states())
        return ", ".join(f"{number} {status}" for status, number in sorted(states.items()))

    def close(self) -> None:
        """Cancel the runs that were submitted and are under way, and end what runs on this machine.

        Interrupted, it may be called again, and goes on with what is left.
        """
        with self._closing:
            self._closed.set()
            self._poller.end(RunError(_CLOSED))
            names = self._submitted.copy()
            cancelling = [threading.Thread(target=self._cancel, args=[name], daemon=True) for name in names]
            for thread in cancelling:
                thread.start()
            until = time.monotonic() + _CANCELLING
            try:
                self._local.close()
            finally:
                for thread in cancelling:
                    thread.join(max(0.0, until - time.monotonic()))

    @cached_property
    def _runs(self) -> CloudRuns:
        return CloudRuns(self._connect(), pause=self._closed.wait)

    def _look(self, name: str) -> RunState | None:
        return self._runs.look(name)

    def _execute(self, request: RunRequest, progress: Progress | None) -> RunResult:
        with tempfile.TemporaryDirectory(prefix="llmops-") as scratch:
            work = prepare(self._chained(request), Path(scratch), tags=self._tags, fresh=self._fresh)
            _tell(progress, 0, work.numbers)
            with self._slots:
                result = self._find_or_make(work)
        _tell(progress, len(result.rows), work.numbers)
        return result

    def _chained(self, request: RunRequest) -> RunRequest:
        """Forget a parent that the workspace does not have: a ledger may know a run for longer."""
        if not request.parent:
            return request
        with self._submitting:
            known = self._runs.find(request.parent)
        return request if known is not None else replace(request, parent="")

    def _find_or_make(self, work: Work) -> RunResult:
        """Collect the newest run of it, or wait for it; where there is none, or it came to nothing, make the next."""
        with self._submitting:
            number, state = self._newest(work)
        if state is not None and state.tags.get(KEY_TAG) == work.key:
            if not state.is_over:
                return self._collected(self._awaited(state.name), work)
            if (result := self._reusable(state, work)) is not None:
                return result
        submission = work.attempt(number + 1)
        with self._submitting:
            self._submit(submission)
        return self._collected(self._awaited(submission.name), work)

    def _newest(self, work: Work) -> tuple[int, RunState | None]:
        """Return the number of the newest attempt, 0 where there is none, and its state.

        There is an attempt for each session in which a row failed. They are numbered without gaps, so few of them are
        looked at.
        """
        newest, state, free = 0, None, 1
        while (found := self._find(work, free)) is not None:
            newest, state, free = free, found, 2 * free
        while free - newest > 1:
            middle = (newest + free) // 2
            if (found := self._find(work, middle)) is None:
                free = middle
            else:
                newest, state = middle, found
        return newest, state

    def _find(self, work: Work, number: int) -> RunState | None:
        self._check_open()
        return self._runs.find(work.attempt(number).name)

    def _reusable(self, state: RunState, work: Work) -> RunResult | None:
        """Return the result of a run that is over, if nothing of it failed and its age is known."""
        recorded = state.ended or state.started
        # With an error, rows or metrics failed; they may succeed now, and are executed again, as everywhere.
        if state.status != "Completed" or state.error or recorded is None:
            return None
        result = self._collected(state, work)
        whole = result.status == "Completed" and not result.failed and not result.aggregation_error
        return reused(result, recorded) if whole else None

    def _submit(self, submission: Submission) -> None:
        self._check_open()
        self._submitted.add(submission.name)
        self._runs.submit(submission)
        if self._closed.is_set():
            # It may not have been there yet when all was cancelled.
            self._cancel(submission.name)
            raise RunError(_CLOSED)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise RunError(_CLOSED)

    def _awaited(self, name: str) -> RunState:
        try:
            return self._poller.wait(name, self._timeout)
        except Overdue:
            self._cancel(name)
            raise
        finally:
            # One that only can't be looked at goes on, and a later session finds it.
            if not self._closed.is_set():
                self._submitted.discard(name)

    def _collected(self, state: RunState, work: Work) -> RunResult:
        if state.status == "Completed":
            return collect(state, self._runs.lines(state.name), self._runs.metrics(state.name), work.numbers)
        lines = Lines()
        # They only explain the failure, if there are any.
        with contextlib.suppress(CloudError):
            lines = self._runs.lines(state.name)
        return collect(state, lines, {}, work.numbers)

    def _cancel(self, name: str) -> None:
        # One that is over, or was never made, can't be cancelled.
        with contextlib.suppress(LLMOpsError):
            self._runs.cancel(name)
            self._submitted.discard(name)


def _failed(error: str) -> RunResult:
    """Make the result of a run that was not collected. It may have been begun, so nobody knows what it called."""
    return RunResult(status="Failed", error=error, llm_calls=None)


def _kept(result: RunResult, journal: Journal) -> RunResult:
    """Keep a run in the ledger: as a whole, since its rows make up its metrics only together."""
    if result.status == "Completed" and result.rows:
        journal.take([(row.line_number, row.inputs) for row in result.rows])
        journal.keep([Outcome(row=row, aggregation=None) for row in result.rows], NO_READS)
    return replace(result, reads=journal.conclude(result, NO_READS).files)


def _tell(progress: Progress | None, done: int, numbers: tuple[int, ...]) -> None:
    if progress is not None:
        progress(done, len(numbers))
