"""Thresholds that a command line gives, such as ``matcher.f1='>= 0.9'``, and what any of them demands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_llmops.records.experiment import RUN, Candidate, Experiment, Threshold
from pytest_llmops.rules import parse_rule
from pytest_llmops.spec.metrics import RUN_DEMANDS, default_better, misfits


def parse_threshold(text: str, source: str) -> Threshold:
    """Read ``EVALUATOR.METRIC=RULE``. ``source`` is the option that it was given with.

    Raises:
        ValueError: with a message for the user.
    """
    name, _, written = text.partition("=")
    evaluator, _, metric = name.strip().partition(".")
    if not metric:
        raise ValueError(f"{text!r} is not EVALUATOR.METRIC=RULE, such as matcher.f1='>= 0.9'")
    if evaluator == RUN and metric not in RUN_DEMANDS:
        raise ValueError(f"a run has no metric {metric!r}; it has {', '.join(RUN_DEMANDS)}")
    rule = parse_rule(written)
    better = default_better(evaluator, metric, rule)
    threshold = Threshold(evaluator=evaluator, metric=metric, rule=rule, better=better, file=source)
    if misfit := next(misfits(threshold), None):
        raise ValueError("; ".join(misfit))
    return threshold


def described(given: Sequence[Threshold]) -> str:
    """Write thresholds of a command line as reports have them: ``matcher.f1 >= 0.9; run.error_rate <= 0``."""
    return "; ".join(f"{threshold.name} {threshold.rule.text}" for threshold in given)


def placeless(thresholds: Iterable[Threshold]) -> list[Threshold]:
    """Return thresholds without their places: where one is written makes no difference to what it demands."""
    return [replace(threshold, file="", line=0) for threshold in thresholds]


def with_rules(experiment: Experiment, given: Sequence[Threshold]) -> Experiment:
    """Put the rules of the command line in place of those for the same metrics of an experiment, on all its datasets.

    What a threshold demands beside its rule, such as a comparison with the baseline, stays. Rules for evaluators that
    the experiment does not have are left out. A rule for agreement is for the candidates, and for the flow itself where
    that has a baseline.
    """
    evaluators = {evaluator.name for evaluator in experiment.evaluators} | {RUN}
    rules = {threshold.name: threshold for threshold in given if threshold.evaluator in evaluators}
    known = [_with_rule_of(rules[t.name], t) if t.name in rules else t for t in experiment.thresholds]
    everywhere = {threshold.name for threshold in known if threshold.dataset is None}
    compares = experiment.baseline is not None or not experiment.candidates
    added = (t for t in rules.values() if t.name not in everywhere and (compares or not t.is_agreement))
    agreement = next((threshold for threshold in rules.values() if threshold.is_agreement), None)
    candidates = (c if agreement is None else _with_agreement(c, agreement) for c in experiment.candidates)
    return replace(experiment, thresholds=(*known, *added), candidates=tuple(candidates))


def _with_agreement(candidate: Candidate, given: Threshold) -> Candidate:
    known = candidate.agreement
    return replace(candidate, agreement=_with_rule_of(given, known) if known else given)


def _with_rule_of(given: Threshold, known: Threshold) -> Threshold:
    return replace(
        known,
        rule=given.rule,
        better=known.better if known.compares or known.must_pass else given.better,
        severity=given.severity,
        file=given.file,
        line=given.line,
    )
