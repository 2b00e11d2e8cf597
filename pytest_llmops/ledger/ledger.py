"""The ledger of a folder: journals for runs, and what people want to know and do about it."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_llmops.ledger import contexts, runs, upkeep
from pytest_llmops.ledger.access import Access
from pytest_llmops.ledger.base import BlankJournal, RunJournal
from pytest_llmops.ledger.context import Context, context_of
from pytest_llmops.ledger.data import feed_of, row_digests, run_key
from pytest_llmops.ledger.database import Database
from pytest_llmops.ledger.explain import age_reason, change_reason, context_reasons, feed_reasons
from pytest_llmops.ledger.files import FileDigests
from pytest_llmops.ledger.journal import SharedJournal
from pytest_llmops.ledger.outcomes import Finder
from pytest_llmops.ledger.packages import installed_packages
from pytest_llmops.ledger.reads import Present, read_chain
from pytest_llmops.ledger.upkeep import Info
from pytest_llmops.records.run import RunRequest, RunResult

_PATIENCE = 30.0
_INCOMPLETE = "no complete run of it is kept: rows failed, or it was interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What would be reused of a run: its whole result, or else why not."""

    result: RunResult | None = None
    reasons: tuple[str, ...] = ()

    @property
    def reused(self) -> bool:
        """Whether the whole run would be."""
        return self.result is not None


class Ledger:
    """Outcomes of earlier sessions and of those under way, in one folder. Safe to use from several threads.

    ``read=False`` reuses nothing from before the session, but keeps what it finds out. ``max_age`` is in seconds:
    older outcomes are not reused. ``begun`` is the Unix time at which the session began, for all of its processes to
    agree on; now, if it is not given. ``patience`` is in seconds: how long a locked ledger is waited for.

    Trouble with the ledger is never an exception: ``troubles`` has a line about it, and runs are executed as without.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read: bool = True,
        max_age: float | None = None,
        begun: float | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._access = Access(folder, patience)
        self._files = FileDigests()
        self._journals = itertools.count()
        self._max_age = max_age if read else None
        begun = time.time() if begun is None else begun
        self._begun = begun
        # What this session keeps counts, however long it takes.
        self._since = begun if not read else (0.0 if max_age is None else begun - max_age)

    @property
    def troubles(self) -> Sequence[str]:
        """What is wrong with the ledger: one line for each kind of trouble that was met."""
        return self._access.troubles

    def journal(self, request: RunRequest) -> RunJournal:
        """Return the journal of a run.

        One that records LLM answers must be complete, so nothing of it is reused. What is served may change at any
        time, unseen, so its answers are neither reused nor kept.
        """
        if request.llm.mode in ("record", "auto") or request.address is not None:
            return BlankJournal()
        try:
            context, feed = self._identify(request)
        except (OSError, TypeError, ValueError, RecursionError) as problem:
            what = f"flow '{request.flow.name}' is neither reused nor kept, as its key can't be made"
            self._access.note(what, f"{what}: {problem}")
            return BlankJournal()
        present = self._present(request)
        number = next(self._journals)
        return SharedJournal(self._access, context, feed, present, self._finder(), number=number)

    def explain(self, request: RunRequest) -> Explanation:
        """Tell whether a run would be reused, and if not, what is different. Changes nothing, waits for nobody."""
        if request.llm.mode in ("record", "auto"):
            return Explanation(reasons=(f"--llmops-llm {request.llm.mode} makes the run anew",))
        if request.address is not None:
            return Explanation(reasons=("what is served is asked anew each time",))
        if not self._access.file.exists():
            return Explanation(reasons=context_reasons({}, ()))
        try:
            context, feed = self._identify(request)
            rows = row_digests(request.data)
        except (OSError, TypeError, ValueError, RecursionError) as problem:
            return Explanation(reasons=(f"its key can't be made: {problem}",))
        nothing = Explanation(reasons=("the ledger can't be read",))
        return self._access.attempt(lambda database: self._explain(database, context, feed, rows), nothing)

    def info(self) -> Info:
        """Return how much is kept."""
        if not self._access.file.exists():
            return Info()
        return self._access.attempt(lambda database: upkeep.info(database, self._access.file), Info())

    def prune(self, unused_for: float = 0.0) -> int:
        """Forget runs and outcomes that were not used for that many seconds, and return how many those were."""
        if not self._access.file.exists():
            return 0
        return self._access.attempt(lambda database: upkeep.prune(database, time.time() - unused_for), 0)

    def close(self) -> None:
        """Close the ledger, and free what is still claimed."""
        self._access.close()

    @cached_property
    def _packages(self) -> Mapping[str, str]:
        return installed_packages(sys.path)

    def _identify(self, request: RunRequest) -> tuple[Context, Mapping[str, Any]]:
        return context_of(request, self._files, self._packages), feed_of(request, self._files)

    def _present(self, request: RunRequest) -> Present:
        return Present(request.flow.folder, self._files, os.environ)

    def _finder(self) -> Finder:
        return Finder(self._since, self._begun, self._access.note_damage)

    def _explain(
        self, database: Database, context: Context, feed: Mapping[str, Any], rows: Sequence[str] | None
    ) -> Explanation:
        present = self._present(context.request)
        finder = self._finder()
        key = run_key(context.key, feed)
        with database.reading() as connection:
            found = runs.find(connection, key, present, finder)
            if found is not None:
                return Explanation(result=found[1])
            kept = dict(contexts.with_label(connection, context.label))
            if context.key not in kept:
                return Explanation(reasons=context_reasons(context.ingredients, list(kept.values())))
            of_context = list(runs.of_context(connection, context.key))
            if not of_context:
                return Explanation(reasons=(_INCOMPLETE,))
            nearest = next((run for run in of_context if run.key == key), of_context[0])
            reads = read_chain(connection, nearest.reads)
        reasons = list(feed_reasons(feed, rows, nearest.feed))
        if reads is not None:
            reasons += [change_reason(change, reads) for change in present.changes(reads)]
        if nearest.oldest < self._since:
            reasons.append(age_reason(self._max_age))
        return Explanation(reasons=tuple(reasons) or (_INCOMPLETE,))
