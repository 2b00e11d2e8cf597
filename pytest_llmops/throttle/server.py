"""The one limit of a session: a server in one process, which hands out slots for LLM calls to all of them."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Client, Connection, Listener, wait
from uuid import uuid4

from pytest_llmops.throttle.limit import UNKNOWN, AdaptiveLimit, Outcome

Ticket = tuple[Connection, int]
"""A request for a slot: who asks, and the number by which they know it."""

_KEY_BYTES = 16
_BACKLOG = 64
_NO_FILE, _SHOWN_NO_FILE = "\0", "@"
"""How addresses without a file begin, for the system and for people."""


class LimitServer:
    """Lets ``limit`` LLM calls run at once, over all processes that know its address. Runs in threads of its own.

    First come, first served. The slots of a process that dies are free as soon as its connection closes.
    """

    def __init__(self, limit: int) -> None:
        self._queue = _Queue(limit)
        self._key = os.urandom(_KEY_BYTES)
        # Linux has addresses without a file, which a process that is killed would leave behind.
        place = f"{_NO_FILE}llmops-{uuid4().hex}" if sys.platform == "linux" else None
        self._listener = Listener(place, backlog=_BACKLOG, authkey=self._key)
        self._place = place or self._listener.address
        self._bell, self._bell_push = Pipe(duplex=False)
        self._newcomers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._closing = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._welcome, self._serve)]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> str:
        """Where to ask for slots, as text. It holds the key that lets one in, so it belongs into no log."""
        return f"{self._key.hex()}@{self._place.replace(_NO_FILE, _SHOWN_NO_FILE)}"

    def close(self) -> None:
        """Stop. Calls that wait for a slot fail, in whatever process."""
        self._closing = True
        # Only a visitor wakes the thread that waits for one.
        with contextlib.suppress(OSError, EOFError):
            connect(self.address).close()
        for thread in self._threads:
            thread.join()

    def _welcome(self) -> None:
        with self._listener, self._bell_push:
            while not self._closing:
                try:
                    self._newcomers.put(self._listener.accept())
                except (AuthenticationError, EOFError, ConnectionError):
                    continue  # somebody else's visit, or a process that died at the door
                self._bell_push.send_bytes(b"!")

    def _serve(self) -> None:
        clients: set[Connection] = set()
        # Whether it was closed or broke: without its bell, nobody is served any more, and everybody is told.
        with contextlib.suppress(EOFError):
            while True:
                self._take_in_what_comes(clients)
                for connection, number in self._queue.admit(time.monotonic()):
                    # Of one that is gone, the closed connection tells next.
                    with contextlib.suppress(OSError):
                        connection.send(number)
        for connection in (self._bell, *clients):
            connection.close()

    def _take_in_what_comes(self, clients: set[Connection]) -> None:
        ready = wait([self._bell, *clients], timeout=self._queue.pause(time.monotonic()))
        clients -= {client for client in clients.intersection(ready) if not self._listen(client)}
        if self._bell in ready:
            self._bell.recv_bytes()
            clients.add(self._newcomers.get())

    def _listen(self, connection: Connection) -> bool:
        """Take in one message: a wish for a slot, its return, or the end (False)."""
        try:
            message = connection.recv()
        except (EOFError, OSError):
            message = None
        if message is None:
            self._queue.drop(connection, time.monotonic())
            connection.close()
            return False
        number, outcome = message
        if outcome is None:
            self._queue.join((connection, number))
        else:
            self._queue.leave((connection, number), outcome, time.monotonic())
        return True


def connect(address: str) -> Connection:
    """Connect to a server, in any process.

    Raises:
        OSError, EOFError, AuthenticationError: when there is none at this address.
    """
    key, _, place = address.partition("@")
    return Client(place.replace(_SHOWN_NO_FILE, _NO_FILE), authkey=bytes.fromhex(key))


class _Queue:
    """Who holds a slot, and who waits for one."""

    def __init__(self, limit: int) -> None:
        self._limit = AdaptiveLimit(limit)
        self._waiting: dict[Ticket, None] = {}
        self._held: dict[Ticket, int] = {}

    def join(self, ticket: Ticket) -> None:
        self._waiting[ticket] = None

    def leave(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """Free the slot, or the place in the queue where there is none yet."""
        self._waiting.pop(ticket, None)
        started_in = self._held.pop(ticket, None)
        if started_in is not None:
            self._limit.report(outcome, started_in, now)

    def drop(self, connection: Connection, now: float) -> None:
        for ticket in [ticket for ticket in (*self._waiting, *self._held) if ticket[0] is connection]:
            self.leave(ticket, UNKNOWN, now)

    def admit(self, now: float) -> Sequence[Ticket]:
        """Give slots to those who may start now, in the order in which they came."""
        admitted = []
        while self._waiting and self._limit.allows(len(self._held), now):
            ticket = next(iter(self._waiting))
            del self._waiting[ticket]
            self._held[ticket] = self._limit.round
            admitted.append(ticket)
        return admitted

    def pause(self, now: float) -> float | None:
        """Return the seconds after which somebody may start though nobody left, None where there is nobody."""
        return max(0.0, self._limit.resume_at - now) if self._waiting and self._limit.resume_at > now else None
