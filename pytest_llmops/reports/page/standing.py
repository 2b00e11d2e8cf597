"""How the variants of an experiment stand against the one that decides: compared on the same rows, metric by metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_llmops.records.experiment import AGREEMENT, RUN
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.stats.comparing import MetricScores, metric_scores
from pytest_llmops.stats.intervals import is_binary
from pytest_llmops.stats.multiplicity import holm
from pytest_llmops.stats.noninferiority import compare_pairs
from pytest_llmops.stats.pairs import ALPHA, MIN_ROWS

MOST = 100_000
"""0/1 scores that are compared at most, over all variants and metrics of an experiment: some 10 microseconds each."""
_AGREEMENT = f"{RUN}.{AGREEMENT}"
_SLOWER = 5
"""How much longer other scores take: signs are sampled for their test."""

Word = Literal["better", "worse", "alike", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a metric of a variant is beside the same one of the variant that decides.

    ``alike`` is not told apart; ``unknown`` was not tested, and ``why`` says why. ``delta`` is the variant's mean minus
    the other's over the ``n`` rows that both have. ``p_value`` is two-sided and, with Holm's correction, so small that
    the risk of any wrong "better" or "worse" of the experiment is 5 %.
    """

    word: Word = "unknown"
    delta: float | None = None
    n: int | None = None
    p_value: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """All metrics with a rule of a cell, by name, beside those of ``reference``, the id of another cell."""

    reference: str
    metrics: Mapping[str, Standing]


_Gates = Mapping[str, GateResult]


@dataclass(slots=True)
class _Budget:
    """How much more may be compared: nobody should have to wait for a page."""

    left: int

    def take(self, cost: int) -> bool:
        self.left -= cost
        return self.left >= 0


def stands(cells: Sequence[CellResult], gates: Sequence[GateResult]) -> dict[str, Stand]:
    """Compare each variant with the one that decides on its dataset, by id of cell; that one itself has no entry.

    Row N of a dataset is the same row for all variants of a session.
    """
    by_cell: dict[str, dict[str, GateResult]] = defaultdict(dict)
    for gate in gates:
        by_cell[gate.cell][gate.name] = gate
    budget = _Budget(MOST)
    found: dict[str, Stand] = {}
    for group in _groups(cells):
        reference = _reference(group, by_cell)
        known: dict[str, MetricScores] = {}
        for other in group:
            if other is not reference:
                found[other.cell.id] = _stand(reference, other, by_cell, known, budget)
    return _adjusted(found)


def _groups(cells: Sequence[CellResult]) -> list[list[CellResult]]:
    """Put cells together that ask the same: a flow on a dataset."""
    groups: dict[tuple[str, str], list[CellResult]] = defaultdict(list)
    for result in cells:
        groups[result.cell.flow, result.cell.dataset].append(result)
    return list(groups.values())


def _reference(group: Sequence[CellResult], gates: Mapping[str, _Gates]) -> CellResult:
    """Take the first variant whose metrics can close the gate, else the default one, else the first; no candidate."""

    def rank(result: CellResult) -> tuple[bool, int]:
        found = gates.get(result.cell.id, {}).values()
        decides = any(gate.blocking and gate.rule for gate in found)
        return result.cell.variant.is_candidate, 0 if decides else 1 if result.cell.variant.is_default else 2

    return min(group, key=rank)


def _stand(
    reference: CellResult,
    other: CellResult,
    gates: Mapping[str, _Gates],
    known: dict[str, MetricScores],
    budget: _Budget,
) -> Stand:
    """Compare two cells, not yet adjusted. ``known`` has what was found out of the reference, and is added to."""
    theirs, mine = gates.get(reference.cell.id, {}), gates.get(other.cell.id, {})
    metrics: dict[str, Standing] = {}
    for name, gate in mine.items():
        if gate.rule and name != _AGREEMENT:  # which is a comparison itself
            why = _why(name, theirs, mine) or _data_why(reference, other)
            if why:
                metrics[name] = Standing(why=why)
                continue
            before = known.get(name) or known.setdefault(name, _scores(reference, name))
            metrics[name] = _compare(before, _scores(other, name), gate, budget)
    return Stand(reference=reference.cell.id, metrics=metrics)


def _why(name: str, theirs: _Gates, mine: _Gates) -> str:
    """Say why a metric can't be compared, as far as its verdicts tell; nothing where it can be."""
    if name.startswith(f"{RUN}."):
        return "it is of the whole run, not of rows"
    if any(RUN in side and side[RUN].verdict == "ERROR" for side in (theirs, mine)):
        return "one of the two runs broke"
    sides = [side[name] for side in (theirs, mine) if name in side and side[name].verdict != "ERROR"]
    if len(sides) < 2 or any(side.value is None for side in sides):
        return "one of the two has no value"
    intervals = [side.interval for side in sides if side.interval is not None]
    if any("clusters" in interval.method for interval in intervals):
        return "its rows come in clusters: they are not independent"
    return "" if intervals else "no scores of rows are known"


def _data_why(reference: CellResult, other: CellResult) -> str:
    return "the two ran on other data" if reference.data and other.data and reference.data != other.data else ""


def _scores(result: CellResult, name: str) -> MetricScores:
    """Find the scores of a metric by its full name. Names of evaluators may have dots in them, too."""
    known = [evaluator for evaluator in result.evaluations if name.startswith(f"{evaluator}.")]
    evaluator = max(known, key=len, default="")
    return metric_scores(result, evaluator, name[len(evaluator) + 1 :])


def _compare(reference: MetricScores, other: MetricScores, gate: GateResult, budget: _Budget) -> Standing:
    """Test both directions, on the rows that have a score on both sides."""
    lines = sorted(reference.scores.keys() & other.scores.keys())
    if len(lines) < MIN_ROWS:
        few = f"there are fewer than {MIN_ROWS} rows to compare" if lines else "no row has a score on both sides"
        return Standing(why=other.why or reference.why or few)
    before, after = [reference.scores[line] for line in lines], [other.scores[line] for line in lines]
    if not budget.take(len(lines) * (1 if is_binary([*before, *after]) else _SLOWER)):
        return Standing(why="there are too many rows to compare in a page")
    # The smaller one of the two one-sided p-values, doubled, is that of the direction in which the mean moved.
    pairs = compare_pairs(after, before, better="higher" if sum(after) < sum(before) else "lower")
    if pairs.p_value is None:
        return Standing(why="nothing can be tested")
    gain = pairs.delta if gate.better == "higher" else -pairs.delta
    word: Word = "better" if gain > 0 else "worse" if gain < 0 else "alike"
    return Standing(word=word, delta=pairs.delta, n=len(lines), p_value=min(1.0, 2 * pairs.p_value))


def _adjusted(found: Mapping[str, Stand]) -> dict[str, Stand]:
    """Correct for all tests of an experiment, and claim no more than what is then significant."""
    given = {
        (cell, name): standing.p_value
        for cell, stand in found.items()
        for name, standing in stand.metrics.items()
        if standing.p_value is not None
    }
    p_values = holm(given)
    return {
        cell: replace(
            stand,
            metrics={name: _claimed(standing, p_values.get((cell, name))) for name, standing in stand.metrics.items()},
        )
        for cell, stand in found.items()
    }


def _claimed(standing: Standing, p_value: float | None) -> Standing:
    if p_value is None:
        return standing
    return replace(standing, p_value=p_value, word=standing.word if p_value < ALPHA else "alike")
