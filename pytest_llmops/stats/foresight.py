"""What a gate will be able to tell, before anything is run: how small a drop it notices, how often it is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_llmops.records.experiment import RUN, Threshold
from pytest_llmops.rules import Rule
from pytest_llmops.stats.measuring import Measurement
from pytest_llmops.stats.power import (
    chance_of_failing,
    margin_chances,
    smallest_drop_absolute,
    smallest_drop_paired,
    value_failing,
)

_HARDLY_EVER = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What one part of a gate can tell with ``n`` rows, if rows and answers were drawn anew for every run.

    ``drop`` is the smallest true change for the worse that it fails with 80 % power. ``failing`` and ``inconclusive``
    are the chances that it does so to a flow that did not change. None where that can't be told; ``steady`` is then, if
    anything is known at all, the value at which it fails one time in twenty.
    """

    demand: str
    n: int
    drop: float | None = None
    failing: float | None = None
    inconclusive: float | None = None
    steady: float | None = None


def foresee(
    threshold: Threshold, n: int, known: Measurement | None = None, reference: str = "the baseline"
) -> Iterator[Foresight]:
    """Foresee each part of a demand that is on a share of rows. ``known`` is the metric as it was last measured;
    ``reference`` names what it is compared with.

    Scores between 0 and 1 vary less than those that are 0 or 1, so for them a gate notices more than is said here. Of
    a metric that is not the mean of its rows' scores, nothing can be said.
    """
    is_share = threshold.evaluator != RUN or threshold.metric == "error_rate" or threshold.is_agreement
    if threshold.by is not None or not is_share:
        return
    if math.isfinite(threshold.rule.low) or math.isfinite(threshold.rule.high):
        yield _of_rule(threshold, n, known, reference)
    if threshold.margin is not None and _has_scores(known):
        chances = margin_chances(n, threshold.margin)
        yield Foresight(
            demand=f"at most {threshold.margin:g} worse than {reference}",
            n=n,
            drop=smallest_drop_paired(n, threshold.margin),
            failing=chances.failed,
            inconclusive=chances.inconclusive,
        )


def _has_scores(known: Measurement | None) -> bool:
    return known is None or bool(known.scores)


def _of_rule(threshold: Threshold, n: int, known: Measurement | None, reference: str) -> Foresight:
    rule, confidence = threshold.rule, threshold.confidence
    demand = rule.text if confidence is None else f"{rule.text} at {100 * confidence:g} % confidence"
    if threshold.is_agreement:
        demand += f" with {reference}"
    bound, mirrored = _bound(rule)
    if not _has_scores(known) or not 0 < bound <= 1 or (confidence is not None and bound == 1):
        return Foresight(demand=demand, n=n)
    value = known.value if known else None
    steady = value_failing(n, bound, _HARDLY_EVER, confidence=confidence)
    if value is None or not 0 <= value <= 1:
        return Foresight(demand=demand, n=n, steady=1 - steady if mirrored and steady is not None else steady)
    true = 1 - value if mirrored else value
    if true in (0, 1):  # n rows without an exception don't show that there is none
        true = (true * n + 0.5) / (n + 1)
    failing = chance_of_failing(n, true, bound)
    unshown = None if confidence is None else chance_of_failing(n, true, bound, confidence=confidence) - failing
    drop = smallest_drop_absolute(n, true, bound)
    return Foresight(demand=demand, n=n, drop=drop, failing=failing, inconclusive=unshown)


def _bound(rule: Rule) -> tuple[float, bool]:
    """Return the bound that a drop would cross, and whether it is one on what is left, as lower is better."""
    return (rule.low, False) if math.isfinite(rule.low) else (1 - rule.high, True)
