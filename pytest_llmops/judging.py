"""Decides on the demands of an experiment's cells: whether one may block depends on what became of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from pytest_llmops.plan import CellPlan
from pytest_llmops.records.gate import CellResult, Demand, GateResult
from pytest_llmops.stats.gates import judge, required_variants


class Judge:
    """Judges the cells of one experiment. ``result_of`` gives the result of any of them, waiting for it if need be."""

    def __init__(self, plans: Sequence[CellPlan], result_of: Callable[[CellPlan], CellResult]) -> None:
        self._plans = plans
        self._result_of = result_of

    def decide(self, plan: CellPlan, demand: Demand) -> GateResult:
        """Decide on one demand of one cell."""
        blocking = plan.cell.variant.id in self._required
        return judge(self._result_of(plan), demand, plan.experiment.gate, blocking=blocking)

    @cached_property
    def _required(self) -> frozenset[str]:
        variants = [plan.cell.variant for plan in self._plans]
        return required_variants(self._plans[0].experiment.gate.require, variants, self._gates_of)

    def _gates_of(self, variant: str) -> Iterator[GateResult]:
        for plan in self._plans:
            if plan.cell.variant.id == variant:
                result = self._result_of(plan)
                yield from (judge(result, demand, plan.experiment.gate) for demand in plan.demands)
