"""Claims: which lines and runs somebody is executing right now, so that nobody else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pytest_llmops.ledger.database import in_chunks
from pytest_llmops.ledger.owner import Owner


@dataclass(frozen=True, slots=True)
class Claimed:
    """Result of a claim: keys that are the claimant's now, and the living owners of the others."""

    mine: Collection[str]
    others: Collection[str]


def claim(connection: sqlite3.Connection, keys: Sequence[str], owner: Owner, journal: int) -> Claimed:
    """Claim what nobody alive has claimed. Needs a transaction that writes."""
    taken, dead, others = set(), set(), set()
    for key, holder, by in _claims(connection, keys):
        if (holder, by) == (owner.id, journal) or holder in dead:
            continue
        if holder in others or owner.is_alive(holder):
            others.add(holder)
            taken.add(key)
        else:
            dead.add(holder)
    for holder in dead:
        connection.execute("DELETE FROM claims WHERE owner = ?", (holder,))
        owner.bury(holder)
    mine = [key for key in keys if key not in taken]
    if mine:
        owner.appear()
        rows = ((key, owner.id, journal) for key in mine)
        connection.executemany("INSERT OR REPLACE INTO claims (key, owner, journal) VALUES (?, ?, ?)", rows)
    return Claimed(mine, others)


def release(connection: sqlite3.Connection, keys: Iterable[str], owner: Owner, journal: int) -> None:
    """Give up claims of one's own."""
    statement = "DELETE FROM claims WHERE key = ? AND owner = ? AND journal = ?"
    connection.executemany(statement, ((key, owner.id, journal) for key in keys))


def release_others(connection: sqlite3.Connection, owner: Owner, journal: int, keep: str) -> None:
    """Give up all claims of a journal but one. An empty ``keep`` is the key of nothing."""
    connection.execute("DELETE FROM claims WHERE owner = ? AND journal = ? AND key <> ?", (owner.id, journal, keep))


def _claims(connection: sqlite3.Connection, keys: Sequence[str]) -> Iterable[tuple[str, str, int]]:
    query = "SELECT key, owner, journal FROM claims WHERE key IN (SELECT value FROM json_each(?))"
    for chunk in in_chunks(keys):
        yield from connection.execute(query, (chunk,)).fetchall()
