"""Waits for runs in the cloud: one thread looks at all of them, less and less often as long as nothing new comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from dataclasses import dataclass

from pytest_llmops.azure.run_records import RunState
from pytest_llmops.durations import format_duration
from pytest_llmops.errors import CloudError, LLMOpsError

_FIRST, _LONGER, _LONGEST = 0.5, 1.5, 20.0
"""Seconds until the next look, by what they grow each time, and at most."""
_SUBMITTED = "Submitted"
_UNSEEN = 30.0
"""Seconds after which a run that is not there is gone: one that was just submitted may be unknown yet."""
_UNTOLD = 300.0
"""Seconds for which looks may fail: for the network, the service, and for a login that has to be renewed."""
_LOOKS = 4
"""Looks that have to fail, too: one may take longer than all that time."""


@dataclass(slots=True)
class _Trouble:
    """What has kept a run from being seen since a time, at so many looks in a row."""

    since: float
    looks: int = 0


class Overdue(CloudError):
    """A run is not over in time. ``status`` is what the service called its state at the last look."""

    def __init__(self, name: str, status: str, timeout: float) -> None:
        todo = "so it is cancelled; find out what it waits for, or give it longer with --llmops-run-timeout"
        super().__init__(f"run '{name}': it is still {status} after {format_duration(timeout)}, {todo}")


class Poller:
    """Looks at runs with ``look``, which returns a run's state, or None where there is none. Safe to use from threads.

    Its thread lives for as long as a run is waited for. ``clock`` tells seconds.
    """

    def __init__(self, look: Callable[[str], RunState | None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[RunState]] = {}
        self._seen: dict[str, str] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending: LLMOpsError | None = None

    def wait(self, name: str, timeout: float | None = None) -> RunState:
        """Block until a run is over.

        Raises:
            Overdue: where it is not for ``timeout`` seconds.
            AccessError: where it may not be looked at for minutes.
            CloudError: where it is gone, or can't be looked at for minutes.
            LLMOpsError: what waiting was ended with.
        """
        with self._lock:
            if self._ending is not None:
                raise self._ending
            future = self._waiting.setdefault(name, Future())
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="llmops-poller", daemon=True)
                self._thread.start()
        self._news.set()
        # Both are the same from Python 3.11 on.
        with suppress(TimeoutError, NotInTime):
            return future.result(timeout)
        if (waited := self._taken(name)) is not None:
            waited.set_exception(Overdue(name, self._seen.get(name, _SUBMITTED), timeout or 0))
        return future.result()

    def end(self, reason: LLMOpsError) -> None:
        """Stop waiting, now and ever: who waits gets the reason."""
        with self._lock:
            self._ending = reason
            ended, self._waiting = self._waiting, {}
        for future in ended.values():
            future.set_exception(reason)
        self._news.set()

    def states(self) -> list[str]:
        """Return the states of all runs that are waited for, as they were last seen."""
        with self._lock:
            return [self._seen.get(name, _SUBMITTED) for name in self._waiting]

    def _work(self) -> None:
        pause = _FIRST
        while names := self._names():
            self._news.clear()
            for name in names:
                self._check(name)
            pause = _FIRST if self._news.wait(pause) else min(pause * _LONGER, _LONGEST)

    def _names(self) -> list[str]:
        with self._lock:
            if not self._waiting:
                self._thread = None
            return list(self._waiting)

    def _check(self, name: str) -> None:
        try:
            state = self._look(name)
        except Exception as problem:
            self._note_trouble(name, problem, _UNTOLD)
            return
        if state is None:
            self._note_trouble(name, CloudError(f"run '{name}': it is not in the workspace any more"), _UNSEEN)
            return
        self._troubles.pop(name, None)
        self._seen[name] = state.status
        if state.is_over and (future := self._taken(name)):
            future.set_result(state)

    def _note_trouble(self, name: str, problem: Exception, patience: float) -> None:
        now = self._clock()
        trouble = self._troubles.setdefault(name, _Trouble(now))
        trouble.looks += 1
        if trouble.looks >= _LOOKS and now - trouble.since >= patience and (future := self._taken(name)):
            del self._troubles[name]
            future.set_exception(problem)

    def _taken(self, name: str) -> Future[RunState] | None:
        with self._lock:
            return self._waiting.pop(name, None)
