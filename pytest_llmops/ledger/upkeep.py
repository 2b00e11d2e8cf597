"""How much the ledger holds, and how it gets rid of it."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.ledger.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a ledger holds. ``size`` is in bytes; ``oldest`` and ``newest`` are Unix times of outcomes."""

    runs: int = 0
    outcomes: int = 0
    flows: tuple[str, ...] = ()
    size: int = 0
    oldest: float | None = None
    newest: float | None = None


def info(database: Database, file: Path) -> Info:
    """Count what is there."""
    with database.reading() as connection:
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        outcomes, oldest, newest = connection.execute(
            "SELECT count(*), min(recorded), max(recorded) FROM outcomes"
        ).fetchone()
        flows = connection.execute("SELECT DISTINCT label FROM contexts ORDER BY label").fetchall()
    return Info(
        runs=runs,
        outcomes=outcomes,
        flows=tuple(label for (label,) in flows),
        size=sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*")),
        oldest=oldest,
        newest=newest,
    )


def prune(database: Database, before: float) -> int:
    """Forget what was last used before a Unix time, and all that nothing else needs then. Returns outcomes and runs."""
    with database.writing() as connection:
        count = connection.execute("DELETE FROM runs WHERE used <= ?", (before,)).rowcount
        count += connection.execute("DELETE FROM outcomes WHERE used <= ?", (before,)).rowcount
        connection.execute("DELETE FROM contexts WHERE used <= ?", (before,))
        connection.execute(_DELETE_UNNEEDED_READS)
    # The file stays as large as it is where others use it just now.
    with contextlib.suppress(sqlite3.OperationalError):
        database.shrink()
    return count


_DELETE_UNNEEDED_READS = """
WITH RECURSIVE needed (id) AS (
    SELECT reads FROM outcomes UNION SELECT reads FROM runs
    UNION SELECT reads.parent FROM reads JOIN needed ON reads.id = needed.id WHERE reads.parent IS NOT NULL
)
DELETE FROM reads WHERE id NOT IN (SELECT id FROM needed)
"""
