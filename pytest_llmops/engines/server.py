"""The warm server: imports what is slow to import once, and forks a worker for each run.

Started in a private folder, with a Unix socket as its standard input. Each command is one byte; those for a run carry
the worker's socket along. When the server's own socket closes, also because the process at its other end was killed, it
ends its workers and itself. It never starts a thread, because only then is forking safe.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import shutil
import signal
import socket
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pytest_llmops.engines import events
from pytest_llmops.engines.agentframework import setup as agentframework
from pytest_llmops.engines.marks import read_marks
from pytest_llmops.engines.process import describe_exit, end_group, last_output, redirect_standard_streams
from pytest_llmops.engines.promptflow import setup as promptflow
from pytest_llmops.engines.worker import work
from pytest_llmops.engines.workers import RUN_WITH, WARM_UP, Library

_LIBRARIES = {command: library for commands in (WARM_UP, RUN_WITH) for library, command in commands.items()}


@dataclass(frozen=True, slots=True)
class _Worker:
    channel: socket.socket
    log: BinaryIO
    scratch: Path

    def close(self) -> None:
        self.channel.close()
        self.log.close()


class Server:
    """Obeys the commands of one engine. ``home`` is a folder of its own."""

    def __init__(self, control: socket.socket, home: Path) -> None:
        self._control = control
        self._home = home
        self._workers: dict[int, _Worker] = {}
        self._warm: set[Library] = set()
        self._runs = 0

    def serve(self) -> None:
        """Obey commands until the engine goes away."""
        with selectors.DefaultSelector() as selector, _child_signals() as exits:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(exits, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if exits in ready:
                    exits.recv(4096)
                    self._reap()
                if self._control in ready and not self._obey():
                    return

    def close(self) -> None:
        """End all workers, and remove what they left behind."""
        for pid in self._workers:
            end_group(pid)
        shutil.rmtree(self._home, ignore_errors=True)

    def _obey(self) -> bool:
        """Obey one command; tell whether there was one."""
        command, descriptors, *_ = socket.recv_fds(self._control, 1, 1)
        if command in _LIBRARIES:
            self._warm_up(_LIBRARIES[command])
        for descriptor in descriptors:
            channel = socket.socket(fileno=descriptor)
            channel.set_inheritable(False)
            try:
                self._fork(channel)
            except OSError as problem:
                _tell(channel, events.died(f"could not be started ({problem.strerror})"))
                channel.close()
        return bool(command)

    def _warm_up(self, library: Library) -> None:
        if library not in self._warm:
            self._warm.add(library)
            # A worker that needs it tries again, and reports what is wrong.
            with contextlib.suppress(Exception):
                self._preload(library)
            gc.collect()
            gc.freeze()

    def _preload(self, library: Library) -> None:
        if library == "promptflow":
            promptflow.preload(self._home)
        else:
            agentframework.preload()

    def _fork(self, channel: socket.socket) -> None:
        self._runs += 1
        log = tempfile.TemporaryFile(dir=self._home)  # noqa: SIM115 - closed with the worker
        worker = _Worker(channel, log, self._home / f"run-{self._runs}")
        worker.scratch.mkdir()
        pid = os.fork()
        if pid == 0:
            self._become(worker)
        # Both sides set it, because either may be first to need it.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self._workers[pid] = worker

    def _become(self, worker: _Worker) -> None:
        """Turn this forked process into a worker; never return."""
        code = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            self._control.close()
            for other in self._workers.values():
                other.close()
            redirect_standard_streams(worker.log.fileno())
            # Left open: a thread reads from the one until the process ends, and to close it would wait for that.
            work(worker.channel.makefile("rb"), worker.channel.makefile("wb"), worker.scratch)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Bury the workers that ended, and tell the engine of those that gave no summary."""
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            end_group(pid)
            worker = self._workers.pop(pid)
            how = describe_exit(os.waitstatus_to_exitcode(status))
            _tell(worker.channel, events.died(how, last_output(worker.log), read_marks(worker.scratch)))
            worker.close()
            shutil.rmtree(worker.scratch, ignore_errors=True)


def _tell(channel: socket.socket, death: bytes) -> None:
    """Tell the engine how a worker ended. After a summary it does not listen any more."""
    with contextlib.suppress(OSError):
        channel.sendall(death)


@contextlib.contextmanager
def _child_signals() -> Iterator[socket.socket]:
    """Give a socket that becomes readable when a child process ends."""
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        yield receiver


def main() -> None:
    """Serve the engine at the other end of standard input."""
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    home = Path.cwd()
    server = Server(control, home)
    try:
        server.serve()
    finally:
        server.close()
        # A regular exit would take apart all that was imported, while pytest waits.
        os._exit(0)
