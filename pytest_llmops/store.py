"""Results of one session, shared by all its processes: each cell is executed once, whoever asks for it.

A folder with one file per finished cell, and one lock per cell. Where a cell is executed several times, each execution
has a file and a lock of its own beside that file. A lock belongs to the process that executes the cell; the operating
system frees it when that process dies, so a killed worker's cell is taken over, not lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_llmops.hashing import digest
from pytest_llmops.records.decoding import from_json
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.gate import CellResult


class Store:
    """The results in one folder, or in memory where there is none. Safe to use from several threads and processes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, CellResult] = {}

    def get(self, key: str) -> CellResult | None:
        """Return the finished result of a cell, if there is one."""
        if key not in self._known and self._folder is not None:
            path = _path(self._folder, key)
            if path.exists():
                text = path.read_bytes().decode("utf-8", "surrogatepass")
                self._known[key] = from_json(CellResult, json.loads(text))
        return self._known.get(key)

    def put(self, key: str, result: CellResult) -> CellResult:
        """Keep a result and return it as every other process will read it. They see all of it or nothing."""
        value = to_json(result)
        if self._folder is not None:
            path = _path(self._folder, key)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
            unfinished.replace(path)
        self._known[key] = from_json(CellResult, value)
        return self._known[key]

    @contextmanager
    def claim(self, key: str, *, wait: bool) -> Iterator[bool]:
        """Hold the right to execute a cell. Yields False, at once, where another holds it and ``wait`` is false."""
        if self._folder is None:
            yield True
            return
        from filelock import FileLock, Timeout

        lock = FileLock(_path(self._folder, key).with_suffix(".lock"))
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def _path(folder: Path, key: str) -> Path:
    return folder / f"{digest(key)}.json"
