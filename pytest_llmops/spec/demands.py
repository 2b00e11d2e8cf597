"""Whether what is demanded of an experiment can be met by its data at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.records.experiment import RUN, BaselineSource, Dataset, Price, Threshold
from pytest_llmops.samplesize import rows_to_show_unchanged
from pytest_llmops.spec.assemble import ReadEvaluator
from pytest_llmops.spec.feasible import rows_to_show, satisfiable, too_fine
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.metrics import has_row_scores
from pytest_llmops.spec.suggest import count
from pytest_llmops.spec.thresholds import applicable, problem

_LEAST_ROWS = 10
"""Rows without which nothing is claimed of a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What margins compare with, and what could be written in place of one, in words for messages."""

    reference: str
    instead: str


_WITH_BASELINE = Comparison(reference="the baseline", instead="keep_passing")


def check_thresholds(
    thresholds: Sequence[Threshold],
    datasets: Sequence[Dataset],
    findings: Findings,
    comparison: Comparison = _WITH_BASELINE,
) -> None:
    """Report thresholds that no result can meet, and those that allow no row to miss although they don't say so.

    Slices are left out: how many rows each has is not looked at here.
    """
    for threshold, dataset in applicable(thresholds, datasets):
        if not dataset.rows or threshold.by:
            continue
        beginning = f"with {count(dataset.rows)} in dataset '{dataset.name}'"
        _check_rule(threshold, dataset.rows, beginning, findings)
        if has_row_scores(threshold.evaluator, threshold.metric):
            for what, todo in _margin_doubts(threshold.margin, dataset.rows, beginning, comparison):
                findings.warn(problem(threshold, what, todo))


def _check_rule(threshold: Threshold, rows: int, beginning: str, findings: Findings) -> None:
    rule, is_share = threshold.rule, has_row_scores(threshold.evaluator, threshold.metric)
    needed = rows_to_show(rule, threshold.confidence) if threshold.confidence and is_share else 0
    if threshold.evaluator == RUN and not satisfiable(rule, threshold.metric, rows):
        findings.error(problem(threshold, f"{beginning}, no result can be '{rule.text}'", "correct the rule"))
    elif threshold.confidence and needed > rows:
        level = f"{threshold.confidence * 100:g} % confidence"
        what = f"{beginning}, '{rule.text}' can't be shown at {level} even if every row passes"
        todo = f"it would need {count(needed)}: add rows, relax the rule, or leave out confidence"
        findings.error(problem(threshold, what, todo))
    elif is_share and too_fine(rule, rows):
        what = f"{beginning}, a share of rows can only be '{rule.text}' if no row misses"
        findings.warn(problem(threshold, what, "add rows or relax the rule"))


def _margin_doubts(
    margin: float | None, rows: int, beginning: str, comparison: Comparison
) -> Iterator[tuple[str, str]]:
    """Yield why so many rows can't show that no more than a margin was lost: what is wrong, and what to do."""
    if margin is None:
        return
    instead = comparison.instead
    if rows < _LEAST_ROWS:
        what = f"nothing can be claimed of a difference from {comparison.reference}: that takes {_LEAST_ROWS} rows"
        yield f"{beginning}, {what}", f"add rows, or write must_pass or {instead}"
    elif margin == 0:
        yield "no number of rows can show that nothing at all was lost", f"allow a little, or write {instead}"
    elif margin < 1 and rows < (needed := rows_to_show_unchanged(margin)):
        what = f"{beginning}, a loss of {margin:g} can't be ruled out even if no score changes"
        yield what, f"it would need {count(needed)}: add rows, allow more, or write {instead}"


def check_sources(
    thresholds: Iterable[Threshold],
    baseline: BaselineSource | None,
    prices: Mapping[str, Price],
    findings: Findings,
) -> None:
    """Report thresholds that need a baseline, or prices, where there are none."""
    for threshold in thresholds:
        if threshold.compares and baseline is None:
            what, todo = "compares with a baseline, but there is none", "set llmops.baseline or --llmops-baseline"
            if threshold.is_agreement:
                todo += ", or write it under a candidate's parity"
            findings.error(problem(threshold, what, todo))
        if (threshold.evaluator, threshold.metric) == (RUN, "cost") and not prices:
            what, todo = "nothing tells what tokens cost", "add llmops.prices"
            findings.error(problem(threshold, what, todo))


def check_demanded(evaluators: Iterable[ReadEvaluator], thresholds: Sequence[Threshold], report: Reporter) -> None:
    """Report evaluators of which nothing is demanded."""
    demanded = {threshold.evaluator for threshold in thresholds}
    for read in evaluators:
        if read.evaluator.name not in demanded:
            report.error(read.path, "has no thresholds, so nothing is demanded of it", "add thresholds")
