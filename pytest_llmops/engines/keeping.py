"""Hands outcomes to a journal: costly ones at once, cheap ones so seldom that it costs hardly anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable

from pytest_llmops.engines.base import Journal
from pytest_llmops.records.run import NO_READS, Outcome, Reads, Row

_SHARE = 0.1
"""Part of the time that may go into keeping cheap outcomes. A journal has a fixed cost each time."""
_COSTLY = 0.01
"""Seconds from which on a line may have asked a model."""


def is_costly(row: Row) -> bool:
    """Tell whether losing an outcome would be worse than waiting until it is kept."""
    return row.duration >= _COSTLY


class Keeper:
    """Outcomes on their way into a journal, or nowhere where there is none. ``kept`` is told of the costly ones."""

    def __init__(self, journal: Journal | None, kept: Callable[[Collection[int]], None]) -> None:
        self._journal = journal
        self._kept = kept
        self._waiting: list[Outcome] = []
        self._reads = NO_READS
        self._due_at = 0.0

    @property
    def due_in(self) -> float | None:
        """Seconds until what waits should be kept, None where nothing does."""
        return max(0.0, self._due_at - time.monotonic()) if self._waiting else None

    def add(self, outcomes: Iterable[Outcome], reads: Reads) -> None:
        """Keep outcomes, now or soon. ``reads`` is all that the flow has read by now."""
        if self._journal is None:
            return
        self._waiting += outcomes
        self._reads = reads
        if self.due_in == 0 or any(is_costly(outcome.row) for outcome in self._waiting):
            self.flush()

    def flush(self) -> None:
        """Keep what waits."""
        if self._journal is None or not self._waiting:
            return
        begun = time.monotonic()
        self._journal.keep(self._waiting, self._reads)
        costly = [outcome.row.line_number for outcome in self._waiting if is_costly(outcome.row)]
        self._waiting = []
        if costly:
            self._kept(costly)
        ended = time.monotonic()
        self._due_at = ended + (ended - begun) / _SHARE


class Receipts:
    """The worker's side: lines that wait until their outcomes are kept. Safe to use from several threads."""

    def __init__(self) -> None:
        self._expected: dict[int, threading.Event] = {}

    def expect(self, number: int) -> threading.Event:
        """Return what is set when the line's outcome is kept."""
        return self._expected.setdefault(number, threading.Event())

    def arrive(self, numbers: Iterable[int]) -> None:
        """Note that the outcomes of these lines are kept."""
        for number in numbers:
            if (receipt := self._expected.pop(number, None)) is not None:
                receipt.set()
