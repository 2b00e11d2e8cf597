"""The other end of the limit's server: how threads and tasks of a process get slots."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from multiprocessing import AuthenticationError

from pytest_llmops.errors import RunError
from pytest_llmops.throttle.limit import Outcome
from pytest_llmops.throttle.server import connect

_GONE = "the process that limits concurrent LLM calls has ended; run again"


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to make one LLM call, from when ``granted`` has the monotonic time of its start as its result.

    ``give_back`` also leaves the queue of those who wait. Only the first time counts.
    """

    granted: Future[float]
    give_back: Callable[[Outcome], None]


def free_slot() -> Slot:
    """Return a slot that nobody counts."""
    granted = Future[float]()
    granted.set_result(time.monotonic())
    return Slot(granted, lambda outcome: None)


class Slots:
    """This process's connection to the server: one for all threads and tasks.

    Raises:
        RunError: when there is no server at this address.
    """

    def __init__(self, address: str) -> None:
        self.pid = os.getpid()
        try:
            self._connection = connect(address)
        except (OSError, EOFError, AuthenticationError):
            raise RunError(_GONE) from None
        # Reentrant: the garbage collector may end a task, which gives its slot back, in the middle of a send.
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self._pending: dict[int, Future[float]] = {}
        self._ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    def take(self) -> Slot:
        """Join the queue for a slot. That never blocks; ``granted`` fails with a RunError when the server ends."""
        number, granted = next(self._numbers), Future[float]()
        # A task that is cancelled while it waits must not cancel the future that is about to be set.
        granted.set_running_or_notify_cancel()
        self._pending[number] = granted
        self._send((number, None))
        if self._ended:
            self._fail_pending()
        return Slot(granted, partial(self._give_back, number))

    def close(self) -> None:
        """Give back all slots of this process."""
        self._send(None)

    def _give_back(self, number: int, outcome: Outcome) -> None:
        self._pending.pop(number, None)
        self._send((number, outcome))

    def _send(self, message: tuple[int, Outcome | None] | None) -> None:
        # That the server is gone shows where it is listened to.
        with contextlib.suppress(OSError), self._lock:
            self._connection.send(message)

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                granted = self._pending.pop(self._connection.recv(), None)
                if granted is not None:
                    granted.set_result(time.monotonic())
        self._ended = True
        self._fail_pending()
        with self._lock:
            self._connection.close()

    def _fail_pending(self) -> None:
        with contextlib.suppress(KeyError):
            while True:
                self._pending.popitem()[1].set_exception(RunError(_GONE))
