"""What can be demanded of which metric. Used for thresholds from files and from the command line."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.records.experiment import AGREEMENT, RUN, RUN_DURATIONS, RUN_METRICS, Better, Threshold
from pytest_llmops.rules import Rule

_ERROR_RATE = "error_rate"
RUN_SHARES = (_ERROR_RATE, AGREEMENT)
"""Metrics of a run that are shares of its rows."""
RUN_DEMANDS = (*RUN_METRICS, AGREEMENT)
"""Metrics of a run that thresholds can be on: its own, and the one that takes another run."""


def has_row_scores(evaluator: str, metric: str) -> bool:
    """Tell whether a metric may have a score per row: those of evaluators, and shares of the run's rows."""
    return evaluator != RUN or metric in RUN_SHARES


def default_better(evaluator: str, metric: str, rule: Rule) -> Better:
    """Say which way is better: down where the rule only has an upper bound, and for failed rows; else up."""
    if evaluator == RUN and metric in RUN_SHARES:
        return "lower" if metric == _ERROR_RATE else "higher"
    return "lower" if rule.only_high else "higher"


def misfits(threshold: Threshold) -> Iterator[tuple[str, str]]:
    """Yield why such a metric can't meet such a demand: what is wrong, and what to do."""
    yield from _unit_misfits(threshold)
    metric = f"{threshold.evaluator}.{threshold.metric}"
    if threshold.must_pass and threshold.evaluator == RUN:
        yield "only an evaluator's dataset has a key that names rows", "demand must_pass of an evaluator's metric"
    elif threshold.is_agreement and (threshold.margin is not None or threshold.keep_passing):
        yield f"{metric!r} is a comparison itself", "write min or max"
    elif not has_row_scores(threshold.evaluator, threshold.metric):
        without = f", and {metric!r} has none"
        if threshold.compares:
            yield f"only metrics with a score per row can be compared{without}", "write min or max"
        if threshold.confidence is not None:
            yield f"only metrics with a score per row have a confidence bound{without}", "leave out confidence"
        if threshold.by:
            yield f"only metrics with a score per row have slices{without}", "remove it"


def _unit_misfits(threshold: Threshold) -> Iterator[tuple[str, str]]:
    metric, rule = f"{threshold.evaluator}.{threshold.metric}", threshold.rule
    is_duration = threshold.evaluator == RUN and threshold.metric in RUN_DURATIONS
    if rule.unit == "s" and not is_duration:
        yield f"'{rule.text}' is a duration, but {metric!r} is none", "write a number without a unit"
    if rule.unit == "%" and is_duration:
        yield f"'{rule.text}' is a share, but {metric!r} is a duration", "write seconds, such as '<= 3 s'"
    elif rule.unit == "%" and not has_row_scores(threshold.evaluator, threshold.metric):
        yield f"'{rule.text}' is a share, but {metric!r} is none", "write a number without a unit"
