"""Requests under way, so that no two threads or tasks pay for the same one."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Flight:
    """One request under way. ``landed`` is done when it has come back or failed."""

    landed: Future[None] = field(default_factory=Future)
    thread: int = field(default_factory=threading.get_ident)

    @property
    def here(self) -> bool:
        """Whether it was started in the thread that asks."""
        return self.thread == threading.get_ident()


class Flights:
    """The requests under way in this process, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Flight] = {}

    def start(self, key: str) -> tuple[Flight, bool]:
        """Return the key's flight, and whether the caller is the one that started it and must ``land`` it."""
        with self._lock:
            flight = self._open.get(key)
            if flight is not None:
                return flight, False
            self._open[key] = flight = Flight()
            # A task that is cancelled while it waits would otherwise cancel the future for all who wait.
            flight.landed.set_running_or_notify_cancel()
            return flight, True

    def land(self, key: str) -> None:
        """End a flight: those who wait for it ask again whether there is an answer."""
        with self._lock:
            flight = self._open.pop(key)
        flight.landed.set_result(None)
