"""Ctrl-C and SIGTERM while traffic moves: the first one ends that, and the next ones don't stop it being put back.

An agent that cancels a job sends both, seconds apart, before it kills.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pytest_llmops.cli.base import Terminated, complain

_INSISTING = 4
"""Which signal ends whatever is under way."""


class Signals:
    """What becomes of the signals of one command."""

    def __init__(self) -> None:
        self._seen = 0
        self._holding = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals; outside of the main thread nothing is told of them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no signal end what is done here, unless somebody insists."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._seen += 1
        # The first one is raised, so all the others find traffic being put back, or about to be.
        if (self._holding or self._seen > 1) and self._seen < _INSISTING:
            with suppress(RuntimeError):  # of a stream that is being written to right now
                complain("the traffic is being put back; wait for that")
            return
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
