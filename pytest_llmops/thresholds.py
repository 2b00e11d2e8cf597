"""Thresholds that a command line gives, such as ``matcher.f1='>= 0.9'``."""

from __future__ import annotations

from pytest_llmops.records.experiment import RUN, RUN_METRICS, Threshold
from pytest_llmops.rules import parse_rule
from pytest_llmops.spec.metrics import default_better, misfits


def parse_threshold(text: str, source: str) -> Threshold:
    """Read ``EVALUATOR.METRIC=RULE``. ``source`` is the option that it was given with.

    Raises:
        ValueError: with a message for the user.
    """
    name, _, written = text.partition("=")
    evaluator, _, metric = name.strip().partition(".")
    if not metric:
        raise ValueError(f"{text!r} is not EVALUATOR.METRIC=RULE, such as matcher.f1='>= 0.9'")
    if evaluator == RUN and metric not in RUN_METRICS:
        raise ValueError(f"a run has no metric {metric!r}; it has {', '.join(RUN_METRICS)}")
    rule = parse_rule(written)
    better = default_better(evaluator, metric, rule)
    threshold = Threshold(evaluator=evaluator, metric=metric, rule=rule, better=better, file=source)
    if misfit := next(misfits(threshold), None):
        raise ValueError("; ".join(misfit))
    return threshold
