"""Demands on single rows, and on all of them against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmops.records.experiment import Experiment, Threshold
from pytest_llmops.records.gate import CellResult, Verdict
from pytest_llmops.stats.against_baseline import Contrast, kept_rows, listed, weigh
from pytest_llmops.stats.agreement import Agreement
from pytest_llmops.stats.joining import Joined
from pytest_llmops.stats.measuring import Measurement
from pytest_llmops.stats.passing import mark_problem, pass_mark, passes


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of a demand came to. A gate is as bad as its worst finding."""

    verdict: Verdict
    reason: str = ""
    details: tuple[str, ...] = ()
    weak: bool = False


def of_must_pass(result: CellResult, threshold: Threshold, experiment: Experiment, measured: Measurement) -> Finding:
    """Decide on rows that have to pass by themselves, those that are among the rows that were run."""
    if problem := _row_problem(result, threshold, measured):
        return Finding("ERROR", f"must_pass: {problem}")
    numbers = {key: number for number, key in enumerate(result.columns[result.key or ""])}
    asked = [key for key in threshold.must_pass if key not in experiment.gate.quarantine]
    if result.partial:
        asked = [key for key in asked if key in numbers]
    if not asked:
        return Finding("INCONCLUSIVE", "none of the rows that must pass was run and is not in quarantine")
    scores = {key: measured.scores.get(numbers.get(key, -1)) for key in asked}
    if missing := [key for key, score in scores.items() if score is None]:
        return Finding("ERROR", f"must_pass: {listed(missing)} without a score")
    mark = pass_mark(threshold)
    lost = [key for key, score in scores.items() if score is None or not passes(score, mark, threshold.better)]
    if lost:
        return Finding("FAIL", f"{len(lost)} of {_rows(asked)} that must pass did not", (listed(lost),))
    return Finding("PASS")


def _row_problem(result: CellResult, threshold: Threshold, measured: Measurement) -> str:
    """Say why nothing can be told of single rows, by their keys; nothing where it can be."""
    if not measured.scores:
        return f"needs the scores of rows, but {measured.why}"
    if result.key not in result.columns:
        return "needs the key of the rows, which was not read from the data"
    return mark_problem(threshold, measured.scores.values())


def of_agreement(found: Agreement) -> Finding:
    """Say what outputs were compared with, and which rows differ. The share itself is for the rule to decide on."""
    compared = f"outputs compared with those of {found.reference.name}"
    return Finding("PASS", compared, (*found.differing, *left_out(found.joined, found.reference.within)))


def of_baseline(threshold: Threshold, found: Contrast | str | None, p_value: float | None) -> Finding:
    """Decide on the comparison with the baseline: over all rows by the margin, row by row if they must keep passing."""
    if not isinstance(found, Contrast):
        return Finding("ERROR", found or "there is no baseline to compare with; give one with --llmops-baseline")
    verdict, reason = weigh(found, threshold, p_value)
    finding = Finding(verdict, reason, (*found.flips, *left_out(found.joined, found.reference.within)))
    return _keeping(threshold, found, finding) if threshold.keep_passing else finding


def _keeping(threshold: Threshold, found: Contrast, finding: Finding) -> Finding:
    """Add to the finding on all rows what became of those that passed in the baseline."""
    if found.pairs is None:
        return Finding("ERROR", f"'keep_passing' needs the scores of rows, but {found.why}")
    if problem := mark_problem(threshold, (score for pair in found.scores for score in pair)):
        return Finding("ERROR", f"keep_passing: {problem}")
    where = found.reference.within
    kept, lost = kept_rows(found, threshold)
    if lost:
        reason = f"{_rows(lost)} that passed in {where} no longer {'does' if len(lost) == 1 else 'do'}"
        reasons = "; ".join(filter(None, (finding.reason, reason)))
        return Finding("FAIL", reasons, (listed(lost), *finding.details))
    if not kept and finding.verdict == "PASS":
        reasons = "; ".join(filter(None, (finding.reason, f"no row passed in {where}, so none could fail")))
        return Finding("INCONCLUSIVE", reasons, finding.details)
    return finding


def left_out(joined: Joined, reference: str) -> tuple[str, ...]:
    """Name the rows that were not compared with what ``reference`` names, and why."""
    groups = [
        (joined.added, f"not in {reference}"),
        (joined.removed, f"only in {reference}"),
        (joined.changed, f"changed since {reference}"),
        (joined.unscored, "failed or without a score on one side"),
        (joined.quarantined, "quarantined"),
    ]
    return tuple(f"{what}, not compared: {listed(labels)}" for labels, what in groups if labels)


def _rows(labels: Sequence[str]) -> str:
    return f"{len(labels)} row{'s' * (len(labels) != 1)}"
