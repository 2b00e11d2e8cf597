"""What each part of a demand on a metric comes to: its rule, its slices, and what is demanded of rows."""

from __future__ import annotations

import math

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.experiment import RUN, Experiment, Threshold
from pytest_llmops.records.gate import CellResult
from pytest_llmops.rules import ANY, Rule
from pytest_llmops.stats.against_baseline import Contrast, clusters_of
from pytest_llmops.stats.agreement import Agreement
from pytest_llmops.stats.intervals import confidence_interval, interval_of
from pytest_llmops.stats.measuring import Measurement
from pytest_llmops.stats.row_findings import Finding, of_agreement, of_baseline, of_must_pass
from pytest_llmops.stats.rows import worst_rows
from pytest_llmops.stats.slices import judge_slices


def findings(
    result: CellResult,
    threshold: Threshold,
    experiment: Experiment,
    measured: Measurement,
    *,
    around: Interval | None,
    found: Contrast | Agreement | str | None,
    p_value: float | None,
) -> list[Finding]:
    """Return what each part of a demand came to, one at least. ``around`` is the metric's confidence interval."""
    if measured.value is None or measured.problems:
        return [Finding("ERROR", "; ".join(measured.problems) or "there is no value")]
    if threshold.by is not None:
        parts = [_of_slices(result, threshold, experiment, measured)]
    else:
        parts = [_of_rule(result, threshold, experiment, measured, around)]
        if threshold.must_pass:
            parts.append(of_must_pass(result, threshold, experiment, measured))
        if isinstance(found, Agreement):
            parts.append(of_agreement(found))
        elif threshold.compares:
            parts.append(of_baseline(threshold, found, p_value))
        if missing := _unscored(result, threshold, measured):
            parts.append(Finding("PASS", missing))
        if measured.doubt:
            parts.append(Finding("INCONCLUSIVE", measured.doubt))
    if measured.guessed and _needs_rows(threshold) and all(part.verdict == "PASS" for part in parts):
        sure = f"name the output under 'scores:' of evaluator '{threshold.evaluator}' to be sure"
        guess = f"the scores are taken from '{measured.output}', which is the same in every row; {sure}"
        parts.append(Finding("PASS", guess))
    return parts


def _needs_rows(threshold: Threshold) -> bool:
    by_row = threshold.must_pass or threshold.compares or threshold.by
    return bool(by_row) or threshold.confidence is not None


def _of_rule(
    result: CellResult,
    threshold: Threshold,
    experiment: Experiment,
    measured: Measurement,
    around: Interval | None,
) -> Finding:
    rule, value = threshold.rule, measured.value
    if rule == ANY or value is None:
        return Finding("PASS")
    if not rule.accepts(value):
        return Finding("FAIL", "", _blamed(result, threshold, measured))
    if threshold.confidence is not None:
        return _of_bound(result, threshold, experiment, measured)
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


def _unscored(result: CellResult, threshold: Threshold, measured: Measurement) -> str:
    """Say what the numbers do not: rows that are missing from the metric within what the policy allows."""
    evaluation = result.evaluations.get(threshold.evaluator)
    if evaluation is None:
        return ""
    unscored = evaluation.expected_rows - measured.n
    return f"{unscored} of {evaluation.expected_rows} rows failed and are not in it" if unscored > 0 else ""


def percent(share: float | None) -> str:
    """Write a share in percent: ``95 %``."""
    return f"{100 * (share or 0):g} %"
