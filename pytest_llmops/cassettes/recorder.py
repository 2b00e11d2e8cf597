"""The recorder of one process: it counts LLM calls, and knows the policy that treats them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from pytest_llmops.cassettes.entry import Reply
from pytest_llmops.cassettes.policy import Policy, Recording, Replaying
from pytest_llmops.cassettes.store import Store
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.httpclients import operation_of
from pytest_llmops.records.run import LLM, CassetteMiss


class Recorder:
    """What came of this process's LLM calls. ``calls`` counts the requests, whatever answered them, retries included.

    ``policy`` is None in mode ``live``, where requests are only counted.
    """

    def __init__(self, llm: LLM) -> None:
        self.calls = 0
        self.policy = _policy(llm)
        self._lock = threading.Lock()
        self._cleanup: list[Callable[[], None]] = []

    @property
    def misses(self) -> list[CassetteMiss]:
        """The requests that the cassette could not answer, in the order in which they came."""
        return [] if self.policy is None else self.policy.misses

    def operation(self, method: str, path: str) -> str | None:
        """Return the LLM operation that a request is for, and count it; None for any other request."""
        operation = operation_of(method, path)
        if operation is not None:
            self._count()
        return operation

    def refusal(self, method: str, path: str, headers: Iterable[str]) -> Reply | None:
        """Return the answer to a request for no LLM operation that must not be sent, and count it; None sends it."""
        reply = None if self.policy is None else self.policy.refusal(method, path, headers)
        if reply is not None:
            self._count()
        return reply

    def on_close(self, action: Callable[[], None]) -> None:
        """Register what is to be undone when the recorder is closed."""
        self._cleanup.append(action)

    def close(self) -> None:
        """Let requests pass again, and bring what was recorded into the cassette. Closing twice is harmless.

        Raises:
            LLMOpsError: when the cassette can't be written. What was recorded stays in the journal.
        """
        with self._lock:
            actions, self._cleanup = self._cleanup, []
        for action in actions:
            action()
        if actions and self.policy is not None:
            self.policy.close()

    def _count(self) -> None:
        with self._lock:
            self.calls += 1


def _policy(llm: LLM) -> Policy | None:
    if llm.mode == "live":
        return None
    if llm.cassette is None:
        raise LLMOpsError(f"--llmops-llm {llm.mode}: there is no cassette; give the path of one, or use live")
    # Absolute, as a flow may change the working directory.
    store = Store(llm.cassette.absolute(), recording=llm.recording, reuse=llm.mode != "record")
    return Replaying(store) if llm.mode == "replay" else Recording(store)
