"""Is a candidate worse than its baseline, by more than a margin? Decided on the rows that both have.

Absence of evidence is not evidence of absence: PASS has to be shown, and what is not significant is INCONCLUSIVE.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.experiment import Better, IntervalMethod
from pytest_llmops.records.gate import Verdict
from pytest_llmops.samplesize import rows_to_show_unchanged
from pytest_llmops.stats.intervals import (
    bca_interval,
    check_scores,
    cluster_interval,
    is_binary,
    t_interval,
)
from pytest_llmops.stats.pairs import ALPHA, MIN_ROWS, mcnemar, sign_flip, tango
from pytest_llmops.stats.power import rows_for_margin

_LEVEL = 1 - 2 * ALPHA
_FEW_CHANGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Scores of a candidate against those of its baseline, row by row.

    ``delta`` is the mean of candidate - baseline, in the metric's units. ``n`` counts ``unit``: rows, or clusters of
    them. ``interval`` is the two-sided 90 % one of ``delta``, so each end is a one-sided 95 % bound. ``p_value`` is of
    the one-sided ``test`` that the candidate is worse. All three are None or empty where ``n`` is under 10, the
    interval also where all scores are one and the same. ``worse``, ``better`` and ``equal`` count rows. ``variance`` is
    the mean square of a difference, for 0/1 scores the share of rows that flipped; ``reach`` is the largest difference
    that a row can have: 1 for 0/1 scores, else the range of all scores.
    """

    delta: float
    n: int
    interval: Interval | None
    p_value: float | None
    test: str
    worse: int
    better: int
    equal: int
    variance: float
    reach: float
    unit: str = "rows"


def compare_pairs(
    candidate: Sequence[float],
    baseline: Sequence[float],
    *,
    better: Better,
    clusters: Sequence[str] | None = None,
    method: IntervalMethod = "t",
    level: float = _LEVEL,
) -> Pairs:
    """Compare the scores of the same rows in the same order. ``level`` is that of the interval of the difference.

    0/1 scores: McNemar's exact test and Tango's interval. Others: the sign-flip test, and Student's or the bootstrap
    interval of the mean difference. Clusters: the sign-flip test of their sums, and the cluster-robust interval.

    Raises:
        ValueError: where there are no scores, one is not finite, or the lengths differ.
    """
    check_scores(candidate, clusters)
    check_scores(baseline)
    if len(candidate) != len(baseline):
        raise ValueError(f"{len(candidate)} scores of the candidate but {len(baseline)} of the baseline")
    differences = [_difference(new, old) for new, old in zip(candidate, baseline, strict=True)]
    sums = _sums(differences, clusters)
    up, down = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    gains = [value if better == "higher" else -value for value in sums]
    binary = is_binary([*candidate, *baseline])
    reach = 1.0 if binary else max(*candidate, *baseline) - min(*candidate, *baseline)
    enough = len(sums) >= MIN_ROWS
    interval, p_value, test = None, None, ""
    if enough and binary and clusters is None:
        interval = tango(down, up, len(sums), level)
        p_value, test = mcnemar(*((down, up) if better == "higher" else (up, down))), "exact McNemar test"
    elif enough:
        interval = _interval(differences, sums, clusters, method=method, reach=reach, level=level)
        p_value, test = sign_flip(gains), "sign-flip test"
    return Pairs(
        delta=math.fsum(differences) / len(differences),
        n=len(sums),
        interval=interval,
        p_value=p_value,
        test=test,
        worse=down if better == "higher" else up,
        better=up if better == "higher" else down,
        equal=len(differences) - up - down,
        variance=len(sums) * math.fsum(value**2 for value in sums) / len(differences) ** 2,
        reach=reach,
        unit="rows" if clusters is None else "clusters",
    )


