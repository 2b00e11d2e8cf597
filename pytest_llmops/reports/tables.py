"""The tables of Microsoft's LLMOps template, as CSV and HTML: one pair per evaluator, one pair per experiment.

As in the template, ``inputs.*`` and ``outputs.*`` are those of the evaluation, ``flow_name`` is the evaluator, a
variant node is a column, and ``<experiment>_result`` and ``<experiment>_metrics`` hold all evaluators of an
experiment. The flow's own values are in ``run.inputs.*`` and ``run.outputs.*``. Rows that failed are rows too.
``reused`` is the time from which the oldest reused outcome is that a line rests on. Where rows were run more than once,
``repeat`` numbers the executions from 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Row, earliest
from pytest_llmops.reports.ages import iso_time
from pytest_llmops.reports.names import file_names
from pytest_llmops.reports.results import ordered
from pytest_llmops.reports.text import csv_cell, plain, visible
from pytest_llmops.reports.verdicts import experiments

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).with_name("templates")
_FIRST = ("flow", "dataset", "variant", "repeat", "line_number")
_GROUPS = ("inputs.", "outputs.", "run.inputs.", "run.outputs.")
_LAST = ("n", "error", "reused", "flow_name", "exp_run", "stage", "experiment_name")
_NO_ROW = Row(line_number=-1, inputs={})
_Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Lines by column name. A line without a value for a column leaves it empty."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Mapping[str, Any], ...]


def render_tables(report: Report) -> dict[str, str]:
    """Render every table. Returns text by path, relative to the folder of the reports."""
    known = experiments(report)
    folders = file_names(known)
    stage = report.settings.get("env", "")
    texts: dict[str, str] = {}
    for path, name in known.items():
        cells = [result for result in ordered(report).cells if result.cell.experiment == path]
        evaluators = sorted({evaluator for result in cells for evaluator in result.evaluations})
        files = file_names({evaluator: evaluator for evaluator in evaluators})
        everything: dict[str, list[_Line]] = {"result": [], "metrics": []}
        for evaluator in evaluators:
            lines = {"result": list(_results(cells, evaluator)), "metrics": list(_metrics(cells, evaluator))}
            for kind, those in lines.items():
                everything[kind] += ({**line, "stage": stage, "experiment_name": name} for line in those)
                texts |= _files(f"{folders[path]}/{files[evaluator]}_{kind}", f"{name}: {evaluator} {kind}", those)
        for kind, those in everything.items():
            texts |= _files(f"{folders[path]}_{kind}", f"{name}: {kind}", those) if those else {}
    return texts


def to_csv(table: Table) -> str:
    """Write a table as CSV, comma-separated, with a heading."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([csv_cell(column) for column in table.columns])
    writer.writerows([csv_cell(line.get(column)) for column in table.columns] for line in table.lines)
    return text.getvalue()


def to_html(table: Table) -> str:
    """Write a table as a page of its own, readable offline."""
    return _page().render(
        title=visible(table.title),
        columns=[visible(column) for column in table.columns],
        lines=[[_html_cell(line.get(column)) for column in table.columns] for line in table.lines],
    )


@cache
def _page() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("table.html.jinja")


def _files(stem: str, title: str, lines: Sequence[_Line]) -> dict[str, str]:
    table = Table(title=title, columns=_columns(lines), lines=tuple(lines))
    return {f"{stem}.csv": to_csv(table), f"{stem}.html": to_html(table)}


def _results(cells: Iterable[CellResult], evaluator: str) -> Iterator[_Line]:
    """Yield one line per dataset row of each cell, or one for all of them where no row ran."""
    for result in _executions(cells):
        evaluation = result.evaluations.get(evaluator)
        if evaluation is None:
            continue
        ran = {row.line_number: row for row in result.run.rows}
        scored = {row.line_number: row for row in evaluation.result.rows}
        for number in sorted(ran | scored):
            yield _result(result, evaluation, ran.get(number, _NO_ROW), scored.get(number, _NO_ROW))
        if not ran and not scored:
            yield _result(result, evaluation, _NO_ROW, _NO_ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Execution(CellResult):
    """One execution of a cell. ``number`` is None where there is no other."""

    number: int | None = None


def _executions(cells: Iterable[CellResult]) -> Iterator[_Execution]:
    for result in cells:
        for number, execution in enumerate(result.executions):
            yield _Execution(
                cell=result.cell,
                run=execution.run,
                evaluations=execution.evaluations,
                number=number if result.repeats else None,
            )


def _result(result: _Execution, evaluation: Evaluation, row: Row, score: Row) -> _Line:
    number = max(row.line_number, score.line_number)
    unscored = f"{evaluation.evaluator} did not score this row" if not row.failed and score is _NO_ROW else None
    line = {
        **_place(result),
        "line_number": None if number < 0 else number,
        **_prefixed("inputs", score.inputs),
        **_prefixed("outputs", score.output),
        **_prefixed("run.inputs", row.inputs),
        **_prefixed("run.outputs", row.output),
        "error": _joined(result.run.error, row.error, evaluation.result.error or unscored, score.error),
        "reused": iso_time(earliest(row.recorded, score.recorded)),
    }
    return _with_tail(line, result, evaluation.evaluator)


def _metrics(cells: Iterable[CellResult], evaluator: str) -> Iterator[_Line]:
    """Yield one line per execution. A metric that is named like a column of ours is kept as ``metrics.<name>``."""
    for result in _executions(cells):
        evaluation = result.evaluations.get(evaluator)
        if evaluation is None:
            continue
        line = _place(result)
        taken = {*line, "n", "error", "reused", "flow_name", "exp_run", *result.cell.variant.nodes}
        for name, value in evaluation.result.metrics.items():
            line[f"metrics.{name}" if name in taken else name] = value
        error = _joined(result.run.error, evaluation.result.error, evaluation.result.aggregation_error)
        reused = iso_time(earliest(result.run.oldest, evaluation.result.oldest))
        line |= {"n": len(evaluation.result.completed), "error": error, "reused": reused}
        yield _with_tail(line, result, evaluator)


def _place(result: _Execution) -> _Line:
    place = {"flow": result.cell.flow, "dataset": result.cell.dataset, "variant": result.cell.variant.id}
    return place if result.number is None else {**place, "repeat": result.number}


def _with_tail(line: _Line, result: CellResult, evaluator: str) -> _Line:
    """Add the columns by which consumers of the template's files tell lines apart."""
    tail = {**result.cell.variant.nodes, "flow_name": evaluator, "exp_run": result.cell.id}
    return line | {name: value for name, value in tail.items() if name not in line}


def _joined(*errors: str | None) -> str:
    return "; ".join(dict.fromkeys(error for error in errors if error))


def _prefixed(prefix: str, values: Mapping[str, Any] | None) -> _Line:
    return {f"{prefix}.{name}": value for name, value in (values or {}).items()}


def _columns(lines: Iterable[_Line]) -> tuple[str, ...]:
    """Order columns: where the line is from, inputs, outputs, the flow's own, all else as it came."""
    names = dict.fromkeys(name for line in lines for name in line)
    return tuple(sorted(names, key=_rank))


def _rank(name: str) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    if name in _LAST:
        return 200 + _LAST.index(name)
    return next((100 + i for i, group in enumerate(_GROUPS) if name.startswith(group)), 150)


def _html_cell(value: Any) -> tuple[str, bool]:
    """Return a cell's text, and whether it is a number."""
    return visible(plain(value)), isinstance(value, (int, float)) and not isinstance(value, bool)
