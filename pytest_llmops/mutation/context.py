"""What a flow is given, cut to its first half: as if a context window were too small, or retrieval had found less."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")

_NUMBER = re.compile(r"\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?\s*")
_DATA = re.compile(r"\$\{data\.([^{}]+)\}")


def first_half(value: Any) -> Any:
    """Cut a text to the first half of its words, one word to half its characters, a list to half its items.

    Of a list of one item, that item is cut. All else stays as it is, numbers that are written as text too.
    """
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return value
        words = value.split()
        return " ".join(words[: len(words) // 2]) if len(words) > 1 else value[: len(value) // 2]
    if isinstance(value, list):
        return value[: len(value) // 2] if len(value) > 1 else [first_half(item) for item in value]
    return value


def data_columns(mappings: Mapping[str, Any], inputs: Collection[str], columns: Collection[str]) -> dict[str, str]:
    """Tell the column of the data that each input of a flow reads: by its mapping, or without one by its own name."""
    mapped = {name: match[1] for name, value in mappings.items() if (match := _DATA.fullmatch(str(value)))}
    unmapped = {name: name for name in inputs if name not in mappings and name in columns}
    return {name: column for name, column in {**mapped, **unmapped}.items() if column in columns}


def add_halves(text: str, suffix: str, columns: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """Add to a data file, for each column, one with its first half, under the name that ``columns`` says.

    The columns themselves stay: evaluators may read them. Returns the new text and those columns in which any row was
    cut.
    """
    rows = _read(text, suffix)
    cut = frozenset(name for name in columns if any(first_half(row.get(name)) != row.get(name) for row in rows))
    halves = [{columns[name]: first_half(row[name]) for name in columns if name in row} for row in rows]
    return _write([{**row, **half} for row, half in zip(rows, halves, strict=True)], suffix), cut


def _read(text: str, suffix: str) -> list[dict[str, Any]]:
    if suffix in (".csv", ".tsv"):
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="," if suffix == ".csv" else "\t"))
    if suffix == ".json":
        return list(json.loads(text))
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _write(rows: Sequence[Mapping[str, Any]], suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(rows, ensure_ascii=False)
    if suffix == ".jsonl":
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    out = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, names, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
