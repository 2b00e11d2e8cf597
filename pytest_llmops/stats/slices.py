"""Groups of rows by a column: how each does, and whether one of them is too weak.

A look at many small groups finds a weak one by chance. So a slice fails its rule only where its own rows show, after
Holm's correction over all slices, that it is not chance; what merely looks weak is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pytest_llmops.records.estimates import SliceScore
from pytest_llmops.records.experiment import Experiment, Threshold
from pytest_llmops.records.gate import CellResult, Verdict
from pytest_llmops.stats.intervals import interval_of
from pytest_llmops.stats.multiplicity import holm
from pytest_llmops.stats.shortfall import shortfall_test

ALPHA = 0.05
_WORST = 3


def worst_slices(
    result: CellResult, scores: Mapping[int, float], threshold: Threshold, experiment: Experiment
) -> tuple[SliceScore, ...]:
    """Return the slices that are furthest on the bad side, over all columns that the experiment slices by."""
    columns = (threshold.by,) if threshold.by else experiment.slices
    sign = 1 if threshold.better == "higher" else -1
    found = [
        (sign * fmean(group), -len(group), column, value, group)
        for column in columns
        for value, group in _groups(result.columns.get(column, ()), scores).items()
    ]
    return tuple(
        SliceScore(
            column=column,
            value=value,
            score=fmean(group),
            n=len(group),
            interval=interval_of(group, method=experiment.gate.interval),
        )
        for _, _, column, value, group in sorted(found)[:_WORST]
    )


def judge_slices(
    result: CellResult, scores: Mapping[int, float], threshold: Threshold, column: str, experiment: Experiment
) -> tuple[Verdict, str]:
    """Decide whether every slice by a column keeps the rule, and say why."""
    groups = _groups(result.columns.get(column, ()), scores)
    means = {value: fmean(group) for value, group in groups.items()}
    outside = [value for value, mean in means.items() if not threshold.rule.accepts(mean)]
    shown = {value: shortfall_test(group, threshold.rule) for value, group in groups.items()}
    p_values = holm({value: 1.0 if p is None else p for value, p in shown.items()})
    failing = [value for value in outside if p_values[value] < ALPHA]
    if failing:
        each = (f"{means[value]:.4g}, n = {len(groups[value])} (p = {p_values[value]:.2g})" for value in failing)
        worst = ", ".join(each)
        return "FAIL", f"{len(failing)} of {len(groups)} slices by {column} are outside the rule: {worst}, Holm"
    if outside:
        what = f"{len(outside)} of {len(groups)} slices by {column} are outside the rule"
        return "INCONCLUSIVE", f"{what}, none so clearly that it is not chance (Holm over {len(groups)} slices)"
    return "PASS", f"{len(groups)} slices by {column}"


def _groups(values: Sequence[str], scores: Mapping[int, float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for number, score in scores.items():
        groups.setdefault(values[number] if number < len(values) else "", []).append(score)
    return groups
