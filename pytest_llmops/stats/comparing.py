"""Two reports side by side: what became of each metric on the rows that both have, and which rows changed.

It is there to look at, and decides nothing: no margins, no correction for how many comparisons are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import Cell, CellResult
from pytest_llmops.records.report import Report
from pytest_llmops.stats.integrity import metric_value
from pytest_llmops.stats.joining import SAVE_ANEW, Joined, join, refusal
from pytest_llmops.stats.noninferiority import compare_pairs
from pytest_llmops.stats.repeats import reduce_scores
from pytest_llmops.stats.run_metrics import NotCounted, run_metric
from pytest_llmops.stats.scores import row_scores

_FIGURES = ("latency_p50", "latency_p95", "total_tokens", "error_rate")
_COST = f"{RUN}.cost"
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """A metric on both sides, in its own units. ``delta`` is candidate - baseline.

    With scores of rows, both values are those of the ``n`` common rows, ``interval`` is that of the delta, and
    ``p_value`` the two-sided one of ``test``. Without them the values are the metric's own, and ``note`` says why.
    ``delta`` is None where a side has no value, and where a difference would mean nothing: ``problem`` says why the
    two can't be compared, ``note`` that they are no times of a service.
    """

    name: str
    baseline: float | None
    candidate: float | None
    delta: float | None = None
    n: int | None = None
    interval: Interval | None = None
    p_value: float | None = None
    test: str = ""
    note: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A common row whose score changed: by metric its scores in baseline and candidate, and the flow's outputs."""

    label: str
    inputs: Mapping[str, Any]
    scores: Mapping[str, tuple[float, float]]
    baseline: Any
    candidate: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """A cell of the candidate against one of the baseline. ``rows`` are the common ones by label, and all others.

    ``changes`` are sorted by how much a score changed, the most first.
    """

    baseline: Cell
    candidate: Cell
    metrics: tuple[MetricComparison, ...]
    rows: Joined
    changes: tuple[RowChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportComparison:
    """All cells that two reports have in common, and the ids of those that only one has."""

    cells: tuple[CellComparison, ...]
    only_baseline: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()


def compare_reports(baseline: Report, candidate: Report) -> ReportComparison:
    """Compare the cells of two reports that belong together.

    Those are cells of the same experiment file and id; where files were moved, of the same experiment name and id;
    and where no variant of a dataset is on both sides, the only one that each side has.
    """
    theirs, mine = list(baseline.cells), list(candidate.cells)
    pairs: list[tuple[CellResult, CellResult]] = []
    for name in (_by_file, _by_use_case):
        pairs += _take_pairs(theirs, mine, name)
    met = {_by_dataset(result) for _, result in pairs}
    pairs += _take_pairs(theirs, mine, lambda result: None if _by_dataset(result) in met else _by_dataset(result))
    order = {id(result): place for place, result in enumerate(candidate.cells)}
    pairs.sort(key=lambda pair: order[id(pair[1])])
    return ReportComparison(
        cells=tuple(
            compare_cells(before, after, costs=(_cost(baseline, before), _cost(candidate, after)))
            for before, after in pairs
        ),
        only_baseline=tuple(result.cell.id for result in theirs),
        only_candidate=tuple(result.cell.id for result in mine),
    )


def compare_cells(
    baseline: CellResult, candidate: CellResult, *, costs: tuple[float | None, float | None] = (None, None)
) -> CellComparison:
    """Compare two cells metric by metric, and row by row. ``costs`` of both runs are shown where any is known."""
    different = _refusal(baseline, candidate, RUN)
    joins = {RUN: join(candidate, baseline, RUN)}
    metrics: list[MetricComparison] = []
    scores: dict[str, dict[str, tuple[float, float]]] = {}
    for evaluator in dict.fromkeys((*candidate.evaluations, *baseline.evaluations)):
        problem = _refusal(baseline, candidate, evaluator)
        joins[evaluator] = Joined() if problem else join(candidate, baseline, evaluator)
        for metric in _metrics(baseline, candidate, evaluator):
            sides = metric_scores(baseline, evaluator, metric), metric_scores(candidate, evaluator, metric)
            pairs = _scored_pairs(joins[evaluator], *sides)
            name = f"{evaluator}.{metric}"
            metrics.append(_compare(name, *sides, list(pairs.values()), problem))
            for label, (before, after) in pairs.items():
                if before != after:
                    scores.setdefault(label, {})[name] = (before, after)
    return CellComparison(
        baseline=baseline.cell,
        candidate=candidate.cell,
        metrics=(*metrics, *_figures(baseline, candidate, different), *_costs(*costs, different)),
        rows=_merged(joins),
        changes=tuple(_changes(baseline, candidate, joins[RUN], scores)),
    )


@dataclass(frozen=True, slots=True)
class MetricScores:
    """A metric of a cell: its value, and the scores of its rows by line number, or ``why`` there are none."""

    value: float | None
    scores: Mapping[int, float] = field(default_factory=dict)
    why: str = ""


def metric_scores(result: CellResult, evaluator: str, metric: str) -> MetricScores:
    """Find the scores of a metric, each the mean over all executions of its row."""
    values, scores = [], []
    for execution in result.executions:
        evaluation = execution.evaluations.get(evaluator)
        if evaluation is None:
            return MetricScores(None, why=f"'{evaluator}' did not run")
        value, why = metric_value(evaluation.result, metric)
        if value is None:
            return MetricScores(None, why=why)
        found = row_scores(evaluation.result.completed, metric, value)
        if not found.values:
            return MetricScores(value, why=found.why or "; ".join(found.problems))
        values.append(value)
        scores.append(found.values)
    return MetricScores(fmean(values), reduce_scores(scores, "mean", "higher", 1.0))


def _scored_pairs(joined: Joined, baseline: MetricScores, candidate: MetricScores) -> dict[str, tuple[float, float]]:
    """Pair the scores of common rows, by label."""
    return {
        label: (baseline.scores[there], candidate.scores[here])
        for label, (here, there) in zip(joined.labels, joined.pairs, strict=True)
        if here in candidate.scores and there in baseline.scores
    }


def _compare(
    name: str, baseline: MetricScores, candidate: MetricScores, pairs: Sequence[tuple[float, float]], problem: str
) -> MetricComparison:
    sides = (baseline.value, candidate.value)
    if problem:
        return MetricComparison(name=name, baseline=sides[0], candidate=sides[1], problem=problem)
    if not pairs:
        note = candidate.why or baseline.why or "no row has a score on both sides"
        return MetricComparison(name=name, baseline=sides[0], candidate=sides[1], delta=_difference(*sides), note=note)
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    worse = compare_pairs(after, before, better="higher", level=_LEVEL)
    better = compare_pairs(after, before, better="lower")
    chances = [found.p_value for found in (worse, better) if found.p_value is not None]
    return MetricComparison(
        name=name,
        baseline=fmean(before),
        candidate=fmean(after),
        delta=fmean(after) - fmean(before),
        n=worse.n,
        interval=worse.interval,
        p_value=min(1.0, 2 * min(chances)) if chances else None,
        test=worse.test,
    )


def _metrics(baseline: CellResult, candidate: CellResult, evaluator: str) -> list[str]:
    """Name the metrics that any side logged as a number, the candidate's first."""
    evaluations = (side.evaluations.get(evaluator) for side in (candidate, baseline))
    results = [evaluation.result for evaluation in evaluations if evaluation is not None]
    names = dict.fromkeys(name for result in results for name in result.metrics)
    return [name for name in names if any(metric_value(result, name)[0] is not None for result in results)]


def _refusal(baseline: CellResult, candidate: CellResult, evaluator: str) -> str:
    if not candidate.run.rows:
        return "the candidate's run has no rows"
    return refusal(candidate, baseline, evaluator).removesuffix(f"; {SAVE_ANEW}")


def _difference(baseline: float | None, candidate: float | None) -> float | None:
    return None if baseline is None or candidate is None else candidate - baseline


def _figures(baseline: CellResult, candidate: CellResult, problem: str) -> Iterator[MetricComparison]:
    """Yield what the runs themselves took, each over all rows of its side."""
    timed = [side.llm != "live" and any(run.run.llm_calls for run in side.executions) for side in (baseline, candidate)]
    for metric in _FIGURES:
        (before, not_before), (after, not_after) = (_figure(side, metric) for side in (baseline, candidate))
        recorded = any(timed) and metric.startswith("latency")
        note = "answers of the LLM are recorded: not the time that the service takes" if recorded else ""
        yield MetricComparison(
            name=f"{RUN}.{metric}",
            baseline=before,
            candidate=after,
            delta=None if problem or recorded else _difference(before, after),
            note=note or not_after or not_before,
            problem=problem,
        )


def _figure(result: CellResult, metric: str) -> tuple[float | None, str]:
    """Return a figure of a cell's runs, or why there is none."""
    runs = [execution.run for execution in result.executions]
    if not all(run.rows for run in runs):
        return None, ""
    try:
        return fmean(run_metric(run, metric, {}) for run in runs), ""
    except NotCounted as problem:
        return None, str(problem)


def _costs(baseline: float | None, candidate: float | None, problem: str) -> Iterator[MetricComparison]:
    if baseline is not None or candidate is not None:
        note = "" if None not in {baseline, candidate} else "known where the session had a threshold for it"
        delta = None if problem else _difference(baseline, candidate)
        yield MetricComparison(
            name=_COST, baseline=baseline, candidate=candidate, delta=delta, note=note, problem=problem
        )


def _cost(report: Report, result: CellResult) -> float | None:
    """Find what a run cost: only a gate tells, since prices are not part of a report."""
    place = (result.cell.experiment, result.cell.id, _COST)
    return next((gate.value for gate in report.gates if (gate.experiment, gate.cell, gate.name) == place), None)


def _merged(joins: Mapping[str, Joined]) -> Joined:
    """Return the join of the runs, with the rows that could not be compared for any of the evaluators."""
    changed = dict.fromkeys(label for joined in joins.values() for label in joined.changed)
    unscored = dict.fromkeys(label for joined in joins.values() for label in joined.unscored)
    return replace(joins[RUN], changed=tuple(changed), unscored=tuple(unscored))


def _changes(
    baseline: CellResult, candidate: CellResult, joined: Joined, scores: Mapping[str, Mapping[str, tuple[float, float]]]
) -> list[RowChange]:
    before, after = _outputs(baseline), _outputs(candidate)
    inputs = {row.line_number: row.inputs for row in candidate.run.rows}
    found = [
        RowChange(
            label=label,
            inputs=inputs[here],
            scores=scores[label],
            baseline=before.get(there),
            candidate=after.get(here),
        )
        for label, (here, there) in zip(joined.labels, joined.pairs, strict=True)
        if label in scores
    ]
    return sorted(found, key=lambda change: -max(abs(new - old) for old, new in change.scores.values()))


def _outputs(result: CellResult) -> dict[int, Any]:
    return {row.line_number: row.output for row in result.run.completed}


def _take_pairs(
    baseline: list[CellResult], candidate: list[CellResult], name: Callable[[CellResult], object]
) -> Iterator[tuple[CellResult, CellResult]]:
    """Take from both lists the cells that have a name alone on either side, pair by pair."""
    for mine in list(candidate):
        wanted = name(mine)
        ours = [result for result in candidate if name(result) == wanted]
        theirs = [result for result in baseline if name(result) == wanted]
        if wanted is not None and len(ours) == len(theirs) == 1:
            baseline.remove(theirs[0])
            candidate.remove(mine)
            yield theirs[0], mine


def _by_file(result: CellResult) -> object:
    return result.cell.experiment, result.cell.id


def _by_use_case(result: CellResult) -> object:
    return result.cell.use_case, result.cell.id


def _by_dataset(result: CellResult) -> object:
    return result.cell.use_case, result.cell.dataset
