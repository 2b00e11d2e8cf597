"""Workers that are forked from a warm server: the way wherever processes can fork."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator

from pytest_llmops.engines.events import Event, decode
from pytest_llmops.engines.workers import CLOSED, RUN, RUN_WARM, WARM_UP, python_command

_PATIENCE = 5.0
"""Seconds that a server has to end by itself."""


class ForkedWorker:
    """A worker at the other end of a socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lines = channel.makefile("rb")

    def tell(self, order: bytes) -> None:
        """Send the order. That a worker is dead already shows in its events."""
        with contextlib.suppress(ConnectionError):
            self._channel.sendall(order)

    def events(self) -> Iterator[Event]:
        """Yield what the worker tells, until it ends."""
        with contextlib.suppress(ConnectionError):
            yield from map(decode, self._lines)

    def close(self) -> None:
        """End the worker, if it has not ended: it watches its socket."""
        self._lines.close()
        self._channel.close()


class ForkServer:
    """Starts workers through a server process, which is started when it is first needed, and again should it die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._closed = False

    def warm_up(self) -> None:
        """Start the server and have it import promptflow, without waiting for it."""
        with self._lock:
            self._send(WARM_UP)

    def launch(self, *, warm: bool) -> ForkedWorker:
        """Fork a worker. ``warm`` tells whether its flow needs promptflow.

        Raises:
            OSError: when no process can be started.
        """
        ours, theirs = socket.socketpair()
        worker = ForkedWorker(ours)
        try:
            with theirs, self._lock:
                self._send(RUN_WARM if warm else RUN, theirs.fileno())
        except OSError:
            worker.close()
            raise
        return worker

    def close(self) -> None:
        """End the server and its workers."""
        with self._lock:
            self._closed = True
            if self._server is not None:
                self._server.close()
                self._server = None

    def _send(self, command: bytes, *descriptors: int) -> None:
        if self._closed:
            raise OSError(CLOSED)
        if self._server is None:
            self._server = _Server()
        try:
            self._server.send(command, descriptors)
        except ConnectionError:
            self._server.close()
            self._server = _Server()
            self._server.send(command, descriptors)


class _Server:
    """A running server process and its private folder."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="llmops-")
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                python_command("pytest_llmops.engines.server"),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Python looks for modules in the working directory first; in an empty one it finds none by mistake.
                cwd=self._home,
                # Ctrl-C in the terminal is for pytest, which then ends the server.
                start_new_session=True,
            )

    def send(self, command: bytes, descriptors: tuple[int, ...]) -> None:
        socket.send_fds(self._control, [command], descriptors)

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)
