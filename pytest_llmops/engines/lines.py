"""Runs lines in threads, and gives up on a line that takes too long without stopping the others."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.engines.executor import Line
from pytest_llmops.engines.text import one_line
from pytest_llmops.records.run import Row

Work = Callable[[Mapping[str, Any], int], Row]

_PATIENCE = 0.01
"""Seconds without a finished line after which lines seem to wait rather than compute, so more may run at once."""


def run_lines(work: Work, lines: Sequence[Line], *, concurrency: int, timeout: float) -> Iterator[Row]:
    """Yield each line's row as it finishes, in no particular order. ``timeout`` is in seconds, for each line.

    A line that exceeds it becomes a failed row; its thread is left behind, since Python can't end a thread, and
    another one takes its place.
    """
    pool, at_once = _Pool(work, lines, timeout), min(concurrency, len(lines))
    pool.grow_to(1)
    missing = len(lines)
    while missing:
        rows = pool.wait(_PATIENCE if pool.size < at_once else timeout)
        # Threads that compute only get in each other's way, so there are never more of them than turn out to help.
        if not rows:
            pool.grow_to(min(2 * pool.size, at_once))
        missing -= len(rows)
        yield from rows


class _Pool:
    def __init__(self, work: Work, lines: Sequence[Line], timeout: float) -> None:
        self.size = 0
        self._work = work
        self._timeout = timeout
        self._inputs = dict(lines)
        self._pending: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._rows: queue.SimpleQueue[Row] = queue.SimpleQueue()
        self._deadlines: dict[int, float] = {}
        for line in lines:
            self._pending.put(line)

    def grow_to(self, size: int) -> None:
        """Have that many threads; they end by themselves when no line is left."""
        for _ in range(size - self.size):
            threading.Thread(target=self._run_pending, daemon=True).start()
        self.size = size

    def wait(self, longest: float) -> list[Row]:
        """Return the next finished row, or those whose time is over; none after ``longest`` seconds without either."""
        now = time.monotonic()
        first = min(self._deadlines.copy().values(), default=now + longest)
        try:
            return [self._rows.get(timeout=min(longest, max(0.0, first - now)))]
        except queue.Empty:
            return [self._give_up(number) for number in self._overdue()]

    def _overdue(self) -> list[int]:
        now = time.monotonic()
        late = [number for number, deadline in self._deadlines.copy().items() if deadline <= now]
        # Whoever removes the deadline decides what becomes of the line: this thread, or the one that finishes it.
        return [number for number in late if self._deadlines.pop(number, None) is not None]

    def _give_up(self, number: int) -> Row:
        self.size -= 1
        self.grow_to(self.size + 1)
        error = f"Line {number} execution timeout for exceeding {self._timeout:g} seconds"
        return Row(line_number=number, inputs=self._inputs[number], error=error, duration=self._timeout)

    def _run_pending(self) -> None:
        while True:
            try:
                number, inputs = self._pending.get_nowait()
            except queue.Empty:
                return
            self._deadlines[number] = time.monotonic() + self._timeout
            row = contextvars.copy_context().run(_attempt, self._work, inputs, number)
            if self._deadlines.pop(number, None) is None:
                return
            self._rows.put(row)


def _attempt(work: Work, inputs: Mapping[str, Any], number: int) -> Row:
    try:
        return work(inputs, number)
    except SystemExit as request:
        error = f"the flow called sys.exit({'' if request.code is None else repr(request.code)})"
    except BaseException as problem:
        error = one_line(problem)
    return Row(line_number=number, inputs=inputs, error=error)
