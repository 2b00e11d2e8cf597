"""The journal of one run, backed by the ledger."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmops.ledger import claims, contexts, outcomes, runs
from pytest_llmops.ledger.access import Access
from pytest_llmops.ledger.context import Context
from pytest_llmops.ledger.data import LineKeys, row_digests, run_key
from pytest_llmops.ledger.database import Database
from pytest_llmops.ledger.exact import exact
from pytest_llmops.ledger.files import changed_names
from pytest_llmops.ledger.outcomes import Finder, Kept
from pytest_llmops.ledger.reads import NOTHING, Present, add_link, merged, read_chain
from pytest_llmops.records.run import Line, Outcome, Reads, Row, RunResult

if TYPE_CHECKING:
    from typing_extensions import Self

_POLL = 0.05
"""Seconds between two looks at what others are doing."""
_NAMES = 3
"""How many files a message names."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found when the ledger was last looked at. ``others`` are the owners of what is neither."""

    state: tuple[int, int]
    known: Mapping[str, Kept]
    mine: Collection[str]
    others: Collection[str]


class SharedJournal:
    """A journal that is backed by the ledger. Not to be used by two threads at the same time.

    ``number`` tells it from other journals of this process.
    """

    def __init__(
        self,
        access: Access,
        context: Context,
        feed: Mapping[str, Any],
        present: Present,
        finder: Finder,
        *,
        number: int,
    ) -> None:
        self._access = access
        self._context = context
        self._context_key = context.key
        self._feed = feed
        self._run_key = run_key(self._context_key, feed)
        self._present = present
        self._number = number
        self._finder = finder
        self._keys = LineKeys(self._context_key, context.request)
        self._ids: dict[int, int] = {}
        self._kept: list[int] = []
        self._reused: set[str] = set()
        self._reused_reads = Reads()
        self._oldest = time.time()
        self._reads = Reads()
        self._chain = NOTHING
        self._described = False
        self._current = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._access.usable:
            self._access.attempt(self._release, None)

    def finished(self) -> RunResult | None:
        """Return the whole run where it is known. Blocks while somebody else executes the very same run."""
        while self._access.usable:
            found = self._access.attempt(self._find_or_claim_run, None)
            if isinstance(found, RunResult):
                return found
            if found is None or found.mine:
                return None
            self._wait(found)
        return None

    def take(self, lines: Sequence[Line]) -> tuple[Mapping[int, Outcome], Sequence[int]]:
        """Return the outcomes that are known, by line number, and the lines that are now the caller's to execute."""
        self._keys.add(lines)
        inputs = dict(lines)
        numbers = {key: number for number in inputs if (key := self._keys[number]) is not None}
        mine = [number for number in inputs if self._keys[number] is None]
        # Two who wait must not hold what the other one waits for.
        self._access.attempt(lambda database: self._release(database, keep=self._run_key), None)
        while self._access.usable:
            look = self._access.attempt(lambda database: self._look(database, list(numbers)), None)
            if look is None:
                break
            mine += [numbers[key] for key in look.mine]
            if look.known or mine or not lines:
                return {numbers[key]: self._reuse(kept, numbers[key], inputs) for key, kept in look.known.items()}, mine
            self._wait(look)
        return {}, list(inputs)

    def keep(self, outcomes: Sequence[Outcome], reads: Reads) -> None:
        """Keep the completed ones of some outcomes, and free all of them."""
        self._access.attempt(lambda database: self._keep(database, outcomes, reads), None)

    def conclude(self, result: RunResult, reads: Reads) -> Reads:
        """Keep the run as a whole, if every line completed and nothing was amiss. Returns all that it rests on."""
        for more in (self._reused_reads, reads):
            self._reads, _ = merged(self._reads, more)
        self._access.attempt(lambda database: self._conclude(database, result), None)
        return self._reads

    def _find_or_claim_run(self, database: Database) -> RunResult | _Look:
        with database.reading() as connection:
            found = self._find_run(connection)
        if found is None:
            with database.writing() as connection:
                # Somebody may have finished it in between, and freed it.
                found = self._find_run(connection)
                if found is None:
                    claimed = claims.claim(connection, [self._run_key], self._access.owner, self._number)
                    return _Look(database.state(), {}, claimed.mine, claimed.others)
        run, result = found
        if run.used < time.time() - outcomes.DAY:
            with database.writing() as connection:
                runs.mark_used(connection, run, self._context_key, time.time())
        return result

    def _find_run(self, connection: sqlite3.Connection) -> tuple[runs.KeptRun, RunResult] | None:
        return runs.find(connection, self._run_key, self._present, self._finder)

    def _look(self, database: Database, keys: Sequence[str]) -> _Look:
        with database.reading() as connection:
            known = self._known(connection, keys)
        missing = [key for key in keys if key not in known]
        if not missing:
            return _Look(database.state(), known, (), ())
        with database.writing() as connection:
            # Somebody may have finished one in between, and freed it.
            known |= self._known(connection, missing)
            missing = [key for key in missing if key not in known]
            claimed = claims.claim(connection, missing, self._access.owner, self._number)
            return _Look(database.state(), known, claimed.mine, claimed.others)

    def _known(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Kept]:
        known = {kept.key: kept for kept in self._finder.by_key(connection, keys, self._present)}
        for chain in {kept.reads for kept in known.values()} - self._reused:
            self._reused.add(chain)
            self._reused_reads, _ = merged(self._reused_reads, read_chain(connection, chain) or Reads())
        return known

    def _wait(self, look: _Look) -> None:
        """Wait until the ledger has changed, or somebody died."""

        def is_over(database: Database) -> bool:
            return database.state() != look.state or not all(map(self._access.owner.is_alive, look.others))

        while self._access.usable:
            time.sleep(_POLL)
            if self._access.attempt(is_over, True):
                return

    def _reuse(self, kept: Kept, number: int, inputs: Mapping[int, Mapping[str, Any]]) -> Outcome:
        self._ids[number] = kept.id
        self._oldest = min(self._oldest, kept.recorded)
        return outcomes.decode(kept, number, self._finder.begun, inputs[number])

    def _keep(self, database: Database, finished: Sequence[Outcome], reads: Reads) -> None:
        self._reads, new = merged(self._reads, reads)
        # A flow that is edited while it runs has outcomes of which nobody knows what they are the outcomes of.
        contents = dict(_encoded(finished)) if self._is_current() else {}
        free = []
        with database.writing() as connection:
            self._describe(connection)
            self._chain = add_link(connection, self._chain, new)
            for outcome in finished:
                number = outcome.row.line_number
                key, content, by_itself = self._keys[number], contents.get(number), outcome.aggregation is not None
                if key is None:
                    continue
                if content is not None:
                    self._add(connection, outcome.row, key, content, by_itself=by_itself)
                if content is None or not by_itself:
                    free.append(key)
            # Who finds an outcome asks for no claim, so the claims of what is kept are given up at the end, at once.
            claims.release(connection, free, self._access.owner, self._number)

    def _add(self, connection: sqlite3.Connection, row: Row, key: str, content: str, *, by_itself: bool) -> None:
        now = time.time()
        # A workspace may have had it for long, and it is as old as it is wherever it is kept.
        recorded = now if row.recorded is None else row.recorded
        self._oldest = min(self._oldest, recorded)
        self._ids[row.line_number] = outcomes.add(
            connection, key=key, reads=self._chain, by_itself=by_itself, content=content, recorded=recorded, now=now
        )
        self._kept.append(self._ids[row.line_number])

    def _conclude(self, database: Database, result: RunResult) -> None:
        if result.misses:
            # A flow may go on after a miss with something else, which must not pass for an outcome another time.
            with database.writing() as connection:
                outcomes.discard(connection, self._kept)
            return
        if not self._is_whole(result) or not self._is_current():
            return
        feed = exact({**self._feed, "rows": row_digests(self._context.request.data)})
        content = runs.encode(result, self._ids)
        now = time.time()
        with database.writing() as connection:
            self._describe(connection)
            runs.add(
                connection,
                key=self._run_key,
                context=self._context_key,
                reads=add_link(connection, NOTHING, self._reads),
                feed=feed,
                content=content,
                recorded=now if result.recorded is None else result.recorded,
                oldest=self._oldest,
                now=now,
            )
            outcomes.mark_used(connection, list(self._ids.values()), now)

    def _describe(self, connection: sqlite3.Connection) -> None:
        if not self._described:
            contexts.add(connection, self._context_key, self._context, time.time())
            self._described = True

    def _is_current(self) -> bool:
        """Tell whether the flow's files are what they were, and say so if they are not."""
        if self._current and not self._context.is_current():
            self._current = False
            flow = self._context.request.flow
            names = changed_names(flow.folder, self._context.stamps)
            self._access.note(
                f"files of '{flow.name}'",
                f"files of flow '{flow.name}' changed while it ran ({_listed(names)}), "
                "so what it gave since is not kept; if it writes them, have it write elsewhere",
            )
        return self._current

    def _is_whole(self, result: RunResult) -> bool:
        amiss = result.error or result.aggregation_error or result.failed
        kept = all(row.line_number in self._ids for row in result.rows)
        return result.status == "Completed" and bool(result.rows) and not amiss and kept

    def _release(self, database: Database, *, keep: str = "") -> None:
        with database.writing() as connection:
            claims.release_others(connection, self._access.owner, self._number, keep)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _encoded(finished: Sequence[Outcome]) -> Iterator[tuple[int, str]]:
    for outcome in finished:
        if not outcome.row.failed:
            with contextlib.suppress(TypeError, ValueError):
                yield outcome.row.line_number, outcomes.encode(outcome)
