"""One LLM call over all its attempts, and what all calls of this process came to."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from pytest_llmops.httpclients import make_response
from pytest_llmops.throttle.limit import SUCCEEDED, UNKNOWN, Outcome
from pytest_llmops.throttle.retries import LONGEST, Failure, RetryPolicy, final_reply, read_failure
from pytest_llmops.throttle.slots import Slot, Slots, free_slot

# Content is handed on decoded, and whole.
_TRANSFER_HEADERS = ("content-encoding", "content-length", "transfer-encoding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process's LLM calls came to. ``calls`` does not count the ``retries``.

    ``queued`` is the seconds that calls waited for slots, ``backed_off`` those that they waited between attempts, both
    summed over calls that may have waited side by side.
    """

    calls: int = 0
    retries: int = 0
    queued: float = 0.0
    backed_off: float = 0.0


class Throttle:
    """Treats the LLM calls of this process. Safe to use from many threads and event loops."""

    def __init__(self, slots: Callable[[], Slots], policy: RetryPolicy) -> None:
        self.policy = policy
        self.usage = Usage()
        self._connect = slots
        self._slots = slots()
        self._under_way: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._cleanup = contextlib.ExitStack()
        self.on_close(self._slots.close)

    @contextlib.contextmanager
    def slot(self, *, blocking: bool) -> Iterator[Slot]:
        """Take a slot, for an attempt that lasts as long as the block. ``blocking`` says that it blocks its thread.

        It must not wait for tasks that have attempts under way in the same thread: it is what stops them.
        """
        thread = threading.get_ident()
        if blocking and self._under_way[thread]:
            yield free_slot()
            return
        self._under_way[thread] += 1
        try:
            yield self._listened_slots().take()
        finally:
            self._under_way[thread] -= 1

    def count(self, **more: float) -> None:
        """Add to the usage."""
        with self._lock:
            self.usage = replace(self.usage, **{name: getattr(self.usage, name) + by for name, by in more.items()})

    def on_close(self, action: Callable[[], None]) -> None:
        """Register what is to be undone when the throttle is closed."""
        self._cleanup.callback(action)

    def close(self) -> None:
        """Let requests pass again. Closing twice is harmless."""
        self._cleanup.close()

    def _listened_slots(self) -> Slots:
        """Connect anew in a process that the flow forked: its parent's connection has no thread here that listens."""
        if self._slots.pid != os.getpid():
            self._slots = self._connect()
        return self._slots


class Call:
    """One LLM call. As long as it is ``open``, its caller waits for ``wait`` seconds and makes an attempt."""

    def __init__(self, throttle: Throttle, module: ModuleType, request: Any) -> None:
        self.open = True
        self.wait = 0.0
        self._throttle = throttle
        self._module = module
        self._request = request
        self._response: Any = None
        self._failure: Failure | None = None
        self._attempts = 0
        self._spent = 0.0
        throttle.count(calls=1)

    @contextlib.contextmanager
    def attempt(self, *, blocking: bool) -> Iterator[Future[float]]:
        """Take a slot, which is held while the block lasts, from when the future is done that the block is given."""
        asked, outcome = time.monotonic(), UNKNOWN
        with self._throttle.slot(blocking=blocking) as slot:
            try:
                yield slot.granted
                self._failure = self._read_failure()
                outcome = self._outcome()
            except self._network_errors() as error:
                said = f"no answer from {self._request.url.host}: {type(error).__name__}: {error}"
                self._failure = Failure(status=None, said=said.strip(": "))
            finally:
                slot.give_back(outcome)
        started = slot.granted.result()
        self._attempts += 1
        self._spent += time.monotonic() - started
        self._throttle.count(queued=started - asked)
        self._decide()

    def answered(self, response: Any) -> None:
        """Note the response to the attempt, which was read to its end."""
        self._response = response

    def result(self, *, stream: bool) -> Any:
        """Return the response for the caller, unread where a ``stream`` was asked for."""
        if self._failure is not None:
            message = self._throttle.policy.explain(self._failure, attempts=self._attempts, spent=self._spent)
            status, body = final_reply(self._failure, message)
            headers = {"content-type": "application/json", "x-should-retry": "false"}
            return self._make(status, headers, json.dumps(body).encode(), stream=stream)
        if not stream:
            return self._response
        headers = {name: text for name, text in self._response.headers.items() if name not in _TRANSFER_HEADERS}
        return self._make(self._response.status_code, headers, self._response.content, stream=stream)

    def _make(self, status: int, headers: dict[str, str], content: bytes, *, stream: bool) -> Any:
        return make_response(self._module, self._request, status, headers, content, stream=stream)

    def _network_errors(self) -> tuple[type[Exception], ...]:
        """Return the errors that another attempt may not meet; a malformed request or URL is none of them."""
        module = self._module
        return module.TimeoutException, module.NetworkError, module.RemoteProtocolError, module.ProxyError

    def _read_failure(self) -> Failure | None:
        response = self._response
        return read_failure(response.status_code, response.headers, response.content, now=time.time())

    def _outcome(self) -> Outcome:
        if self._failure is None:
            return SUCCEEDED if self._response.is_success else UNKNOWN
        if self._failure.status != 429 or self._failure.final:
            return UNKNOWN
        # Who waits longer gives up instead, and so would all others: each hears that from the service itself.
        pause = self._failure.retry_after or 0.0
        return Outcome("refused", pause if pause <= LONGEST else 0.0)

    def _decide(self) -> None:
        wait = None
        if self._failure is not None:
            draw = random.random()  # noqa: S311 - nobody gains by guessing it
            wait = self._throttle.policy.wait(self._failure, attempts=self._attempts, spent=self._spent, draw=draw)
        self.open = wait is not None
        if wait is not None:
            self.wait = wait
            self._spent += wait
            self._throttle.count(retries=1, backed_off=wait)
