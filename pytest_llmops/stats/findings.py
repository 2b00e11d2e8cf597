"""What each part of a demand on a metric comes to: its rule, its rows that must pass, its baseline, its slices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.experiment import RUN, Experiment, Threshold
from pytest_llmops.records.gate import CellResult, Verdict
from pytest_llmops.rules import ANY, Rule
from pytest_llmops.stats.against_baseline import Contrast, clusters_of, lost_rows, weigh
from pytest_llmops.stats.intervals import confidence_interval, interval_of
from pytest_llmops.stats.measuring import Measurement, pass_mark
from pytest_llmops.stats.repeats import passes
from pytest_llmops.stats.rows import worst_rows
from pytest_llmops.stats.slices import judge_slices

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of a demand came to. A gate is as bad as its worst finding."""

    verdict: Verdict
    reason: str = ""
    details: tuple[str, ...] = ()
    weak: bool = False


def findings(
    result: CellResult,
    threshold: Threshold,
    experiment: Experiment,
    measured: Measurement,
    *,
    found: Contrast | str | None,
    p_value: float | None,
) -> Iterator[Finding]:
    """Yield what each part of a demand came to, one at least."""
    if measured.value is None or measured.problems:
        yield Finding("ERROR", "; ".join(measured.problems) or "there is no value")
        return
    if threshold.by is not None:
        yield _of_slices(result, threshold, experiment, measured)
        return
    yield _of_rule(result, threshold, experiment, measured)
    if threshold.must_pass:
        yield _of_must_pass(result, threshold, experiment, measured)
    if threshold.compares:
        yield _of_baseline(threshold, found, p_value)
    if missing := _unscored(result, threshold):
        yield Finding("PASS", missing)
    if measured.doubt:
        yield Finding("INCONCLUSIVE", measured.doubt)


def _of_rule(result: CellResult, threshold: Threshold, experiment: Experiment, measured: Measurement) -> Finding:
    rule, value = threshold.rule, measured.value
    if rule == ANY or value is None:
        return Finding("PASS")
    if not rule.accepts(value):
        return Finding("FAIL", "", _blamed(result, threshold, measured))
    if threshold.confidence is not None:
        return _of_bound(result, threshold, experiment, measured)
    around = interval(result, experiment, measured)
    if around and any(around.low < bound < around.high for bound in (rule.low, rule.high)):
        return Finding("PASS", weak=True)
    needless = threshold.evaluator == RUN or not measured.why
    return Finding("PASS", "" if needless else f"no interval is claimed: {measured.why}")


def _of_bound(result: CellResult, threshold: Threshold, experiment: Experiment, measured: Measurement) -> Finding:
    """Decide on the one-sided confidence bound of a value that itself keeps the rule."""
    if not measured.scores:
        return Finding("ERROR", f"'confidence' needs the scores of rows, but {measured.why}")
    bounds = confidence_interval(
        list(measured.scores.values()),
        clusters=clusters_of(result, experiment, list(measured.scores)),
        method=experiment.gate.interval,
        confidence=threshold.confidence or 0.0,
    )
    if bounds is None:
        return Finding("INCONCLUSIVE", "there is no confidence bound: the scores are too few, or all the same")
    shown = f"{percent(threshold.confidence)} confidence bound ({bounds.method})"
    ends = _ends(threshold.rule, bounds)
    for end in ends:
        if not threshold.rule.accepts(end):
            return Finding("INCONCLUSIVE", f"the value keeps the rule, its {shown} {end:.4g} does not")
    return Finding("PASS", f"{shown} {' and '.join(f'{end:.4g}' for end in ends)}")


def _ends(rule: Rule, bounds: Interval) -> list[float]:
    """Return those ends of an interval that a rule limits."""
    limits = ((bounds.low, rule.low), (bounds.high, rule.high))
    return [end for end, limit in limits if math.isfinite(limit)]


