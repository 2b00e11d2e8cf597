"""What repeated executions of one cell show of the noise in its metrics, and of the rows that cause it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.records.experiment import Experiment, Threshold
from pytest_llmops.records.gate import CellResult, Evaluation, Repeat
from pytest_llmops.records.run import RunResult, total_calls
from pytest_llmops.stats.integrity import evaluation_problems, metric_value, row_errors, run_problems
from pytest_llmops.stats.measuring import declared_score
from pytest_llmops.stats.noise import (
    MOST_QUARANTINED,
    Proposal,
    Spread,
    flip_rate,
    flips_often,
    propose,
    rerun_error,
    sampling_error,
    spread,
)
from pytest_llmops.stats.passing import mark_problem, pass_mark, passes
from pytest_llmops.stats.scores import RowScores, row_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNoise:
    """The noise of one metric. ``error`` is the standard error of one execution.

    ``sampling`` is the standard error that the choice of rows brings. ``rows`` is the number of rows with a score in
    every repeat, and 0 where no scores of rows are known, for the reason in ``why``: then there are no ``flips``
    either. These are flip rates by row, of rows that flip at all, the highest first; ``unmarked`` says why there are
    none where it can't be told which scores pass. ``steady`` is true where neither the metric nor any row's score
    varies, so that nothing is proposed.
    """

    name: str
    threshold: Threshold | None
    spread: Spread
    error: float
    sampling: float
    rows: int
    why: str = ""
    unmarked: str = ""
    steady: bool = False
    flips: Mapping[str, float] = field(default_factory=dict)
    proposal: Proposal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellNoise:
    """The noise of one cell's metrics. ``repeats`` is the number of executions, ``rows`` that of rows in each.

    ``problems`` say why nothing can be told of the cell; then there are no metrics. ``left_out`` names rows that
    failed in any repeat, and so have no part in figures of rows. ``same_outputs`` is true where all repeats gave the
    very same outputs, ``llm_calls`` is how many calls they took, None where that is not known, and ``replayed`` whether
    recordings answered these.
    """

    cell: str
    repeats: int
    rows: int
    metrics: tuple[MetricNoise, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    same_outputs: bool = False
    llm_calls: int | None = 0
    replayed: bool = False

    @property
    def flipping(self) -> tuple[str, ...]:
        """Rows that flip often, in any metric."""
        found = (row for m in self.metrics for row, rate in m.flips.items() if flips_often(rate, self.repeats))
        return tuple(dict.fromkeys(found))

    @property
    def too_noisy(self) -> bool:
        """Whether so many rows flip often that the flow is at fault, not the rows."""
        return len(self.flipping) > MOST_QUARANTINED * self.rows

    @property
    def quarantine(self) -> tuple[str, ...]:
        """Rows to leave out of comparisons."""
        return () if self.too_noisy else self.flipping


def noise_of(result: CellResult, experiment: Experiment) -> CellNoise:
    """Measure the noise of every metric that the evaluators of a cell log."""
    evaluators = sorted(result.evaluations)
    runs = [run for execution in result.executions for run in _runs(execution)]
    found = CellNoise(
        cell=result.cell.id,
        repeats=len(result.executions),
        rows=len(result.run.rows),
        problems=tuple(_problems(result, experiment)),
        left_out=_failed(result),
        same_outputs=all(_outputs(result, number) == _outputs(result, 0) for number in range(len(result.executions))),
        llm_calls=total_calls(runs),
        replayed=result.llm == "replay",
    )
    if found.problems:
        return found
    names = [(evaluator, metric) for evaluator in evaluators for metric in _metrics(result.evaluations[evaluator])]
    try:
        return replace(found, metrics=tuple(_noise(result, experiment, *name) for name in names))
    except _NoValue as problem:
        return replace(found, problems=(str(problem),))


class _NoValue(Exception):
    """A metric that is not a finite number in some repeat."""


def _problems(result: CellResult, experiment: Experiment) -> list[str]:
    """Find what speaks against any figure. Failed rows don't: they are left out."""
    if len(result.executions) < 2:
        return ["noise needs at least 2 repeats, and there is 1"]
    if unrecorded := [str(number) for number, each in enumerate(result.executions) if _missed(each)]:
        return [_not_recorded(result, unrecorded)]
    if empty := [number for number, each in enumerate(result.executions) if each.run.rows and not each.run.completed]:
        error = row_errors(result.executions[empty[0]].run.failed)[0]
        return [f"{_where(empty[0])}every row failed: {error}"]
    policy = replace(experiment.gate, max_failed_rows=len(result.run.rows))
    problems = run_problems(result, policy)
    for number, execution in enumerate(result.executions):
        for evaluation in execution.evaluations.values():
            problems += [_where(number) + problem for problem in evaluation_problems(evaluation, policy)]
    return problems


