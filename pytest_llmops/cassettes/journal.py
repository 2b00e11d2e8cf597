"""The journal: answers that are paid for and not yet in the cassette, safe from killed processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pytest_llmops.errors import LLMOpsError

_FOLDER = ".recording"
_LOCK_TIMEOUT = 60.0
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, recording TEXT NOT NULL, entry TEXT NOT NULL, merged INTEGER NOT NULL DEFAULT 0
)
"""


class Journal:
    """A SQLite file in a hidden folder beside the cassette, which version control is told to ignore.

    SQLite brings what a journal of several writers needs: a lock that ends with its process, commits that are whole or
    absent, and recovery by the next process that opens the file.
    """

    def __init__(self, cassette: Path) -> None:
        self._file = cassette.parent / _FOLDER / f"{cassette.name}.sqlite3"

    def exists(self) -> bool:
        """Tell whether anything was ever recorded here."""
        return self._file.exists()

    def scratch(self) -> Path:
        """Return a path in the journal's folder for a file that is being written by the holder of the journal."""
        return self._file.with_suffix(".tmp")

    @contextmanager
    def exclusive(self) -> Iterator[JournalRows]:
        """Hold the journal against all other processes. What is done to it is committed at the end, or undone."""
        try:
            self._make_folder()
            with closing(sqlite3.connect(self._file, timeout=_LOCK_TIMEOUT, isolation_level=None)) as connection:
                # A commit waits for the kernel, not for the disk: it outlives its process, which is what gets killed.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                with connection:
                    yield JournalRows(connection)
        except (OSError, sqlite3.Error) as error:
            raise LLMOpsError(f"{self._file}: the journal of the recording can't be used: {error}") from error

    def _make_folder(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        ignore = self._file.with_name(".gitignore")
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


class JournalRows:
    """The journal's content, while it is held. ``entry`` is an entry's JSON text throughout."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, key: str, recording: str | None) -> str | None:
        """Return the entry of a key, from one recording or (None) from any."""
        query = "SELECT entry FROM answers WHERE key = ? AND recording = coalesce(?, recording)"
        row = self._connection.execute(query, (key, recording)).fetchone()
        return None if row is None else str(row[0])

    def add(self, key: str, recording: str, entry: str) -> None:
        """Add an entry, in place of one that another recording may have added under the same key."""
        self._connection.execute(
            "INSERT OR REPLACE INTO answers (key, recording, entry) VALUES (?, ?, ?)", (key, recording, entry)
        )

    def unmerged(self) -> list[tuple[str, str]]:
        """Return the keys and entries that the cassette does not have yet."""
        return self._connection.execute("SELECT key, entry FROM answers WHERE NOT merged").fetchall()

    def settle(self, keep: str) -> None:
        """Mark all entries as merged, and drop them, but for those of the recording ``keep``."""
        self._connection.execute("UPDATE answers SET merged = 1")
        self._connection.execute("DELETE FROM answers WHERE recording != ?", (keep,))
