"""What a run is fed with: digests of its data, mapping and parent, and the keys of its lines."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.ledger.exact import digest, exact
from pytest_llmops.ledger.files import FileDigests, check_readable, files_below
from pytest_llmops.records.run import Line, RunRequest

Source = Path | Sequence[Mapping[str, Any]] | None

_LISTED_ROWS = 10_000
_LISTED_FORMATS = (".jsonl", ".csv", ".tsv")
_IMAGE_PATH = re.compile(r"data:.*;path")


def feed_of(request: RunRequest, files: FileDigests) -> dict[str, Any]:
    """Return what a run is fed with, as JSON: two runs of one context with the same feed have the same result.

    Raises:
        OSError: where the data can't be read.
        TypeError: for rows or a mapping that JSON can't express.
    """
    return {
        "data": _source(request.data, files),
        "outputs": _source(request.run_outputs, files),
        "inputs": _source(request.run_inputs, files),
        "mapping": {name: digest(exact(value)) for name, value in request.column_mapping.items()},
        "max_rows": request.max_rows,
        "repeat": request.repeat,
    }


def run_key(context: str, feed: Mapping[str, Any]) -> str:
    """Return the key of a run, given that of its context."""
    return digest("run", context, exact(feed))


def row_digests(source: Source) -> list[str] | None:
    """Return a short digest of each row of a dataset, as it is written; None where that can't be told cheaply."""
    if source is None:
        return None
    if not isinstance(source, Path):
        return [_short(exact(row).encode()) for row in source] if len(source) <= _LISTED_ROWS else None
    if source.suffix.lower() not in _LISTED_FORMATS or not source.is_file():
        return None
    lines = [line.strip() for line in source.read_bytes().splitlines()]
    return [_short(line) for line in lines if line] if len(lines) <= _LISTED_ROWS else None


class LineKeys:
    """Keys of a run's lines. They don't depend on line numbers, so a line that moves keeps its outcome.

    Identical lines are different samples of what the flow may answer: the first, second and so on have keys of their
    own.
    """

    def __init__(self, context: str, request: RunRequest) -> None:
        self._prefix = digest("line", context, str(request.repeat))
        self._folder = request.flow.folder
        self._seen: Counter[str] = Counter()
        self._keys: dict[int, str | None] = {}

    def add(self, lines: Sequence[Line]) -> None:
        """Give keys to lines that have none yet. The first call should have all lines of the run."""
        for number, inputs in lines:
            if number not in self._keys:
                self._keys[number] = self._make(inputs)

    def __getitem__(self, number: int) -> str | None:
        """Return the key of a line; None where its inputs can't be expressed in JSON, so nothing can be known of it."""
        return self._keys[number]

    def _make(self, inputs: Mapping[str, Any]) -> str | None:
        try:
            text = exact(_portable(inputs, self._folder))
        except (TypeError, ValueError, RecursionError):
            return None
        first = digest(self._prefix, text)
        self._seen[first] += 1
        return first if self._seen[first] == 1 else digest(first, str(self._seen[first]))


def _portable(value: Any, folder: Path) -> Any:
    """Make paths of images relative: prompt flow puts the place of the checkout into them."""
    if isinstance(value, Mapping):
        return {
            key: os.path.relpath(item, folder)
            if isinstance(key, str) and isinstance(item, str) and _IMAGE_PATH.fullmatch(key)
            else _portable(item, folder)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_portable(item, folder) for item in value]
    return value


def _source(source: Source, files: FileDigests) -> Any:
    if source is None:
        return None
    if isinstance(source, Path):
        if source.is_dir():
            contents = {name: files.get(path) for name, path in files_below(source)}
            check_readable(contents)
            return contents
        return {source.suffix.lower(): files.get(str(source))}
    content = hashlib.sha256()
    for row in source:
        content.update(exact(row).encode())
        content.update(b"\n")
    return content.hexdigest()


def _short(row: bytes) -> str:
    return hashlib.sha256(row).hexdigest()[:8]