def noninferior(
    pairs: Pairs,
    margin: float,
    *,
    better: Better,
    p_value: float | None,
    same_outputs: bool,
    reference: str = "the baseline",
) -> tuple[Verdict, str]:
    """Decide, and say why in one line. ``p_value`` is the one of ``pairs``, adjusted for the family it is part of.

    ``reference`` names what the pairs compare with.

    PASS where the one-sided 95 % bound of the difference keeps the margin, or where all outputs are the same as in the
    baseline; else FAIL where the candidate is significantly worse; else INCONCLUSIVE, and always so under 10 rows.

    Raises:
        ValueError: where the margin is negative or not finite.
    """
    if not (margin >= 0 and math.isfinite(margin)):
        raise ValueError(f"margin is {margin}, not a finite number of at least 0")
    rows = pairs.worse + pairs.better + pairs.equal
    if same_outputs:
        return "PASS", f"all {rows} outputs are the same as in {reference}{_judged_otherwise(pairs)}"
    if pairs.n < MIN_ROWS:
        few = f"under {MIN_ROWS} {pairs.unit} nothing is tested; write keep_passing for so few"
        return "INCONCLUSIVE", f"{_flips(pairs)}: delta {pairs.delta:+.4g} on {_count(pairs)}; {few}"
    bound = _bound(pairs, better)
    found = f"delta {pairs.delta:+.4g} on {_count(pairs)}, {_flips(pairs)}"
    limit = f"margin {margin:g}"
    if bound is not None:
        sign = 1 if better == "higher" else -1
        found += f"; 95 % bound {sign * bound:+.4g}, {limit}"
        if bound > -margin:
            return "PASS", f"not worse by more than the margin: {found}"
    else:
        found += f"; no bound, as all scores are one and the same; {limit}"
    adjusted = "" if p_value == pairs.p_value else ", Holm-adjusted"
    tested = "not tested" if p_value is None else f"p = {p_value:.2g}, {pairs.test}{adjusted}"
    if p_value is not None and p_value < ALPHA:
        return "FAIL", f"significantly worse: {found}; {tested}"
    return "INCONCLUSIVE", f"neither shown to keep the margin nor significantly worse: {found}; {tested}; " + _remedy(
        pairs, margin
    )


def _judged_otherwise(pairs: Pairs) -> str:
    changed = pairs.worse + pairs.better
    return f"; the evaluator gave {changed} of them another score" if changed else ""


def _bound(pairs: Pairs, better: Better) -> float | None:
    """Return the one-sided 95 % bound of how much better the candidate is."""
    if pairs.interval is None:
        return None
    return pairs.interval.low if better == "higher" else -pairs.interval.high


def _remedy(pairs: Pairs, margin: float) -> str:
    if margin == 0:
        return "no number of rows shows that an unchanged flow keeps a margin of 0"
    if not pairs.reach:
        return "scores that do not vary show nothing"
    rows = max(rows_for_margin(margin, discordant=pairs.variance), rows_to_show_unchanged(margin / pairs.reach))
    return f"if nothing got worse, about {rows} {pairs.unit} would show it"


def _count(pairs: Pairs) -> str:
    rows = pairs.worse + pairs.better + pairs.equal
    return f"{rows} rows" if pairs.unit == "rows" else f"{rows} rows in {pairs.n} clusters"


def _flips(pairs: Pairs) -> str:
    return f"{pairs.worse} worse and {pairs.better} better"


def _interval(
    differences: Sequence[float],
    sums: Sequence[float],
    clusters: Sequence[str] | None,
    *,
    method: IntervalMethod,
    reach: float,
    level: float,
) -> Interval | None:
    """Find the interval of the mean difference; ``reach`` is the largest difference that a row can have.

    Where few rows changed, their spread says little of what rows not seen would do. Then the interval is at least as
    wide as that of 0/1 scores none of which changed, in units of ``reach``.
    """
    if clusters is not None:
        found = cluster_interval(differences, clusters, level)
    else:
        found = (bca_interval if method == "bca" else t_interval)(differences, level)
    if found is not None and sum(value != 0 for value in sums) >= _FEW_CHANGES:
        return found
    if not reach:
        return None
    delta = math.fsum(differences) / len(differences)
    least = reach * tango(0, 0, len(sums), level).high
    low, high = (delta, delta) if found is None else (found.low, found.high)
    name = "range" if found is None else f"{found.method}, range"
    return Interval(low=min(low, delta - least), high=max(high, delta + least), level=level, method=name)


def _difference(new: float, old: float) -> float:
    """Subtract, so that what rounding leaves of equal scores is no difference."""
    return 0.0 if math.isclose(new, old, rel_tol=1e-12, abs_tol=1e-12) else new - old


def _sums(differences: Sequence[float], clusters: Sequence[str] | None) -> list[float]:
    if clusters is None:
        return list(differences)
    sums: defaultdict[str, list[float]] = defaultdict(list)
    for cluster, value in zip(clusters, differences, strict=True):
        sums[cluster].append(value)
    return [math.fsum(values) for values in sums.values()]