def _of_slices(result: CellResult, threshold: Threshold, experiment: Experiment, measured: Measurement) -> Finding:
    column = threshold.by or ""
    if not measured.scores:
        return Finding("ERROR", f"slices need the scores of rows, but {measured.why}")
    if column not in result.columns:
        return Finding("ERROR", f"column '{column}' of the data is not known; run the evaluation again")
    return Finding(*judge_slices(result, measured.scores, threshold, column, experiment))


def _of_must_pass(result: CellResult, threshold: Threshold, experiment: Experiment, measured: Measurement) -> Finding:
    """Decide on rows that have to pass by themselves."""
    if not measured.scores:
        return Finding("ERROR", f"'must_pass' needs the scores of rows, but {measured.why}")
    keys = result.columns.get(result.key or "", ())
    numbers = {key: number for number, key in enumerate(keys)}
    asked = [key for key in threshold.must_pass if key not in experiment.gate.quarantine]
    if unknown := [key for key in asked if numbers.get(key) not in measured.scores]:
        return Finding("ERROR", f"must_pass: {_listed(unknown)} without a score")
    mark = pass_mark(threshold)
    lost = [key for key in asked if not passes(measured.scores[numbers[key]], mark, threshold.better)]
    if lost:
        return Finding("FAIL", f"{len(lost)} of {len(asked)} rows that must pass did not", (_listed(lost),))
    return Finding("PASS")


def _of_baseline(threshold: Threshold, found: Contrast | str | None, p_value: float | None) -> Finding:
    if not isinstance(found, Contrast):
        return Finding("ERROR", found or "there is no baseline to compare with; give one with --llmops-baseline")
    verdict, reason = weigh(found, threshold, p_value)
    others = [
        (found.joined.added, "not in the baseline"),
        (found.joined.removed, "only in the baseline"),
        (found.joined.changed, "changed since the baseline"),
        (found.joined.unscored, "failed or without a score on one side"),
        (found.joined.quarantined, "quarantined"),
    ]
    details = (*found.flips, *(f"{what}, not compared: {_listed(labels)}" for labels, what in others if labels))
    if threshold.keep_passing:
        if found.pairs is None:
            return Finding("ERROR", f"'keep_passing' needs the scores of rows, but {found.why}")
        if lost := lost_rows(found, threshold):
            lost_text = "1 row that passed in the baseline no longer does"
            if len(lost) > 1:
                lost_text = f"{len(lost)} rows that passed in the baseline no longer do"
            reasons = (reason, lost_text)
            return Finding("FAIL", "; ".join(filter(None, reasons)), (_listed(lost), *details))
    return Finding(verdict, reason, details)


def _blamed(result: CellResult, threshold: Threshold, measured: Measurement) -> tuple[str, ...]:
    evaluation = result.evaluations.get(threshold.evaluator)
    if evaluation is None or measured.value is None:
        return ()
    if not measured.scores:
        return (f"the rows behind it are not known: {measured.why}",)
    return tuple(worst_rows(result, evaluation, measured, threshold.rule))


def interval(result: CellResult, experiment: Experiment, measured: Measurement) -> Interval | None:
    """Return the two-sided 95 % confidence interval of a metric, None where no scores of rows support one."""
    if not measured.scores:
        return None
    clusters = clusters_of(result, experiment, list(measured.scores))
    return interval_of(list(measured.scores.values()), clusters=clusters, method=experiment.gate.interval)


def _unscored(result: CellResult, threshold: Threshold) -> str:
    """Say what the numbers do not: rows that are missing from the metric within what the policy allows."""
    evaluation = result.evaluations.get(threshold.evaluator)
    if evaluation is None:
        return ""
    unscored = evaluation.expected_rows - len(evaluation.result.completed)
    return f"{unscored} of {evaluation.expected_rows} rows failed and are not in it" if unscored > 0 else ""


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(labels[:_SHOWN]) + more


def percent(share: float | None) -> str:
    """Write a share in percent: ``95 %``."""
    return f"{100 * (share or 0):g} %"
