"""Reads datasets with the standard library alone: JSON Lines, JSON, CSV and TSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_llmops.engines.function.mapping import Rows
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import RunRequest

Record = dict[str, Any]


def sources_of(request: RunRequest) -> dict[str, Rows]:
    """Return the rows that a run's column mapping may refer to, by the name of their source.

    Raises:
        RunError: where there are none, or they can't be read.
    """
    given = {"data": request.data, "run.outputs": request.run_outputs, "run.inputs": request.run_inputs}
    sources = {name: source for name, source in given.items() if source is not None}
    if not sources:
        raise RunError("the run has no data")
    return {
        name: (read_rows(source) if isinstance(source, Path) else source)[: request.max_rows]
        for name, source in sources.items()
    }


def read_rows(path: Path) -> list[Record]:
    """Read the rows of a file, or of all files below a folder, in order of their names.

    Values of CSV and TSV are strings, an empty one included, as prompt flow reads them.

    Raises:
        RunError: naming file and line, for what can't be read.
    """
    if path.is_dir():
        return [row for file in sorted(path.rglob("*")) if file.is_file() for row in read_rows(file)]
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise RunError(f"{path.name}: can't read {path.suffix or 'this'} files; use {', '.join(_READERS)}")
    try:
        return list(reader(path))
    except OSError as problem:
        raise RunError(f"{path.name}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise RunError(f"{path.name}: not UTF-8 ({problem.reason} at byte {problem.start})") from problem


def _read_jsonl(path: Path) -> Iterator[Record]:
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            yield _record(_parse(line, path, number), path, number)


def _read_json(path: Path) -> Iterator[Record]:
    rows = _parse(path.read_text(encoding="utf-8"), path, 1)
    if not isinstance(rows, list):
        raise RunError(f"{path.name}: not a list of objects")
    yield from (_record(row, path, number) for number, row in enumerate(rows, start=1))


def _read_table(delimiter: str) -> Callable[[Path], Iterator[Record]]:
    def read(path: Path) -> Iterator[Record]:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, restval="")
            for row in reader:
                if None in row:
                    raise RunError(f"{path.name}:{reader.line_num}: more values than the header has columns")
                yield dict(row)

    return read


def _parse(text: str, path: Path, line: int) -> Any:
    if text.startswith("\ufeff"):
        raise RunError(f"{path.name}:{line}: starts with a byte order mark; save the file as UTF-8 without it")
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        place = line + problem.lineno - 1
        raise RunError(f"{path.name}:{place}: not valid JSON: {problem.msg} at column {problem.colno}") from problem


def _record(row: Any, path: Path, number: int) -> Record:
    if not isinstance(row, dict):
        raise RunError(f"{path.name}:{number}: not a JSON object")
    return row


_READERS = {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_table(","), ".tsv": _read_table("\t")}
