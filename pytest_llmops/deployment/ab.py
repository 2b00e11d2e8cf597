"""A/B: which of two deployments should take the traffic, by what both answered to the same rows. Pure.

The candidate has to keep the experiment's own thresholds, and to be shown no worse than the baseline: by the margin
that a threshold has, or by one for all scores from 0 to 1. What is not shown leaves the traffic where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.records.experiment import RUN, Experiment, Threshold
from pytest_llmops.records.gate import CellResult, GateResult, Verdict
from pytest_llmops.rules import ANY
from pytest_llmops.stats.measuring import measure

MARGIN = 0.05
"""How much worse a score from 0 to 1 may be, where its threshold does not say it: 5 points, as for ``max_drop``."""
_GRAVEST: Sequence[Verdict] = ("ERROR", "FAIL", "INCONCLUSIVE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The verdict on the candidate, and the gates that it rests on: those that are no PASS, or else all compared."""

    verdict: Verdict
    grounds: tuple[GateResult, ...] = ()


def with_margins(experiment: Experiment, cells: Sequence[CellResult], margin: float) -> Experiment:
    """Have the thresholds that can be compared row by row compare, those that have no margin of their own by this one.

    Scores of other ranges, such as ratings and seconds, mean nothing that a margin for all could be made of.
    """
    marks = (_with_margin(threshold, experiment, cells, margin) for threshold in experiment.thresholds)
    return replace(experiment, baseline=None, thresholds=tuple(marks))


def without_comparisons(experiment: Experiment) -> Experiment:
    """Have thresholds demand only what can be told without a baseline."""
    alone = (replace(threshold, margin=None, keep_passing=False) for threshold in experiment.thresholds)
    demanding = (threshold for threshold in alone if threshold.rule != ANY or threshold.must_pass)
    return replace(experiment, baseline=None, thresholds=tuple(demanding))


def choose(gates: Sequence[GateResult]) -> Choice:
    """Decide by the candidate's gates: PASS, and it should take the traffic; anything else, and it should not.

    A PASS needs a comparison: without one nothing tells the two apart.
    """
    blocking = [gate for gate in gates if gate.blocking]
    compared = tuple(gate for gate in blocking if gate.comparison is not None)
    for verdict in _GRAVEST:
        if grounds := tuple(gate for gate in blocking if gate.verdict == verdict):
            return Choice(verdict=verdict, grounds=grounds)
    return Choice(verdict="PASS" if compared else "INCONCLUSIVE", grounds=compared)


def verdict_lines(choice: Choice, baseline: str, candidate: str, shown: Callable[[GateResult], str]) -> Iterator[str]:
    """Say in words what was decided, and by what. ``shown`` writes a gate on one line."""
    words = {
        "PASS": f"'{candidate}' is shown to be no worse than '{baseline}': it can take the traffic",
        "FAIL": f"'{candidate}' does not do: '{baseline}' keeps the traffic",
        "INCONCLUSIVE": f"it is not shown that '{candidate}' is no worse: '{baseline}' keeps the traffic",
        "ERROR": f"'{candidate}' and '{baseline}' can't be compared: '{baseline}' keeps the traffic",
    }
    yield f"{choice.verdict}: {words[choice.verdict]}"
    if not choice.grounds:
        yield "  no threshold that blocks has scores of rows to compare; add one on an evaluator's metric"
    yield from (f"  {shown(gate)}" for gate in choice.grounds)


def _with_margin(threshold: Threshold, experiment: Experiment, cells: Sequence[CellResult], margin: float) -> Threshold:
    if threshold.compares or threshold.by or threshold.evaluator == RUN:
        return threshold
    mine = [cell for cell in cells if _concerns(threshold, cell)]
    scores = [measure(cell, threshold, experiment).scores for cell in mine]
    comparable = bool(scores) and all(scores) and all(0 <= score <= 1 for part in scores for score in part.values())
    return replace(threshold, margin=margin) if comparable else threshold


def _concerns(threshold: Threshold, cell: CellResult) -> bool:
    return threshold.dataset in (None, cell.cell.dataset) and threshold.evaluator in cell.evaluations
