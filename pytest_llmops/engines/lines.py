"""Runs lines in threads, and gives up on a line that takes too long."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_llmops.engines.text import one_line
from pytest_llmops.records.run import Line, Row

Work = Callable[[Mapping[str, Any], int], Row]
Finish = Callable[[Row], None]

_PATIENCE = 0.01
"""Seconds after which one looks whether lines wait rather than compute, so that more should run at once."""


def run_lines(work: Work, lines: Sequence[Line], finish: Finish, *, concurrency: int, timeout: float) -> int:
    """Run lines, hand each one's row to ``finish`` as it is done, and return how many there were.

    ``finish`` is called in several threads at once, and before its thread begins another line. ``timeout`` is in
    seconds, for each line. A line that exceeds it becomes a failed row. Its thread goes on, since Python can't end a
    thread: so no further line is begun, and the rows end with those that were under way.
    """
    pool, at_once = _Pool(work, lines, finish, timeout), min(concurrency, len(lines))
    pool.grow_to(1)
    while pool.unfinished:
        # Threads that compute only get in each other's way, so there is one of them until it turns out to wait.
        if pool.waits(_PATIENCE if pool.size < at_once else timeout):
            pool.grow_to(at_once)
        pool.give_up_on_overdue()
    return pool.finished


class _Pool:
    def __init__(self, work: Work, lines: Sequence[Line], finish: Finish, timeout: float) -> None:
        self.size = 0
        self.finished = 0
        self.unfinished = len(lines)
        self._work = work
        self._finish = finish
        self._timeout = timeout
        self._pending: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._deadlines: dict[int, tuple[float, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()
        self._all_done = threading.Event()
        for line in lines:
            self._pending.put(line)

    def grow_to(self, size: int) -> None:
        """Have that many threads; they end by themselves when no line is left."""
        for _ in range(size - self.size):
            threading.Thread(target=self._run_pending, daemon=True).start()
        self.size = size

    def waits(self, longest: float) -> bool:
        """Let ``longest`` seconds pass, less if a line's time ends; tell whether the processor was idle meanwhile."""
        busy, now = time.process_time(), time.monotonic()
        first = min((deadline for deadline, _ in self._deadlines.copy().values()), default=now + longest)
        self._all_done.wait(min(longest, max(0.0, first - now)))
        return time.process_time() - busy < (time.monotonic() - now) / 2

    def give_up_on_overdue(self) -> None:
        """Fail the lines whose time is over, and begin no more where there are any."""
        now = time.monotonic()
        for number, (deadline, inputs) in self._deadlines.copy().items():
            # Whoever removes the deadline decides what becomes of the line: this thread, or the one that finishes it.
            if deadline > now or self._deadlines.pop(number, None) is None:
                continue
            self._drop_pending()
            error = f"Line {number} execution timeout for exceeding {self._timeout:g} seconds"
            self._done(Row(line_number=number, inputs=inputs, error=error, duration=self._timeout))

    def _drop_pending(self) -> None:
        while self._next() is not None:
            self._count(finished=0)

    def _next(self) -> Line | None:
        try:
            return self._pending.get_nowait()
        except queue.Empty:
            return None

    def _run_pending(self) -> None:
        while (line := self._next()) is not None:
            number, inputs = line
            self._deadlines[number] = time.monotonic() + self._timeout, inputs
            row = contextvars.copy_context().run(_attempt, self._work, inputs, number)
            if self._deadlines.pop(number, None) is None:
                return
            self._done(row)

    def _done(self, row: Row) -> None:
        self._finish(row)
        self._count(finished=1)

    def _count(self, finished: int) -> None:
        with self._lock:
            self.finished += finished
            self.unfinished -= 1
        if not self.unfinished:
            self._all_done.set()


def _attempt(work: Work, inputs: Mapping[str, Any], number: int) -> Row:
    try:
        return work(inputs, number)
    except SystemExit as request:
        error = f"the flow called sys.exit({'' if request.code is None else repr(request.code)})"
    except BaseException as problem:
        error = one_line(problem)
    return Row(line_number=number, inputs=inputs, error=error)
