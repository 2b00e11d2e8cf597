"""Marks in a file of the lines that are under way, so that they are known when the process that executes them dies."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

_FILE = "under-way"
_UNDER_WAY = 1


class Marks:
    """The marks of one worker, by line number. Memory that is mapped to a file outlives its process."""

    def __init__(self, folder: Path, numbers: Sequence[int]) -> None:
        path = folder / _FILE
        path.write_bytes(bytes(max(1, len(numbers))))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)
        self._positions = {number: position for position, number in enumerate(numbers)}

    def set(self, number: int) -> None:
        """Mark a line as under way."""
        self._bytes[self._positions[number]] = _UNDER_WAY

    def clear(self, number: int) -> None:
        """Mark a line as done."""
        self._bytes[self._positions[number]] = 0


def read_marks(folder: Path) -> list[int]:
    """Return the positions of the lines that were under way, none where no line was started."""
    try:
        marks = (folder / _FILE).read_bytes()
    except OSError:
        return []
    return [position for position, mark in enumerate(marks) if mark == _UNDER_WAY]
