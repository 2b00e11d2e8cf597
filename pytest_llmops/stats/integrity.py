"""Whether results can be trusted at all: every row accounted for, every metric over as many rows as it should be.

Each function returns the problems it found as text for people, empty where there is none. They come before any
threshold, because a run that loses its hard rows reports better metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from pytest_llmops.records.experiment import GatePolicy
from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.run import Row, RunResult
from pytest_llmops.stats.scores import is_number

_SHOWN_ROWS = 5


def run_problems(result: CellResult, policy: GatePolicy) -> list[str]:
    """Check every run of a cell: it finished, every dataset row is there once, few enough failed."""
    problems = []
    for number, execution in enumerate(result.executions):
        where = f"repeat {number}: " if number else ""
        problems += [where + problem for problem in _run_problems(execution.run, result.expected_rows, policy)]
    return problems


def _run_problems(run: RunResult, expected_rows: int | None, policy: GatePolicy) -> list[str]:
    if run.status == "Failed":
        return [f"the run failed: {run.error}"]
    problems = _miss_problems(run)
    if expected_rows is not None and len(run.rows) != expected_rows:
        problems.append(f"{len(run.rows)} rows came back of {expected_rows} in the dataset")
    if repeated := [number for number, times in Counter(row.line_number for row in run.rows).items() if times > 1]:
        problems.append(f"line numbers {repeated} came back more than once")
    if len(run.rows) < policy.min_rows:
        problems.append(f"{len(run.rows)} rows ran, min_rows is {policy.min_rows}")
    if len(run.failed) > policy.max_failed_rows and not run.misses:
        problems.append(
            f"{len(run.failed)} of {len(run.rows)} rows failed, max_failed_rows is {policy.max_failed_rows}: "
            + row_errors(run.failed)[0]
        )
    return problems


def evaluation_problems(evaluation: Evaluation, policy: GatePolicy) -> list[str]:
    """Check an evaluation: it finished, and its metrics were computed over enough rows."""
    result = evaluation.result
    if result.status == "Failed":
        return [f"evaluation '{evaluation.evaluator}' failed: {result.error}"]
    problems = _miss_problems(result)
    if result.aggregation_error:
        problems.append(f"evaluation '{evaluation.evaluator}' could not aggregate: {result.aggregation_error}")
    scored = len(result.completed)
    if evaluation.expected_rows - scored > policy.max_failed_rows and not result.misses:
        errors = f": {row_errors(result.failed)[0]}" if result.failed else ""
        problems.append(
            f"'{evaluation.evaluator}' scored {scored} of {evaluation.expected_rows} rows, "
            f"max_failed_rows is {policy.max_failed_rows}{errors}"
        )
    return problems


def metric_value(metrics_of: RunResult, metric: str) -> tuple[float | None, str]:
    """Read a metric as a finite number. Returns (value, "") or (None, why there is no value)."""
    if metric not in metrics_of.metrics:
        known = ", ".join(sorted(metrics_of.metrics)) or "none"
        return None, f"metric '{metric}' was not logged (logged: {known})"
    value: Any = metrics_of.metrics[metric]
    if value in ("NaN", "Infinity", "-Infinity"):  # as they are kept in JSON
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None, f"metric '{metric}' is {value!r}, not a number"
    if not is_number(value):
        return None, f"metric '{metric}' is {_short(value)}, not a finite number"
    return float(value), ""


def _miss_problems(run: RunResult) -> list[str]:
    if not run.misses:
        return []
    first = run.misses[0]
    cassette = "/".join(PurePath(first.cassette).parts[-2:])  # it lies beside the experiment file, which items name
    nearest = f" Nearest recorded request: {first.nearest}." if first.nearest else ""
    return [
        f"{len(run.misses)} of {run.llm_calls} LLM calls are not in {cassette}; "
        f"record them with --llmops-llm auto. First miss: {first.request}.{nearest}"
    ]


def row_errors(rows: Sequence[Row]) -> list[str]:
    """Say each error once, with the rows that met it, the commonest first."""
    numbers: dict[str, list[int]] = {}
    for row in rows:
        numbers.setdefault(str(row.error).split("\n")[0], []).append(row.line_number)
    commonest = sorted(numbers.items(), key=lambda item: -len(item[1]))
    return [f"{_listing(found)}: {message}" for message, found in commonest]


def _listing(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN_ROWS])) + ", ..." * (len(numbers) > _SHOWN_ROWS)
    return f"row {shown}" if len(numbers) == 1 else f"rows {shown}"


def _short(value: object) -> str:
    # Python refuses to write integers of more than some thousands of digits.
    return "too large" if isinstance(value, int) else str(value)
