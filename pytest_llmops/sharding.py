"""Divides the cells of a session among shards: the same division on every agent, known from the files alone.

What a shard decides has to be final, so cells whose verdicts depend on each other stay together. A division depends on
neither the order of files nor what was executed before. Pure.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.plan import CellPlan
from pytest_llmops.records.report import Shard

_UNKNOWN_ROWS = 100
"""Rows that a dataset is taken to have where its file does not tell."""

_Tie = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Cells, by key and sorted, whose verdicts depend on no other cell. ``cost`` is about how many lines they run."""

    cells: tuple[str, ...]
    cost: int


def units(plans: Iterable[CellPlan]) -> list[Unit]:
    """Group cells into the smallest units that can be decided each by itself. Every cell is in exactly one."""
    tied: dict[_Tie, list[CellPlan]] = defaultdict(list)
    for plan in plans:
        for tie in _ties(plan):
            tied[tie].append(plan)
    left = set(tied)
    return [_unit(members) for tie in tied if (members := _reached(tie, tied, left))]


def assign(work: Iterable[Unit], count: int) -> dict[str, int]:
    """Tell for each cell which of ``count`` shards it is in, from 1.

    The unit that costs most goes first, each to the shard with the least to do so far: no shard has more to do than an
    even share and the largest unit together. Source: R. L. Graham, Bounds on multiprocessing timing anomalies, 1969.
    """
    shards: dict[str, int] = {}
    ordered = sorted(work, key=lambda unit: (-unit.cost, unit.cells))
    loads = [(0, shard) for shard in range(1, min(count, len(ordered)) + 1)]
    for unit in ordered:
        load, shard = loads[0]
        heapq.heapreplace(loads, (load + unit.cost, shard))
        shards |= dict.fromkeys(unit.cells, shard)
    return shards


def cells_of(plans: Sequence[CellPlan], shard: tuple[int, int] | None) -> set[str]:
    """Return the keys of the cells that are in a shard, such as (2, 5); of all cells where the work is not divided."""
    if shard is None:
        return {plan.key for plan in plans}
    index, count = shard
    return {key for key, number in assign(units(plans), count).items() if number == index}


def idle_reason(shard: Shard) -> str:
    """Say why the gate of a shard is closed that has nothing to do. Of the whole it says nothing."""
    return f"shard {shard} has nothing to do; the gate of the whole is made by llmops merge"


def _ties(plan: CellPlan) -> Iterator[_Tie]:
    """Yield what ties a cell to others: cells that have one of them in common are decided on together.

    These are the cells that ``judging.Judge`` looks at to decide on this one.
    """
    path, variant, policy = plan.cell.experiment, plan.cell.variant.id, plan.experiment.gate
    yield path, "cell", plan.cell.id
    if policy.require == "best" and plan.reference is None:
        yield path, "best"
    everyone = policy.require == "all" and plan.reference is None
    for severity in {threshold.severity for threshold in plan.thresholds if threshold.margin is not None}:
        yield path, "family", severity, "" if everyone else variant
    if plan.reference is not None:
        yield path, "cell", plan.reference.id
        return
    baseline = plan.experiment.baseline and plan.experiment.baseline.variant
    compares = any(threshold.compares for threshold in plan.thresholds)
    if baseline is not None and (compares or variant == baseline):
        yield path, "reference", plan.cell.dataset


def _reached(start: _Tie, tied: Mapping[_Tie, Sequence[CellPlan]], left: set[_Tie]) -> list[CellPlan]:
    """Return the cells that are tied to each other from ``start`` on, and take their ties from those that are left."""
    members: dict[str, CellPlan] = {}
    todo = [start]
    while todo:
        tie = todo.pop()
        if tie in left:
            left.remove(tie)
            members |= {plan.key: plan for plan in tied[tie]}
            todo += (other for plan in tied[tie] for other in _ties(plan))
    return list(members.values())


def _unit(plans: Sequence[CellPlan]) -> Unit:
    return Unit(cells=tuple(sorted(plan.key for plan in plans)), cost=sum(map(_cost, plans)))


def _cost(plan: CellPlan) -> int:
    rows = _UNKNOWN_ROWS if plan.expected_rows is None else plan.expected_rows
    return rows * (1 + len(plan.evaluations)) * len(plan.executions)
