"""Which runs were submitted and are not over: they cost as long as nobody cancels them."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path


class Submissions:
    """Names of runs that are this process's to cancel. Safe to use from several threads.

    Where there is a ``folder``, they are noted there too, for whoever cancels what a process leaves that was killed.
    ``about`` is the text of each note.
    """

    def __init__(self, folder: Path | None = None, about: str = "") -> None:
        self._folder = folder
        self._about = about
        self._lock = threading.Lock()
        self._own: set[str] = set()

    @classmethod
    def left_in(cls, folder: Path) -> Submissions:
        """Take over all runs that are noted in a folder."""
        left = cls(folder)
        left._own.update(notes_in(folder))
        return left

    def add(self, name: str) -> None:
        """Note a run that is about to be submitted."""
        with self._lock:
            self._own.add(name)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(self._about, encoding="utf-8")

    def discard(self, name: str) -> None:
        """Forget a run that is over, whoever submitted it."""
        with self._lock:
            self._own.discard(name)
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def copy(self) -> frozenset[str]:
        """Return the names that there are now."""
        with self._lock:
            return frozenset(self._own)


def notes_in(folder: Path) -> dict[str, str]:
    """Return the names that are noted in a folder, with the text of each note."""
    if not folder.is_dir():
        return {}
    return {note.name: note.read_text(encoding="utf-8") for note in sorted(folder.iterdir())}
