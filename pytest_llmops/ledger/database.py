"""The SQLite file of the ledger: its tables, its transactions, and what is wrong with it in words for the user."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 1
_CHUNK = 1000
_TABLES = """
CREATE TABLE contexts (
    key TEXT PRIMARY KEY, label TEXT NOT NULL, used REAL NOT NULL, ingredients TEXT NOT NULL, checksum TEXT NOT NULL
);
CREATE TABLE reads (id TEXT PRIMARY KEY, parent TEXT, found TEXT NOT NULL, checksum TEXT NOT NULL);
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, reads TEXT NOT NULL, by_itself INTEGER NOT NULL,
    recorded REAL NOT NULL, used REAL NOT NULL, content TEXT NOT NULL, checksum TEXT NOT NULL, UNIQUE (key, reads)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, context TEXT NOT NULL, reads TEXT NOT NULL,
    recorded REAL NOT NULL, oldest REAL NOT NULL, used REAL NOT NULL, feed TEXT NOT NULL, content TEXT NOT NULL,
    checksum TEXT NOT NULL, UNIQUE (key, reads)
);
CREATE INDEX runs_of_context ON runs (context);
CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, journal INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Trouble(Exception):
    """Why the ledger can't be used: the kind of trouble, what it is, and what to do about it."""

    kind: str
    what: str
    todo: str


class Database:
    """One connection, shared by the threads of this process, which take turns.

    ``patience`` is in seconds: how long another process is waited for.

    Raises:
        Trouble: where the file is of a newer version, or no ledger.
        OSError, sqlite3.Error: where it can't be opened; ``trouble_of`` puts them into words.
    """

    def __init__(self, file: Path, patience: float) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(file, timeout=patience, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA synchronous = NORMAL")
            if self._version() == 0:
                self._create(file, patience)
            if self._version() > VERSION:
                what = f"written by a newer version of pytest-llmops (format {self._version()}, known here: {VERSION})"
                raise Trouble("newer", what, "upgrade pytest-llmops, or give another folder with --llmops-ledger")
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one state of the ledger throughout."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the ledger against all other writers. What is done is committed at the end, or undone."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def state(self) -> tuple[int, int]:
        """Return what changes whenever anybody commits a change."""
        with self._lock:
            (foreign,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(foreign), self._connection.total_changes

    def shrink(self) -> None:
        """Give the space of what was deleted back to the disk."""
        with self._lock:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute(begin)
            with self._connection:
                yield self._connection

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _create(self, file: Path, patience: float) -> None:
        from filelock import FileLock

        ignore = file.with_name(".gitignore")
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        # SQLite does not wait for its turn to switch to WAL, so processes that start at once queue up here.
        with FileLock(file.with_name("create.lock"), timeout=patience):
            if self._version() != 0:
                return
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:
                raise Trouble("foreign", "it is another program's database", "give another folder with --llmops-ledger")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")


def trouble_of(problem: Exception) -> Trouble:
    """Put what went wrong with the ledger's file into words."""
    if isinstance(problem, Trouble):
        return problem
    text = str(problem)
    for sign, kind, what, todo in _TROUBLES:
        if sign in text:
            return Trouble(kind, what, todo)
    return Trouble("other", f"can't be used ({text})", "give another folder with --llmops-ledger")


_ELSEWHERE = "give a folder that can be written with --llmops-ledger"
_DAMAGED = ("damaged", "it is damaged", "delete its folder")
_TROUBLES = (
    ("locked", "locked", "another process holds it locked", "end that process, or delete the ledger's folder"),
    ("file lock", "locked", "another process holds it locked", "end that process, or delete the ledger's folder"),
    ("not a database", *_DAMAGED),
    ("malformed", *_DAMAGED),
    ("no such table", *_DAMAGED),
    ("no such column", *_DAMAGED),
    ("disk is full", "full", "the disk is full", "make room, for example with 'llmops ledger prune'"),
    ("No space left", "full", "the disk is full", "make room, for example with 'llmops ledger prune'"),
    ("readonly", "read-only", "it can't be opened for writing", _ELSEWHERE),
    ("Read-only", "read-only", "it can't be opened for writing", _ELSEWHERE),
    ("Permission denied", "read-only", "it can't be opened for writing", _ELSEWHERE),
    ("unable to open", "read-only", "it can't be opened for writing", _ELSEWHERE),
    ("File exists", "read-only", "its folder can't be made, because a file has that name", _ELSEWHERE),
    ("Not a directory", "read-only", "its folder can't be made, because a file has that name", _ELSEWHERE),
)


def in_chunks(keys: Sequence[Any]) -> Iterator[str]:
    """Yield keys as JSON arrays, for ``IN (SELECT value FROM json_each(?))``; any number of them in few queries."""
    for start in range(0, len(keys), _CHUNK):
        yield json.dumps(keys[start : start + _CHUNK])
