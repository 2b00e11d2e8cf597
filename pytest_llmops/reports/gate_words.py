"""A checked decision in words that a release step may print: names, numbers and rules, no text of a model."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.reports.gate import GateFile, Line
from pytest_llmops.reports.gate_check import GateCheck
from pytest_llmops.reports.text import one_line
from pytest_llmops.reports.verdicts import closed_by, counts_text, figure

_SHOWN = 50
_LONG = 400
_NUMBERS = 1000
"""Characters of a summary: it is shown beside the question whether to deploy."""


def gate_lines(check: GateCheck) -> Iterator[str]:
    """Yield what an open gate rests on, or what closed it, and last the decision with its reason."""
    yield from check.problems[1:]
    if check.file is not None:
        lines = [*map(line_text, check.file.closing), *(one_line(reason, _LONG) for reason in check.file.obstacles)]
        yield from lines[:_SHOWN]
        if len(lines) > _SHOWN:
            yield f"and {len(lines) - _SHOWN} more: see summary.md"
        yield one_line(_basis(check.file), _LONG)
    yield f"gate: {check.state}: {why(check)}"


def gate_summary(check: GateCheck) -> str:
    """Say the decision and its numbers in one line, for a person who is asked whether to go on."""
    parts = [f"gate {check.state}: {why(check)}"]
    if check.file is not None:
        shown = (*check.file.closing, *(line for line in check.file.gates if line.rule and not line.closes))
        parts += [one_line(_basis(check.file), _LONG), *map(line_text, shown)]
    return one_line("; ".join(parts), _NUMBERS)


def why(check: GateCheck) -> str:
    """Say in one line what closed the gate, or how many gates it is open by."""
    if check.file is None or check.problems:
        first, *others = check.problems or ("nothing was decided",)
        return first + f" (and {len(others)} more)" * bool(others)
    file = check.file
    if check.is_open:
        counts = counts_text((line.verdict, line.closes) for line in file.gates)
        return f"{_count(len(file.gates), 'gate')}, {counts}"
    if not file.closing:
        first, *others = file.obstacles or ("no reason was given",)
        return one_line(first, _LONG) + f" (and {len(others)} more)" * bool(others)
    return closed_by([line.verdict for line in file.closing], len(file.gates))


def line_text(line: Line) -> str:
    """Write a gate as ``FAIL f1[a-b-c]: 0.5, required >= 0.8 (n = 40)``."""
    value = figure(line.value, line.rule) or ("no value" if line.rule else "")
    said = ", ".join(filter(None, (value, f"required {line.rule}" if line.rule else "")))
    rows = "" if line.n is None else f" (n = {line.n})"
    return one_line(f"{line.verdict} {line.item}{f': {said}' if said else ''}{rows}", _LONG)


def _basis(file: GateFile) -> str:
    """Say what the decision is of, and by which settings."""
    files = len({line.experiment for line in file.gates})
    settings = "".join(f", {name} {value}" for name, value in file.settings.items())
    reused = f", {file.recorded.rows} of {file.recorded.of} rows reused" if file.recorded else ""
    return f"decided: {file.created}, {_count(files, 'experiment')}{settings}{reused}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
