"""What a metric of a cell is worth: its value, the scores of rows behind it, and what speaks against trusting it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from pytest_llmops.records.experiment import (
    COVERAGE,
    RUN,
    RUN_DURATIONS,
    Better,
    Experiment,
    GatePolicy,
    Score,
    Threshold,
)
from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.run import RunResult
from pytest_llmops.stats.integrity import evaluation_problems, metric_value, run_problems
from pytest_llmops.stats.passing import mark_problem, pass_mark
from pytest_llmops.stats.repeats import reduce_scores
from pytest_llmops.stats.run_metrics import NotCounted, run_metric
from pytest_llmops.stats.scores import RowScores, row_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A metric of a cell. ``problems`` say why the ``value`` can't be trusted, or is None.

    ``n`` is the number of rows it rests on. ``scores`` are those of rows, reduced over repeats, by line number; where
    there are none, ``why`` says why. ``output`` is what the evaluation flow calls them, which may be ``guessed``.
    ``doubt`` says why the value, although right, does not answer the question.
    """

    value: float | None
    n: int
    problems: tuple[str, ...] = ()
    scores: Mapping[int, float] = field(default_factory=dict)
    output: str = ""
    why: str = ""
    doubt: str = ""
    guessed: bool = False


def measure(result: CellResult, threshold: Threshold, experiment: Experiment) -> Measurement:
    """Measure the metric that a threshold is about, over all executions of the cell."""
    problem = cluster_problem(result, experiment)
    if not problem and threshold.is_agreement:
        problem = "agreement is measured against another run"
    if problem:
        return Measurement(value=None, n=len(result.run.rows), problems=(problem,))
    if threshold.evaluator == RUN:
        return _measure_run(result, threshold, experiment)
    return _measure_evaluation(result, threshold, experiment)


def cluster_problem(result: CellResult, experiment: Experiment) -> str:
    """Say that it is not known which rows belong together, where that is asked for."""
    column = experiment.gate.cluster
    if column is None or column in result.columns:
        return ""
    return f"column '{column}', which says what rows belong together, was not read from the data"


def declared_score(experiment: Experiment, evaluator: str, metric: str) -> Score | None:
    """Return what the experiment file says about the rows' scores of a metric, if anything."""
    scores = (known.scores for known in experiment.evaluators if known.name == evaluator)
    return next(scores, {}).get(metric)


def _measure_run(result: CellResult, threshold: Threshold, experiment: Experiment) -> Measurement:
    # A limit on failed rows is what run.error_rate exists for: failed rows alone don't make it an error.
    policy = replace(experiment.gate, max_failed_rows=len(result.run.rows))
    n = len(result.run.rows)
    problems = run_problems(result, policy)
    if problems:
        return Measurement(value=None, n=n, problems=tuple(problems))
    runs = [execution.run for execution in result.executions]
    try:
        values = [run_metric(run, threshold.metric, experiment.prices) for run in runs]
    except NotCounted as unknown:
        return Measurement(value=None, n=n, problems=(str(unknown),))
    doubt = ""
    if threshold.metric in RUN_DURATIONS:
        doubt = _time_doubt(result, threshold.metric)
    if threshold.metric != "error_rate":
        return Measurement(value=fmean(values), n=n, why="it is one number for the whole run", doubt=doubt)
    failures = [{row.line_number: float(row.failed) for row in run.rows} for run in runs]
    scores = reduce_scores(failures, experiment.gate.reduce, "lower", pass_mark(threshold))
    return Measurement(value=fmean(scores.values()), n=n, scores=scores, output="failed", doubt=doubt)


def _time_doubt(result: CellResult, metric: str) -> str:
    """Say why a time is not the one that was asked for."""
    runs = [execution.run for execution in result.executions]
    if result.llm != "live" and any(map(_asked_a_model, runs)):
        return "answers of the LLM are recorded, so this is not the time that the service takes"
    if metric == "duration" and any(run.reused and run.recorded is None for run in runs):
        return "some of the rows were reused, so this is not the time of a whole run"
    return ""


def _asked_a_model(run: RunResult) -> bool:
    """Tell whether a run asked a model; rows that are reused count, for which no call was made."""
    return bool(run.llm_calls) or any(row.usage or row.uncounted or row.tokens.total for row in run.rows)


