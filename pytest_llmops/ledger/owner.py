"""Who executes what: a process that holds a lock for as long as it lives, so that what it claimed dies with it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from filelock import BaseFileLock


class Owner:
    """This process, as one that can claim things. ``folder`` holds a lock file for each owner."""

    def __init__(self, folder: Path) -> None:
        self.id = uuid4().hex
        self._folder = folder
        self._guard = threading.Lock()
        self._held: BaseFileLock | None = None

    def appear(self) -> None:
        """Show to others that this owner lives, from now until it is released, or its process dies.

        Raises:
            OSError: where the lock can't be taken.
        """
        with self._guard:
            if self._held is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                lock = _lock(self._folder, self.id)
                lock.acquire(timeout=0)
                self._held = lock

    def release(self) -> None:
        """Let others have what this owner claimed."""
        with self._guard:
            if self._held is not None:
                self._held.release(force=True)
                self._held = None
                self.bury(self.id)

    def is_alive(self, other: str) -> bool:
        """Tell whether an owner lives."""
        from filelock import Timeout

        if other == self.id:
            return True
        lock = _lock(self._folder, other)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release(force=True)
        return False

    def bury(self, other: str) -> None:
        """Remove the lock file of an owner that is dead. Its name is never used again."""
        with contextlib.suppress(OSError):
            _path(self._folder, other).unlink(missing_ok=True)


def _lock(folder: Path, owner: str) -> BaseFileLock:
    from filelock import FileLock

    # Threads share what their process holds.
    return FileLock(_path(folder, owner), thread_local=False)


def _path(folder: Path, owner: str) -> Path:
    return folder / f"{owner}.lock"
