"""Workers that are fresh Python processes: the way where processes can't fork. Slow: each imports what it needs."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO, cast
from weakref import WeakSet

from pytest_llmops.engines.events import Event, decode, died
from pytest_llmops.engines.marks import read_marks
from pytest_llmops.engines.process import SCRATCH, describe_exit, end_group, last_output
from pytest_llmops.engines.workers import CLOSED, Library, python_command


class SpawnedWorker:
    """A process that reads its order from standard input and writes its events to standard output."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="llmops-", ignore_cleanup_errors=True)
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            python_command("pytest_llmops.engines.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Python looks for modules in the working directory first; in an empty one it finds none by mistake.
            cwd=self._home.name,
            start_new_session=True,
        )
        self._input, self._output = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        # There is no waiting for a pipe with a time limit that works everywhere, but there is for a queue.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, message: bytes) -> None:
        """Send the order or a command. That a worker is dead already shows in its events."""
        with contextlib.suppress(OSError):
            self._input.write(message)
            self._input.flush()

    def listen(self, patience: float) -> Sequence[Event] | None:
        """Return what the worker told by now: nothing after ``patience`` seconds of silence, None when it has ended."""
        try:
            event = self._heard.get(timeout=patience)
        except queue.Empty:
            return ()
        return None if event is None else (event,)

    def _read(self) -> None:
        """Put into the queue what the worker tells, then how it ended, then None."""
        for line in self._output:
            self._heard.put(decode(line))
        how = describe_exit(self._process.wait())
        end_group(self._process.pid)
        under_way = read_marks(Path(self._home.name) / SCRATCH)
        self._heard.put(decode(died(how, last_output(self._log), under_way).strip()))
        self._heard.put(None)

    def kill(self) -> None:
        """End the process and what it started. Its last event tells how it ended."""
        # Once its exit code was fetched, the process's number may belong to another one.
        if self._process.returncode is None:
            end_group(self._process.pid)
            self._process.kill()

    def close(self) -> None:
        """End the worker, if it has not ended."""
        self.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._output, self._log):
            stream.close()
        with contextlib.suppress(OSError):
            self._input.close()
        self._home.cleanup()


class Spawner:
    """Starts each worker afresh."""

    def __init__(self) -> None:
        self._workers: WeakSet[SpawnedWorker] = WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def warm_up(self, library: Library) -> None:
        """Do nothing: there is no process that could be used twice."""

    def launch(self, library: Library | None) -> SpawnedWorker:
        """Start a worker; it imports a library only when its flow needs it.

        Raises:
            OSError: when no process can be started.
        """
        with self._lock:
            if self._closed:
                raise OSError(CLOSED)
            worker = SpawnedWorker()
            self._workers.add(worker)
        return worker

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.kill()
