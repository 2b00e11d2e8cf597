"""Hands outcomes to a journal: soon enough to lose hardly any, seldom enough to cost hardly anything."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pytest_llmops.engines.base import Journal
from pytest_llmops.records.run import NO_READS, Outcome, Reads

_SHARE = 0.1
"""Part of the time that may go into keeping. A journal has a fixed cost each time, so fast lines wait for others."""


class Keeper:
    """Outcomes on their way into a journal, or nowhere where there is none."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
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
        if self.due_in == 0:
            self.flush()

    def flush(self) -> None:
        """Keep what waits."""
        if self._journal is None or not self._waiting:
            return
        begun = time.monotonic()
        self._journal.keep(self._waiting, self._reads)
        self._waiting = []
        ended = time.monotonic()
        self._due_at = ended + (ended - begun) / _SHARE