def _missed(execution: Repeat) -> bool:
    return any(run.misses for run in _runs(execution))


def _not_recorded(result: CellResult, repeats: Sequence[str]) -> str:
    """Say that one recording is one sample, and what more of them cost."""
    runs = list(_runs(result.executions[0]))
    calls, tokens = total_calls(runs), sum(row.tokens.total for run in runs for row in run.rows)
    price = f"{'?' if calls is None else calls} LLM calls" + (f" and {tokens} tokens" if tokens else "")
    which = f"repeat {repeats[0]} has" if len(repeats) == 1 else f"repeats {', '.join(repeats)} have"
    return (
        f"{which} no recorded answers, and one recording says nothing about noise; "
        f"ask the model with --llm auto, which records them, or --llm live: {price} for each"
    )


def _noise(result: CellResult, experiment: Experiment, evaluator: str, metric: str) -> MetricNoise:
    threshold = _threshold(experiment, result.cell.dataset, evaluator, metric)
    declared = declared_score(experiment, evaluator, metric)
    values: list[float] = []
    scores: list[RowScores] = []
    for number, execution in enumerate(result.executions):
        evaluation = execution.evaluations[evaluator]
        value, why = metric_value(evaluation.result, metric)
        if value is None:
            raise _NoValue(f"{_where(number)}evaluator '{evaluator}': {why}")
        values.append(value)
        scores.append(row_scores(evaluation.result.completed, metric, value, declared))
    found = spread(values)
    why = next((text for score in scores for text in (score.why, *score.problems) if text), "")
    matrix = {} if why else _matrix(scores)
    error = rerun_error(list(matrix.values())) if matrix else found.sd
    steady = error == 0 and found.largest == 0
    demand = threshold or Threshold(evaluator=evaluator, metric=metric)
    unmarked = mark_problem(demand, [score for row in matrix.values() for score in row])
    return MetricNoise(
        name=f"{evaluator}.{metric}",
        threshold=threshold,
        spread=found,
        error=error,
        sampling=sampling_error(list(matrix.values())),
        rows=len(matrix),
        why=why or ("" if matrix else "no row was scored in every repeat"),
        unmarked=unmarked,
        steady=steady,
        flips={} if unmarked else _flips(result, matrix, demand),
        proposal=None if steady else propose(found, error, len(matrix) or None),
    )


def _matrix(scores: Sequence[RowScores]) -> dict[int, list[float]]:
    common = [number for number in scores[0].values if all(number in score.values for score in scores)]
    return {number: [score.values[number] for score in scores] for number in common}


def _flips(result: CellResult, matrix: Mapping[int, Sequence[float]], demand: Threshold) -> dict[str, float]:
    mark, better = pass_mark(demand), demand.better
    rates = {row: flip_rate([passes(score, mark, better) for score in scores]) for row, scores in matrix.items()}
    flipping = sorted((row for row in rates if rates[row]), key=lambda row: (-rates[row], row))
    return {_label(result, row): rates[row] for row in flipping}


def _threshold(experiment: Experiment, dataset: str, evaluator: str, metric: str) -> Threshold | None:
    """Find the threshold of a metric, the one for the dataset before the one for all of them."""
    fitting = (t for t in experiment.thresholds if (t.evaluator, t.metric, t.by) == (evaluator, metric, None))
    fitting = (t for t in fitting if t.dataset in (None, dataset))
    return next(iter(sorted(fitting, key=lambda t: t.dataset is None)), None)


def _metrics(evaluation: Evaluation) -> list[str]:
    metrics = evaluation.result.metrics
    return [name for name, value in metrics.items() if type(value) in (int, float)]


def _failed(result: CellResult) -> tuple[str, ...]:
    runs = [run for execution in result.executions for run in _runs(execution)]
    return tuple(_label(result, row) for row in sorted({row.line_number for run in runs for row in run.failed}))


def _runs(execution: Repeat) -> Iterator[RunResult]:
    yield execution.run
    yield from (evaluation.result for evaluation in execution.evaluations.values())


def _label(result: CellResult, row: int) -> str:
    keys = result.columns.get(result.key, ()) if result.key else ()
    return keys[row] if row < len(keys) else f"row {row}"


def _outputs(result: CellResult, number: int) -> dict[int, object]:
    return {row.line_number: row.output for row in result.executions[number].run.rows}


def _where(number: int) -> str:
    return f"repeat {number}: " if number else ""
