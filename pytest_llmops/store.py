"""Results of one session, shared by all its processes: each cell is executed once, whoever asks for it.

A folder with one file per finished cell, and one lock per cell. The lock belongs to the process that executes the
cell; the operating system frees it when that process dies, so a killed worker's cell is taken over, not lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_llmops.hashing import digest
from pytest_llmops.records.decoding import from_json
from pytest_llmops.records.encoding import dumps
from pytest_llmops.records.gate import CellResult


class Store:
    """The results in one folder. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, CellResult] = {}

    def get(self, key: str) -> CellResult | None:
        """Return the finished result of a cell, if there is one."""
        path = self._path(key)
        if key not in self._known and path.exists():
            self._known[key] = _decode(path.read_bytes().decode("utf-8", "surrogatepass"))
        return self._known.get(key)

    def put(self, key: str, result: CellResult) -> CellResult:
        """Keep a result and return it as every other process will read it. They see all of it or nothing."""
        text = dumps(result)
        unfinished = self._path(key).with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(text.encode("utf-8", "surrogatepass"))
        unfinished.replace(self._path(key))
        self._known[key] = _decode(text)
        return self._known[key]

    @contextmanager
    def claim(self, key: str, *, wait: bool) -> Iterator[bool]:
        """Hold the right to execute a cell. Yields False, at once, where another holds it and ``wait`` is false."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._path(key).with_suffix(".lock"))
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _path(self, key: str) -> Path:
        return self._folder / f"{digest(key)}.json"


def _decode(text: str) -> CellResult:
    return from_json(CellResult, json.loads(text))
