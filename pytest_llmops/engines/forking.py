"""Workers that are forked from a warm server: the way wherever processes can fork."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence

from pytest_llmops.engines.events import Event, decode
from pytest_llmops.engines.process import end_group
from pytest_llmops.engines.workers import CLOSED, RUN, RUN_WITH, WARM_UP, Library, python_command

_CHUNK = 1 << 18
_PATIENCE = 5.0
"""Seconds that a server has to end by itself."""


class ForkedWorker:
    """A worker at the other end of a socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._torn = bytearray()
        self._pid: int | None = None

    def tell(self, message: bytes) -> None:
        """Send the order or a command. That a worker is dead already shows in its events."""
        self._channel.settimeout(None)
        with contextlib.suppress(ConnectionError):
            self._channel.sendall(message)

    def listen(self, patience: float) -> Sequence[Event] | None:
        """Return what the worker told by now: nothing after ``patience`` seconds of silence, None when it has ended."""
        deadline = time.monotonic() + patience
        try:
            while True:
                self._channel.settimeout(max(0.001, deadline - time.monotonic()))
                if not (chunk := self._channel.recv(_CHUNK)):
                    return None
                if b"\n" in chunk:
                    return self._decoded(chunk)
                self._torn += chunk
        except TimeoutError:
            return ()
        except ConnectionError:
            return None

    def kill(self) -> None:
        """End the worker at once, whatever it does: with its processor busy it would not notice a closed socket."""
        if self._pid is not None:
            end_group(self._pid)

    def close(self) -> None:
        """End the worker, if it has not ended: it watches its socket."""
        self._channel.close()

    def _decoded(self, chunk: bytes) -> list[Event]:
        *lines, rest = chunk.split(b"\n")
        lines[0] = bytes(self._torn) + lines[0]
        self._torn = bytearray(rest)
        heard = [decode(line) for line in lines]
        for event in heard:
            self._pid = event.get("pid", self._pid)
        return heard


class ForkServer:
    """Starts workers through a server process, which is started when it is first needed, and again should it die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._closed = False

    def warm_up(self, library: Library) -> None:
        """Start the server and have it import a library, without waiting for it."""
        with self._lock:
            self._send(WARM_UP[library])

    def launch(self, library: Library | None) -> ForkedWorker:
        """Fork a worker. ``library`` is what its flow needs.

        Raises:
            OSError: when no process can be started.
        """
        ours, theirs = socket.socketpair()
        worker = ForkedWorker(ours)
        try:
            with theirs, self._lock:
                self._send(RUN_WITH[library] if library else RUN, theirs.fileno())
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
