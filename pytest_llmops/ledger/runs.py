"""Finished runs, as the ledger keeps them: the ids of their lines' outcomes, and what came of all lines together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.ledger import outcomes
from pytest_llmops.ledger.exact import digest
from pytest_llmops.ledger.outcomes import Finder, decode
from pytest_llmops.ledger.reads import Present, read_chain
from pytest_llmops.records.run import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """A run that was kept. ``oldest`` is the Unix time of the oldest of its outcomes, ``used`` that of the last use."""

    id: int
    key: str
    reads: str
    recorded: float
    oldest: float
    used: float
    feed: Mapping[str, Any]
    content: Mapping[str, Any]


def encode(result: RunResult, ids: Mapping[int, int]) -> str:
    """Write what a run adds to its lines as text. ``ids`` are those of their outcomes, by line number.

    Raises:
        TypeError, ValueError: for metrics that JSON can't express.
    """
    content = {
        "lines": [(row.line_number, ids[row.line_number]) for row in result.rows],
        "metrics": result.metrics,
        "duration": result.duration,
        "llm_calls": result.llm_calls,
        "name": result.name,
    }
    return json.dumps(content)


def add(
    connection: sqlite3.Connection,
    *,
    key: str,
    context: str,
    reads: str,
    feed: str,
    content: str,
    recorded: float,
    oldest: float,
    now: float,
) -> None:
    """Keep a run, in place of an earlier one."""
    connection.execute(
        "INSERT OR REPLACE INTO runs (key, context, reads, recorded, oldest, used, feed, content, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key, context, reads, recorded, oldest, now, feed, content, digest(key, reads, feed, content)),
    )


def find(
    connection: sqlite3.Connection, key: str, present: Present, finder: Finder
) -> tuple[KeptRun, RunResult] | None:
    """Return the newest run of a key that is not too old, has all its lines, and whose reads hold."""
    query = f"{_SELECT} WHERE key = ? AND oldest >= ? ORDER BY id DESC"
    for run in _sound(connection.execute(query, (key, finder.since)), finder.damaged):
        if present.holds(connection, run.reads) and (result := _result(connection, run, finder)):
            return run, result
    return None


def of_context(connection: sqlite3.Connection, context: str) -> Iterator[KeptRun]:
    """Yield the runs of a context, the newest first."""
    yield from _sound(connection.execute(f"{_SELECT} WHERE context = ? ORDER BY id DESC", (context,)), lambda: None)


def mark_used(connection: sqlite3.Connection, run: KeptRun, context: str, now: float) -> None:
    """Note that a run, its context and its lines are of use."""
    connection.execute("UPDATE runs SET used = ? WHERE id = ?", (now, run.id))
    connection.execute("UPDATE contexts SET used = ? WHERE key = ?", (now, context))
    outcomes.mark_used(connection, [outcome for _, outcome in run.content["lines"]], now)


def _result(connection: sqlite3.Connection, run: KeptRun, finder: Finder) -> RunResult | None:
    numbers = {outcome: number for number, outcome in run.content["lines"]}
    rows = [decode(kept, numbers[kept.id], finder.begun).row for kept in finder.by_id(connection, list(numbers))]
    reads = read_chain(connection, run.reads)
    if reads is None or len(rows) != len(numbers):
        return None
    return RunResult(
        status="Completed",
        rows=tuple(sorted(rows, key=lambda row: row.line_number)),
        metrics=run.content["metrics"],
        duration=run.content["duration"],
        llm_calls=run.content["llm_calls"],
        recorded=run.recorded if run.recorded < finder.begun else None,
        reads=reads.files,
        name=run.content.get("name", ""),  # absent in old entries
    )


_SELECT = "SELECT id, key, reads, recorded, oldest, used, feed, content, checksum FROM runs"


def _sound(rows: sqlite3.Cursor, damaged: Callable[[], None]) -> Iterator[KeptRun]:
    for row_id, key, reads, recorded, oldest, used, feed, content, checksum in rows:
        if checksum != digest(key, reads, feed, content):
            damaged()
            continue
        yield KeptRun(
            id=row_id,
            key=key,
            reads=reads,
            recorded=recorded,
            oldest=oldest,
            used=used,
            feed=json.loads(feed),
            content=json.loads(content),
        )
