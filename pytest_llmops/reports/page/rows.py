"""The rows of an experiment as the page shows them: what each dataset asks once, and what each run answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, Evaluation, Repeat
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Row
from pytest_llmops.reports.ages import iso_time
from pytest_llmops.reports.page.beside import agreeing, beside
from pytest_llmops.reports.page.values import LONGEST, MOST, shown
from pytest_llmops.stats.joining import join

BASELINE = "baseline"
_LINE = "line_number"


def rows(report: Report, path: str, baseline: Report | None, *, longest: int = LONGEST) -> dict[str, Any]:
    """Turn the rows of one experiment into JSON values.

    ``baseline`` has those cells alone that are of this experiment. ``longest`` is the number of characters of a text.
    """
    cells = [result for result in report.cells if result.cell.experiment == path]
    gates = [gate for gate in report.gates if gate.experiment == path]
    others = [beside(result, cells, baseline) for result in cells]
    runs = [
        {**_run(result, longest), "agreement": agreeing(result, found.reference, gates)}
        for result, found in zip(cells, others, strict=True)
    ]
    for result, found in zip(cells, others, strict=True):
        if (other := found.baseline) is not None:
            lines = {there: here for here, there in join(result, other, RUN).pairs}
            runs.append({**_run(other, longest, lines), "cell": shown(result.cell.id), "variant": BASELINE})
    return {"datasets": _datasets(cells, longest), "runs": runs}


def _datasets(cells: Iterable[CellResult], longest: int) -> dict[str, Any]:
    """Say once what all runs on a dataset were asked: name, inputs and columns of each row."""
    asked: dict[str, dict[int, Row]] = {}
    columns: dict[str, dict[str, tuple[str, ...]]] = {}
    keys: dict[str, str] = {}
    for result in cells:
        dataset = result.cell.dataset
        asked[dataset] = {row.line_number: row for row in result.run.rows} | asked.get(dataset, {})
        columns[dataset] = {**result.columns, **columns.get(dataset, {})}
        keys.setdefault(dataset, result.key or "")
    return {
        shown(dataset): {
            "rows": list(_asked(found, columns[dataset].get(keys[dataset], ()), longest)),
            "columns": shown(columns[dataset], longest=longest),
        }
        for dataset, found in asked.items()
    }


def _asked(found: Mapping[int, Row], names: Sequence[str], longest: int) -> Iterator[dict[str, Any]]:
    for number, row in sorted(found.items()):
        yield {
            "line": number,
            "name": shown(names[number], longest=longest) if 0 <= number < len(names) else "",
            "inputs": _values(row.inputs, (_LINE,), longest),
        }


def _run(result: CellResult, longest: int, lines: Mapping[int, int] | None = None) -> dict[str, Any]:
    """Write what a cell answered. ``lines`` maps its line numbers to those of another result, and leaves others out."""
    evaluators = list(dict.fromkeys(name for execution in result.executions for name in execution.evaluations))
    return {
        "cell": shown(result.cell.id),
        "dataset": shown(result.cell.dataset),
        "variant": shown(result.cell.variant.id),
        "isCandidate": result.cell.variant.is_candidate,
        "agreement": None,
        "evaluators": shown(evaluators),
        "executions": [list(_answers(execution, evaluators, lines, longest)) for execution in result.executions],
    }


def _answers(
    execution: Repeat, evaluators: Iterable[str], lines: Mapping[int, int] | None, longest: int
) -> Iterator[list[Any]]:
    scored = [_scores(execution.evaluations.get(name), lines, longest) for name in evaluators]
    for row in sorted(execution.run.rows, key=lambda row: row.line_number):
        if lines is None or row.line_number in lines:
            yield [
                row.line_number if lines is None else lines[row.line_number],
                None if row.output is None else _values(row.output, (), longest),
                shown(row.error, longest=longest),
                shown(round(row.duration, 4)),
                row.tokens.total,
                iso_time(row.recorded),
                [found.get(row.line_number) for found in scored],
            ]


def _scores(evaluation: Evaluation | None, lines: Mapping[int, int] | None, longest: int) -> dict[int, list[Any]]:
    """Write what an evaluator made of each row: its gold, where it is known which inputs are, its output, its error."""
    if evaluation is None:
        return {}
    known = (_LINE, *evaluation.of_run)
    return {
        row.line_number: [
            _values(row.inputs, known, longest) if evaluation.of_run else {},
            None if row.output is None else _values(row.output, (), longest),
            shown(row.error, longest=longest),
        ]
        for row in evaluation.result.rows
        if lines is None or row.line_number in lines
    }


def _values(values: Mapping[str, Any], known: Iterable[str], longest: int) -> Any:
    """Turn what a flow was given or gave into JSON values, but for what is ``known`` from elsewhere."""
    return shown({name: value for name, value in values.items() if name not in known}, longest=longest, most=MOST)