def _measure_evaluation(result: CellResult, threshold: Threshold, experiment: Experiment) -> Measurement:
    name, policy = threshold.evaluator, experiment.gate
    problems = run_problems(result, policy)
    evaluations = [found for execution in result.executions if (found := execution.evaluations.get(name))]
    if len(evaluations) < len(result.executions):
        missing = f"evaluator '{name}' did not run for dataset '{result.cell.dataset}'"
        return Measurement(value=None, n=0, problems=tuple(problems or [missing]))
    own_coverage = threshold.metric == COVERAGE and not any(COVERAGE in e.result.metrics for e in evaluations)
    if own_coverage:
        # As with run.error_rate: rows without a score are what it counts.
        policy = replace(policy, max_failed_rows=result.expected_rows or len(result.run.rows))
    for evaluation in evaluations:
        problems = problems or evaluation_problems(evaluation, policy)
    common = frozenset.intersection(*map(_completed, evaluations))
    n = len(common)
    if not (problems or own_coverage or len(evaluations) == 1):
        problems = _repeat_problems(n, evaluations[0].expected_rows, policy)
    if problems:
        value, _ = metric_value(evaluations[0].result, threshold.metric)
        return Measurement(value=value, n=n, problems=tuple(problems))
    if own_coverage:
        return _coverage(evaluations, threshold, experiment)
    return _logged(evaluations, threshold, experiment, n)


def _completed(evaluation: Evaluation) -> frozenset[int]:
    return frozenset(row.line_number for row in evaluation.result.completed)


def _repeat_problems(scored: int, expected: int, policy: GatePolicy) -> list[str]:
    """Check that few enough rows are lost over all repeats: only those that every one of them scored can be reduced."""
    problems = []
    if expected - scored > policy.max_failed_rows:
        problems.append(
            f"{scored} of {expected} rows were scored in every repeat, max_failed_rows is {policy.max_failed_rows}"
        )
    if scored < policy.min_rows:
        problems.append(f"{scored} rows were scored in every repeat, min_rows is {policy.min_rows}")
    return problems


def _coverage(evaluations: Sequence[Evaluation], threshold: Threshold, experiment: Experiment) -> Measurement:
    """Measure the share of rows that an evaluator scored, in every repeat, with numbers where scores are declared."""
    declared = next((e.scores for e in experiment.evaluators if e.name == threshold.evaluator), {})
    covered = [_scored_rows(evaluation, list(declared.values())) for evaluation in evaluations]
    expected = evaluations[0].expected_rows
    every = {row.line_number for evaluation in evaluations for row in evaluation.result.rows}
    every |= set(range(expected)) if len(every) < expected else set()
    scores = {number: float(all(number in scored for scored in covered)) for number in sorted(every)}
    value = fmean(scores.values()) if scores else 0.0
    return Measurement(value=value, n=len(scores), scores=scores, output="scored")


def _scored_rows(evaluation: Evaluation, declared: Sequence[Score]) -> set[int]:
    rows = evaluation.result.completed
    unusable = {
        row.line_number
        for row in rows
        for score in declared
        if row_scores([row], score.output, math.nan, score).problems
    }
    return {row.line_number for row in rows} - unusable


def _logged(evaluations: Sequence[Evaluation], threshold: Threshold, experiment: Experiment, n: int) -> Measurement:
    values: list[float] = []
    found: list[RowScores] = []
    declared = declared_score(experiment, threshold.evaluator, threshold.metric)
    for evaluation in evaluations:
        value, why = metric_value(evaluation.result, threshold.metric)
        if value is None:
            return Measurement(value=None, n=n, problems=(why,))
        values.append(value)
        found.append(row_scores(evaluation.result.completed, threshold.metric, value, declared))
    if problems := next((scores.problems for scores in found if scores.problems), ()):
        return Measurement(value=None, n=n, problems=problems)
    why = next((scores.why for scores in found if scores.why), "")
    if not why and len({scores.output for scores in found}) > 1:
        why = "the repeats have different outputs with this mean; name the one that is the score under 'scores:'"
    return _reduced(values, [] if why else found, threshold, experiment, n=n, why=why)


def _reduced(
    values: Sequence[float],
    found: Sequence[RowScores],
    threshold: Threshold,
    experiment: Experiment,
    *,
    n: int,
    why: str,
) -> Measurement:
    """Make one measurement of the repeats: of the rows' reduced scores, or without them the mean of the metric."""
    how = experiment.gate.reduce
    if not found:
        if len(values) > 1 and how != "mean":
            problem = f"'reduce: {how}' needs the scores of rows, but {why}"
            return Measurement(value=None, n=n, problems=(problem,))
        return Measurement(value=fmean(values), n=n, why=why)
    better: Better = threshold.better
    every = (score for scores in found for score in scores.values.values())
    if len(values) > 1 and "-of-" in how and (problem := mark_problem(threshold, every)):
        return Measurement(value=None, n=n, problems=(f"'reduce: {how}': {problem}",))
    scores = reduce_scores([scores.values for scores in found], how, better, pass_mark(threshold))
    if not scores:
        return Measurement(value=None, n=0, problems=("no row was scored in every repeat",))
    value = values[0] if len(values) == 1 else fmean(scores.values())
    guessed = any(each.guessed for each in found)
    return Measurement(value=value, n=len(scores), scores=scores, output=found[0].output, guessed=guessed)
