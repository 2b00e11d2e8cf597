"""The way to the ledger's file. Trouble with it never reaches who asked: it is noted, and the ledger is left alone."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pytest_llmops.ledger.database import Database, Trouble, trouble_of
from pytest_llmops.ledger.owner import Owner

T = TypeVar("T")

_GIVEN_UP = "this session neither reuses nor keeps results from here on"


class Access:
    """Opens the ledger when it is first needed, and gives it up for good at the first trouble.

    ``patience`` is how many seconds another process is waited for.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self.file = folder / "ledger.db"
        self.owner = Owner(folder / "owners")
        self._patience = patience
        self._database: Database | None = None
        self._given_up = False
        self._lock = threading.Lock()
        self._troubles: dict[str, str] = {}

    @property
    def troubles(self) -> Sequence[str]:
        """One line for each kind of trouble that was met."""
        return tuple(self._troubles.values())

    @property
    def usable(self) -> bool:
        """False once the ledger was given up or closed."""
        return not self._given_up

    def attempt(self, action: Callable[[Database], T], otherwise: T) -> T:
        """Do something with the ledger, and return what it gives; or else ``otherwise``."""
        try:
            database = self._open()
            return otherwise if database is None else action(database)
        except (sqlite3.Error, OSError, Trouble) as problem:
            if self.usable:  # not one that closing caused
                trouble = trouble_of(problem)
                self.note(trouble.kind, f"{trouble.what}; {_GIVEN_UP}; {trouble.todo}")
            self.close()
            return otherwise

    def note(self, kind: str, text: str) -> None:
        """Note a trouble, the first of its kind only."""
        self._troubles.setdefault(kind, f"ledger {_shown(self.file)}: {text}")

    def note_damage(self) -> None:
        """Note that an entry is not what was written. It counts as absent."""
        self.note("entry", "some entries are damaged and are not used; delete its folder if that happens again")

    def close(self) -> None:
        """Leave the ledger alone from now on. What this process had claimed is free for others."""
        self._given_up = True
        with self._lock:
            database, self._database = self._database, None
        if database is not None:
            database.close()
        self.owner.release()

    def _open(self) -> Database | None:
        with self._lock:
            if self._database is None and not self._given_up:
                self._database = Database(self.file, self._patience)
            return self._database


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else Path(relative).as_posix()
