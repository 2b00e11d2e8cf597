"""Two reports side by side, as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import RUN, RUN_DURATIONS
from pytest_llmops.reports.text import markdown_cell, one_line, plain
from pytest_llmops.reports.verdicts import figure, interval_text
from pytest_llmops.stats.comparing import CellComparison, MetricComparison, ReportComparison, RowChange

SCHEMA_VERSION = 1
_SHOWN_ROWS = 10
_SHOWN_LABELS = 10
_LABEL = 60
_OUTPUT = 100
_LIMIT = 2000
_SECONDS = {f"{RUN}.{metric}" for metric in RUN_DURATIONS}


def text_lines(comparison: ReportComparison) -> Iterator[str]:
    """Write a comparison for the terminal."""
    for cell in comparison.cells:
        yield one_line(_title(cell), _LIMIT)
        yield from (f"  {one_line(line, _LIMIT)}" for line in _head(cell))
        yield from (f"  {line}" for line in _aligned([_heads(cell), *map(_values, cell.metrics)]))
        yield from (f"  {one_line(note, _LIMIT)}" for note in _notes(cell))
        yield from _change_lines(cell.changes)
        yield ""
    yield from (one_line(line, _LIMIT) for line in _unmatched(comparison))


def markdown_lines(comparison: ReportComparison) -> Iterator[str]:
    """Write a comparison as Markdown."""
    blocks: list[str] = []
    for cell in comparison.cells:
        blocks.append(f"## {markdown_cell(_title(cell), _LIMIT)}")
        blocks.append(_list((*_head(cell), *_notes(cell))))
        blocks.append(_table([_heads(cell), *map(_values, cell.metrics)]))
        if cell.changes:
            blocks.append(f"### {_count(cell.changes)}")
            blocks.append(
                _table([("row", "scores", "inputs", "baseline", "candidate"), *map(_change, _shown(cell.changes))])
            )
            blocks.append(_more(cell.changes))
    blocks.append(_list(_unmatched(comparison)))
    yield "\n\n".join(block for block in blocks if block)


def json_lines(comparison: ReportComparison) -> Iterator[str]:
    """Write a comparison as JSON, in which no text of a model can act on an Azure DevOps agent that prints it."""
    yield json.dumps(document(comparison), indent=2, allow_nan=False).replace("#", "\\u0023")


def document(comparison: ReportComparison) -> dict[str, Any]:
    """Turn a comparison into JSON values."""
    return {"schema_version": SCHEMA_VERSION, **to_json(comparison)}


def _title(cell: CellComparison) -> str:
    before, after = cell.baseline, cell.candidate
    ids = after.id if before.id == after.id else f"{before.id} -> {after.id}"
    return f"{after.use_case} ({after.experiment}): {ids}"


def _head(cell: CellComparison) -> Iterator[str]:
    """Say what can't be compared, which rows are compared, and which are not."""
    problems: dict[str, list[str]] = {}
    for metric in cell.metrics:
        if metric.problem:
            problems.setdefault(metric.problem, []).append(metric.name)
    for problem, names in problems.items():
        which = "" if len(names) == len(cell.metrics) else f" ({', '.join(names)})"
        yield f"not comparable{which}: {problem}"
    rows = cell.rows
    same = ", with the very same outputs" if rows.same_outputs else ""
    yield f"{len(rows.pairs)} rows in common{same}"
    kinds = {"added": rows.added, "removed": rows.removed, "changed": rows.changed, "not scored": rows.unscored}
    yield from (f"{kind}: {_listed(labels)}" for kind, labels in kinds.items() if labels)


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - _SHOWN_LABELS
    shown = ", ".join(one_line(label, _LABEL) for label in labels[:_SHOWN_LABELS])
    return f"{shown} and {more} more; llmops compare --format json has all" if more > 0 else shown


def _heads(cell: CellComparison) -> tuple[str, ...]:
    levels = {metric.interval.level for metric in cell.metrics if metric.interval is not None}
    interval = "".join(f"{100 * level:g} % " for level in sorted(levels)) + "interval"
    return ("metric", "baseline", "candidate", "delta", interval, "p", "n")


def _values(metric: MetricComparison) -> tuple[str, ...]:
    unit = " s" if metric.name in _SECONDS else ""
    delta = "" if metric.delta is None else "+" * (round(metric.delta, 4) > 0) + _figure(metric.delta, unit)
    return (
        one_line(metric.name),
        _figure(metric.baseline, unit),
        _figure(metric.candidate, unit),
        delta,
        interval_text(metric.interval),
        "" if metric.p_value is None else f"{metric.p_value:.2g}",
        "" if metric.n is None else str(metric.n),
    )


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else figure(round(value, 4)) + unit


def _notes(cell: CellComparison) -> Iterator[str]:
    """Say once each how numbers were found, and what speaks against reading too much into them."""
    names: dict[str, list[str]] = {}
    for metric in cell.metrics:
        interval = f"interval: {metric.interval.method}" if metric.interval else ""
        test = f"p: {metric.test}, two-sided" if metric.test else ""
        for note in filter(None, (metric.note, "; ".join(filter(None, (interval, test))))):
            names.setdefault(note, []).append(metric.name)
    yield from (f"{', '.join(found)}: {note}" for note, found in names.items())


def _change_lines(changes: Sequence[RowChange]) -> Iterator[str]:
    if changes:
        yield f"  {_count(changes)}:"
    for change in _shown(changes):
        label, scores, inputs, before, after = _change(change)
        yield f"    {one_line(label)}: {scores}"
        yield f"      inputs:    {inputs}"
        yield f"      baseline:  {before}"
        yield f"      candidate: {after}"
    if more := _more(changes):
        yield f"    {more}"


def _change(change: RowChange) -> tuple[str, str, str, str, str]:
    scores = (f"{name} {figure(before)} -> {figure(after)}" for name, (before, after) in change.scores.items())
    values = (change.inputs, change.baseline, change.candidate)
    inputs, before, after = (one_line(plain(value), _OUTPUT) for value in values)
    return change.label, one_line(", ".join(scores)), inputs, before, after


def _shown(changes: Sequence[RowChange]) -> Sequence[RowChange]:
    return changes[:_SHOWN_ROWS]


def _count(changes: Sequence[RowChange]) -> str:
    return f"{len(changes)} row{'s' * (len(changes) != 1)} with another score"


def _more(changes: Sequence[RowChange]) -> str:
    hidden = len(changes) - _SHOWN_ROWS
    return f"and {hidden} more; llmops compare --format json has all" if hidden > 0 else ""


def _unmatched(comparison: ReportComparison) -> Iterator[str]:
    sides = {"baseline": comparison.only_baseline, "candidate": comparison.only_candidate}
    yield from (f"only in the {side}: {_listed(ids)}" for side, ids in sides.items() if ids)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown_cell(line, _LIMIT)}" for line in lines)


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Line columns up, the first to the left; those that are empty but for their heading are left out."""
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    for cells in zip(*columns, strict=True):
        first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join((first.strip().ljust(widths[0]), *others)).rstrip()


def _table(lines: Sequence[Sequence[str]]) -> str:
    heads, *others = lines
    shown = ([markdown_cell(cell) for cell in line] for line in (heads, *others))
    first, *rest = (f"| {' | '.join(line)} |" for line in shown)
    return "\n".join((first, "|" + " --- |" * len(heads), *rest))
