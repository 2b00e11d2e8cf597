"""Column mapping for flows that run without prompt flow, by prompt flow's rules.

``${data.a.b}`` reads the column ``a.b`` of the source ``data``: the shortest prefix that names a source wins, and
columns are never nested. Anything else is a constant. An input that is not mapped reads the column of its name, unless
it has a default, which then wins over the data. Sources are joined on ``line_number`` where any of their rows has one,
on position otherwise; only lines that all sources have are kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pytest_llmops.errors import RunError

LINE_NUMBER = "line_number"
_REFERENCE = re.compile(r"^\${([^{}]+)}$")

Rows = Sequence[Mapping[str, Any]]


def map_columns(
    sources: Mapping[str, Rows], mapping: Mapping[str, Any], *, required: Collection[str]
) -> list[tuple[int, dict[str, Any]]]:
    """Return number and inputs of every line. ``required`` are the inputs that have no default.

    Raises:
        RunError: when the sources don't fit together, or a mapping reads what is not there.
    """
    complete = {**{name: f"${{data.{name}}}" for name in required}, **mapping}
    complete.pop(LINE_NUMBER, None)
    return [(number, _inputs(line, complete)) for number, line in _join(sources).items()]


def _join(sources: Mapping[str, Rows]) -> dict[int, dict[str, Mapping[str, Any]]]:
    """Return the rows of all sources by line number, for the lines that every source has."""
    for name, rows in sources.items():
        if not rows:
            raise RunError(f"the source '{name}' has no rows")
    lengths = {name: len(rows) for name, rows in sources.items() if not _is_numbered(rows)}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise RunError(f"the sources differ in their number of rows ({found}) and have no column '{LINE_NUMBER}'")
    lines: dict[int, dict[str, Mapping[str, Any]]] = {}
    for name, rows in sources.items():
        for number, row in zip(line_numbers(name, rows), rows, strict=True):
            lines.setdefault(number, {})[name] = row
    complete = {number: line for number, line in lines.items() if len(line) == len(sources)}
    if not complete:
        raise RunError(f"no line is in all of the sources {', '.join(sources)}")
    return complete


def line_numbers(source: str, rows: Rows) -> list[int]:
    """Return the line number of each row: its column of that name where any row has one, else its position.

    Raises:
        RunError: when a number is missing, is not whole, or comes twice.
    """
    if not _is_numbered(rows):
        return list(range(len(rows)))
    numbers = [_line_number(source, position, row) for position, row in enumerate(rows)]
    twice = {number for number in numbers if numbers.count(number) > 1} if len(set(numbers)) < len(numbers) else ()
    if twice:
        raise RunError(f"the source '{source}' has {LINE_NUMBER} {min(twice)} more than once")
    return numbers


def _is_numbered(rows: Rows) -> bool:
    return any(LINE_NUMBER in row for row in rows)


def _line_number(source: str, position: int, row: Mapping[str, Any]) -> int:
    value = row.get(LINE_NUMBER)
    try:
        number = int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is not None and (number == value or isinstance(value, str)):
        return number
    raise RunError(f"row {position + 1} of the source '{source}' has {LINE_NUMBER} {value!r}, not a whole number")


def _inputs(line: Mapping[str, Mapping[str, Any]], mapping: Mapping[str, Any]) -> dict[str, Any]:
    inputs, missing = {}, []
    for name, value in mapping.items():
        reference = _REFERENCE.match(value) if isinstance(value, str) else None
        if reference is None:
            inputs[name] = value
            continue
        found, column = _look_up(reference[1], line)
        if found:
            inputs[name] = column
        else:
            missing.append(value)
    if missing:
        raise RunError(f"the column mapping reads what the data does not have: {', '.join(missing)}")
    return inputs


def _look_up(path: str, line: Mapping[str, Mapping[str, Any]]) -> tuple[bool, Any]:
    parts = path.split(".")
    for cut in range(1, len(parts)):
        source, column = ".".join(parts[:cut]), ".".join(parts[cut:])
        if source in line and column in line[source]:
            return True, line[source][column]
    return False, None
