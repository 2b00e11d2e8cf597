"""From what the service tells of a run to its result: each line of the data has a row, whatever was left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.azure.run_records import Lines, RunState
from pytest_llmops.engines.text import headline
from pytest_llmops.records.run import Row, RunResult

_SHOWN = 5


def collect(state: RunState, lines: Lines, metrics: Mapping[str, Any], numbers: Collection[int]) -> RunResult:
    """Return the result of a run that is over.

    ``numbers`` are the lines that it was to have. A line that the service does not tell of is a failed row; one that it
    should not have, or tells of twice, makes the run a failed one. A run that the service calls completed may have
    failed rows. How many LLM calls it made is known only where the service tells of all lines.
    """
    rows = lines.rows
    failed = RunResult(status="Failed", duration=state.duration, llm_calls=None, name=state.name)
    if state.status != "Completed":
        return replace(failed, rows=rows, error=_why(state))
    if wrong := _wrong_numbers(rows, numbers):
        return replace(failed, error=f"run '{state.name}': {wrong}")
    told = {row.line_number: row for row in rows}
    return RunResult(
        status="Completed",
        rows=tuple(told.get(number) or _untold(number) for number in sorted(numbers)),
        metrics=metrics,
        aggregation_error=_aggregation_error(state, rows),
        duration=state.duration,
        llm_calls=lines.llm_calls if len(told) == len(numbers) else None,
        name=state.name,
    )


def reused(result: RunResult, since: float | None) -> RunResult:
    """Mark a result as that of an earlier run, recorded at a Unix time."""
    rows = tuple(replace(row, recorded=since) for row in result.rows)
    return replace(result, rows=rows, recorded=since)


def _why(state: RunState) -> str:
    if state.status == "Canceled":
        return f"run '{state.name}' was cancelled in the workspace"
    said = headline(state.error) or f"it ended as {state.status}, and the service does not say why"
    return f"run '{state.name}': {said}"


def _wrong_numbers(rows: Sequence[Row], numbers: Collection[int]) -> str:
    told = [row.line_number for row in rows]
    if len(set(told)) < len(told):
        return f"the service tells more than once of lines {_listed({n for n in told if told.count(n) > 1})}"
    extra = set(told) - set(numbers)
    return f"the service tells of lines that the data does not have: {_listed(extra)}" if extra else ""


def _untold(number: int) -> Row:
    return Row(line_number=number, inputs={}, error="the service tells nothing of this line")


def _aggregation_error(state: RunState, rows: Sequence[Row]) -> str | None:
    """Return the error of a completed run that is none of its rows'. The service puts both in the same place."""
    told = {headline(row.error or "") for row in rows if row.failed}
    said = headline(state.error)
    return said if said and said not in told else None


def _listed(numbers: Collection[int]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:_SHOWN]))
    return f"{shown} and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else shown
