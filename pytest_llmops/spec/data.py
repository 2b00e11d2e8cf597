"""What local data files hold: columns, number of rows, and the values of key columns. Standard library only."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops.errors import Problem
from pytest_llmops.spec.findings import Findings

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that lack a column: how many, and the first of them (from 1)."""

    rows: int
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A data file. ``gaps`` are the columns that not every row has, ``kept`` the values of the columns asked for."""

    file: str
    rows: int
    columns: tuple[str, ...]
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    kept: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def read_table(path: Path, file: str, findings: Findings, *, keep: Collection[str] = ()) -> Table | None:
    """Read a CSV, TSV, JSON or JSONL file; None where it is of another kind or can't be read, which is reported.

    A file of an unknown kind is read as JSONL, as prompt flow does. ``file`` is the name to show.
    """
    if path.is_dir() or path.name.endswith(".parquet"):
        return None
    try:
        return _tabulate(file, _rows(path), keep)
    except UnicodeDecodeError:
        findings.error(Problem(file, 0, "", "is not UTF-8 text", "save it as UTF-8"))
    except _BadRow as bad:
        findings.error(Problem(file, bad.line, "", bad.what, bad.todo))
    return None


class _BadRow(Exception):
    def __init__(self, line: int, what: str, todo: str) -> None:
        super().__init__(what)
        self.line, self.what, self.todo = line, what, todo


def _rows(path: Path) -> Iterable[Row]:
    if path.name.endswith((".csv", ".tsv")):
        return _separated(path, "," if path.name.endswith(".csv") else "\t")
    return _json_array(path) if path.name.endswith(".json") else _json_lines(path)


def _tabulate(file: str, rows: Iterable[Row], keep: Collection[str]) -> Table:
    counts: dict[str, int] = {}
    first_gaps: dict[str, int] = {}
    kept: dict[str, list[Any]] = {name: [] for name in keep}
    number = 0
    for number, row in enumerate(rows, start=1):
        for name in row:
            if name not in counts and number > 1:
                first_gaps[name] = 1
            counts[name] = counts.get(name, 0) + 1
        for name in counts.keys() - row.keys():
            first_gaps.setdefault(name, number)
        for name, values in kept.items():
            values.append(row.get(name))
    gaps = {name: Gap(number - counts[name], first) for name, first in first_gaps.items()}
    present = {name: tuple(values) for name, values in kept.items() if name in counts}
    return Table(file=file, rows=number, columns=tuple(counts), gaps=gaps, kept=present)


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1 and line.startswith("\ufeff"):
                raise _BadRow(1, "starts with a byte order mark, which prompt flow can't read", "save it without one")
            if line.strip():
                yield _object(_parse(line, number), number)


def _json_array(path: Path) -> Iterator[Row]:
    content = _parse(path.read_text(encoding="utf-8"), 0) if path.stat().st_size else []
    if not isinstance(content, list):
        raise _BadRow(1, "is not a list of rows", "write [{...}, {...}], or one row per line in a .jsonl file")
    for row in content:
        yield _object(row, 1)


def _parse(text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg} at column {error.colno}"
        raise _BadRow(line or error.lineno, what, "correct this line") from None
    except RecursionError:
        raise _BadRow(line or 1, "not valid JSON: nested too deeply", "correct this line") from None
    except ValueError as error:
        # Numbers of thousands of digits, which Python refuses.
        raise _BadRow(line or 1, f"not valid JSON: {error}", "correct this line") from None


def _object(row: Any, line: int) -> Row:
    if not isinstance(row, dict):
        raise _BadRow(line, f"a row is {json.dumps(row)[:40]}, not an object", 'write {"column": value, ...}')
    return row


def _separated(path: Path, separator: str) -> Iterator[Row]:
    # utf-8-sig: unlike for JSONL, pandas accepts a byte order mark here.
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, delimiter=separator)
        try:
            header = next((fields for fields in reader if fields), [])
            for fields in reader:
                if len(fields) > len(header):
                    what = f"has {len(fields)} fields, but the header has {len(header)}"
                    raise _BadRow(reader.line_num, what, "quote fields that hold the separator")
                if fields:
                    yield dict(zip(header, fields, strict=False))
        except csv.Error as error:
            raise _BadRow(reader.line_num, f"not valid CSV: {error}", "correct this line") from None
