"""Few-shot examples in files of a flow (JSON, JSONL, CSV, TSV), with the answers given to the wrong ones."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from pytest_llmops.mutation.prompts import rotate

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")

_ANSWERS = frozenset({"answer", "answers", "label", "labels", "output", "expected", "response", "target", "class"})
_Row = dict[str, Any]


def swap_answers(text: str, suffix: str) -> str:
    """Give each example of a file the answer of another one; a file that holds no examples stays as it is.

    The answer is the column of a usual name, such as ``label`` or ``answer``, else the one with the fewest different
    values, the last one of several.
    """
    if suffix in (".csv", ".tsv"):
        return _swap_separated(text, "," if suffix == ".csv" else "\t")
    try:
        rows = _json_lines(text) if suffix == ".jsonl" else json.loads(text)
    except ValueError:
        return text
    swapped = _swap(rows)
    if swapped is None:
        return text
    if suffix == ".jsonl":
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in swapped)
    return json.dumps(swapped, ensure_ascii=False, indent=2)


def _json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _swap_separated(text: str, separator: str) -> str:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    swapped = _swap(list(reader))
    if swapped is None:
        return text
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, swapped[0], delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(swapped)
    return out.getvalue()


def _swap(rows: object) -> list[_Row] | None:
    """Swap the answers of rows that all have the same columns; None where these are no examples."""
    if not isinstance(rows, list) or len(rows) < 2 or not all(isinstance(row, dict) for row in rows):
        return None
    if len(rows[0]) < 2 or any(row.keys() != rows[0].keys() for row in rows):
        return None
    column = _answer_column(rows)
    if column is None:
        return None
    answers = rotate([json.dumps(row[column], sort_keys=True) for row in rows])
    return [{**row, column: json.loads(answer)} for row, answer in zip(rows, answers, strict=True)]


def _answer_column(rows: Sequence[_Row]) -> str | None:
    different = {name: len({json.dumps(row[name], sort_keys=True) for row in rows}) for name in rows[0]}
    candidates = [name for name, count in different.items() if isinstance(name, str) and count > 1]
    named = [name for name in candidates if name.lower() in _ANSWERS]
    return next(iter(named), None) or min(reversed(candidates), key=lambda name: different[name], default=None)
