"""Outcomes of single lines, as the ledger keeps them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from pytest_llmops.ledger.database import in_chunks
from pytest_llmops.ledger.exact import digest
from pytest_llmops.ledger.reads import Present
from pytest_llmops.records.run import Outcome, Row, Tokens

DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An outcome that was kept. ``content`` is what ``decode`` reads; ``recorded`` is Unix time."""

    id: int
    key: str
    reads: str
    recorded: float
    content: str


def encode(outcome: Outcome) -> str:
    """Write a completed line as text.

    Raises:
        TypeError, ValueError: for what JSON can't express.
    """
    row = outcome.row
    content = {
        "inputs": row.inputs,
        "output": row.output,
        "duration": row.duration,
        "tokens": astuple(row.tokens),
        "usage": {model: astuple(tokens) for model, tokens in row.usage.items()},
        "uncounted": row.uncounted,
        "aggregation": outcome.aggregation,
    }
    return json.dumps(content)


def decode(kept: Kept, line_number: int, begun: float, inputs: Mapping[str, Any] | None = None) -> Outcome:
    """Read a line as that of a number. ``inputs`` replace equal ones.

    It counts as reused only if it is from before the session that ``begun`` then.
    """
    content = json.loads(kept.content)
    row = Row(
        line_number=line_number,
        inputs=content["inputs"] if inputs is None else inputs,
        output=content["output"],
        duration=content["duration"],
        tokens=_tokens(content["tokens"]),
        usage={model: _tokens(counts) for model, counts in content.get("usage", {}).items()},  # absent in old entries
        uncounted=content.get("uncounted", 0),
        recorded=kept.recorded if kept.recorded < begun else None,
    )
    return Outcome(row=row, aggregation=content["aggregation"])


def _tokens(counts: Sequence[int]) -> Tokens:
    prompt, completion, total = counts
    return Tokens(prompt=prompt, completion=completion, total=total)


def add(
    connection: sqlite3.Connection,
    *,
    key: str,
    reads: str,
    by_itself: bool,
    content: str,
    recorded: float,
    now: float,
) -> int:
    """Keep an outcome, in place of an earlier one, and return its id, which no other ever had.

    ``by_itself`` says that it can be used for another run, not only as a part of its own.
    """
    cursor = connection.execute(
        "INSERT OR REPLACE INTO outcomes (key, reads, by_itself, recorded, used, content, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key, reads, by_itself, recorded, now, content, digest(key, reads, content)),
    )
    return int(cursor.lastrowid or 0)


class Finder:
    """Finds outcomes, and tells of those that are damaged.

    ``since`` is the Unix time of the oldest that count, ``begun`` that of the session's begin.
    """

    def __init__(self, since: float, begun: float, damaged: Callable[[], None]) -> None:
        self.since = since
        self.begun = begun
        self.damaged = damaged

    def by_key(self, connection: sqlite3.Connection, keys: Sequence[str], present: Present) -> Iterator[Kept]:
        """Yield the newest outcome of each key that can be used by itself, and whose reads hold."""
        query = (
            "SELECT id, key, reads, recorded, content, checksum FROM outcomes"
            " WHERE key IN (SELECT value FROM json_each(?)) AND recorded >= ? AND by_itself ORDER BY key, id DESC"
        )
        for chunk in in_chunks(keys):
            last = None
            for kept in self._sound(connection.execute(query, (chunk, self.since))):
                if kept.key != last and present.holds(connection, kept.reads):
                    last = kept.key
                    yield kept

    def by_id(self, connection: sqlite3.Connection, ids: Sequence[int]) -> Iterator[Kept]:
        """Yield the outcomes with some ids, in any order, without those that are gone or too old."""
        query = (
            "SELECT id, key, reads, recorded, content, checksum FROM outcomes"
            " WHERE id IN (SELECT value FROM json_each(?)) AND recorded >= ?"
        )
        for chunk in in_chunks(ids):
            yield from self._sound(connection.execute(query, (chunk, self.since)))

    def _sound(self, rows: sqlite3.Cursor) -> Iterator[Kept]:
        for row_id, key, reads, recorded, content, checksum in rows:
            if checksum == digest(key, reads, content):
                yield Kept(id=row_id, key=key, reads=reads, recorded=recorded, content=content)
            else:
                self.damaged()


def mark_used(connection: sqlite3.Connection, ids: Sequence[int], now: float) -> None:
    """Note that outcomes are of use."""
    for chunk in in_chunks(ids):
        connection.execute("UPDATE outcomes SET used = ? WHERE id IN (SELECT value FROM json_each(?))", (now, chunk))


def discard(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Forget outcomes."""
    for chunk in in_chunks(ids):
        connection.execute("DELETE FROM outcomes WHERE id IN (SELECT value FROM json_each(?))", (chunk,))
