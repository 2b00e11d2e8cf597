"""Decides on the demands of an experiment's cells, where a verdict may depend on what became of the other cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.parity import reference_name
from pytest_llmops.plan import CellPlan
from pytest_llmops.records.experiment import RUN, Severity, Threshold
from pytest_llmops.records.gate import Cell, CellResult, Demand, GateResult
from pytest_llmops.stats.against_baseline import Contrast, Reference, contrast
from pytest_llmops.stats.agreement import Agreement, agreement
from pytest_llmops.stats.gates import judge_metric, judge_run, report_evaluator, required_variants
from pytest_llmops.stats.joining import SAVE_COMMAND
from pytest_llmops.stats.measuring import Measurement, measure
from pytest_llmops.stats.multiplicity import holm

BaselineOf = Callable[[CellPlan], CellResult]
"""Gives the baseline's result of a cell, or raises LLMOpsError that says why there is none."""

_Place = tuple[str, str]


class Judge:
    """Judges the cells of one experiment.

    ``result_of`` gives the result of any of them, waiting for it if need be; ``baseline_of`` what it is compared with,
    unless the experiment compares with one of its own variants. Candidates are compared with the flow's own cell, and
    with that of the baseline only where it is not among ``plans``.
    """

    def __init__(
        self,
        plans: Sequence[CellPlan],
        result_of: Callable[[CellPlan], CellResult],
        baseline_of: BaselineOf | None = None,
    ) -> None:
        self._plans = plans
        self._result_of = result_of
        self._baseline_of = baseline_of
        self._experiment = plans[0].experiment
        self._measured: dict[_Place, Measurement] = {}
        self._contrasts: dict[_Place, Contrast | str] = {}
        self._agreements: dict[str, Agreement] = {}
        self._families: dict[tuple[str, Severity], dict[_Place, float]] = {}

    def decide(self, plan: CellPlan, demand: Demand) -> GateResult:
        """Decide on one demand of one cell."""
        blocking = plan.cell.variant.id in self._blocking
        gate = self._judge(plan, demand, blocking=blocking)
        return replace(gate, blocking=False, optional=True) if is_candidate(plan) and not blocking else gate

    def _judge(self, plan: CellPlan, demand: Demand, *, blocking: bool = True) -> GateResult:
        result, threshold = self._result_of(plan), demand.threshold
        if threshold is None:
            if demand.name == RUN:
                return judge_run(result, plan.experiment)
            return report_evaluator(result, demand.name, plan.experiment)
        return judge_metric(
            result,
            threshold,
            plan.experiment,
            self._measure(plan, threshold),
            blocking=blocking,
            found=self._compared(plan, threshold) if threshold.compares else None,
            p_value=None if threshold.margin is None else self._p_values(plan, threshold).get(_place(plan, threshold)),
        )

    @cached_property
    def _blocking(self) -> frozenset[str]:
        return blocking_variants(self._plans, self._gates_of)

    def _gates_of(self, variant: str) -> Iterator[GateResult]:
        for plan in self._plans:
            if plan.cell.variant.id == variant:
                yield from (self._judge(plan, demand) for demand in plan.demands)

    def _measure(self, plan: CellPlan, threshold: Threshold) -> Measurement:
        place = _place(plan, threshold)
        if place not in self._measured:
            self._measured[place] = (
                self._agreement(plan).measured
                if threshold.is_agreement
                else measure(self._result_of(plan), threshold, plan.experiment)
            )
        return self._measured[place]

    def _compared(self, plan: CellPlan, threshold: Threshold) -> Contrast | Agreement | str:
        return self._agreement(plan) if threshold.is_agreement else self._contrast(plan, threshold)

    def _agreement(self, plan: CellPlan) -> Agreement:
        if plan.key not in self._agreements:
            found = agreement(self._result_of(plan), plan.experiment, self._reference(plan))
            self._agreements[plan.key] = found
        return self._agreements[plan.key]

    def _contrast(self, plan: CellPlan, threshold: Threshold) -> Contrast | str:
        place = _place(plan, threshold)
        if place not in self._contrasts:
            measured = self._measure(plan, threshold)
            self._contrasts[place] = contrast(
                self._result_of(plan), measured, threshold, plan.experiment, self._reference(plan)
            )
        return self._contrasts[place]

    def _reference(self, plan: CellPlan) -> Reference:
        if plan.reference is not None:
            return self._reference_of_candidate(plan, plan.reference)
        source = self._experiment.baseline
        variant = source.variant if source else None
        try:
            if variant is not None and self._baseline_of is None:
                name = f"variant {variant}"
                return Reference(name=name, cell=self._result_of(self._sibling(plan, variant)), saved=False)
            if self._baseline_of is None:
                return Reference(name="", problem="there is no baseline; give one with --llmops-baseline")
            return Reference(name="baseline", cell=self._baseline_of(plan))
        except LLMOpsError as error:
            return Reference(name="baseline", problem=str(error))

    def _reference_of_candidate(self, plan: CellPlan, cell: Cell) -> Reference:
        """Return the result of the flow itself: that of this session, else that of the baseline."""
        name = reference_name(plan.experiment, cell)
        if (sibling := next((other for other in self._plans if other.cell.id == cell.id), None)) is not None:
            return Reference(name=name, cell=self._result_of(sibling), saved=False, is_flow=True)
        todo = f"run the flow too, or save what it gives with: {SAVE_COMMAND}"
        if self._baseline_of is None:
            return Reference(name=name, problem=f"{name} was not run, and there is no baseline file; {todo}")
        try:
            found = self._baseline_of(replace(plan, cell=cell))
            return Reference(name=f"{name} (baseline)", cell=found, is_flow=True)
        except LLMOpsError as error:
            what = str(error).rpartition("; ")[0] or str(error)
            return Reference(name=name, problem=f"{name} was not run, and {what}; {todo}")

    def _sibling(self, plan: CellPlan, variant: str) -> CellPlan:
        """Find the cell of another variant on the same dataset."""
        for other in self._plans:
            if other.cell.dataset == plan.cell.dataset and other.cell.variant.id == variant:
                return other
        known = ", ".join(dict.fromkeys(other.cell.variant.id for other in self._plans))
        raise LLMOpsError(f"llmops.baseline: variant '{variant}' is not run; those that are: {known}")

    def _p_values(self, plan: CellPlan, threshold: Threshold) -> Mapping[_Place, float]:
        """Correct the p-values of a family of comparisons by Holm's method: a false alarm in any closes the gate.

        The family are all comparisons with the baseline that a variant's cells make, or those of all variants where
        all must pass. Those that only warn can't close the gate: they are a family of their own, and so is each
        candidate. It does not depend on what was selected to run.
        """
        variant = plan.cell.variant.id
        family = variant, threshold.severity
        if family not in self._families:
            everyone = self._experiment.gate.require == "all" and not is_candidate(plan)
            own = [other for other in self._plans if not is_candidate(other)]
            others = own if everyone else [other for other in self._plans if other.cell.variant.id == variant]
            found = (self._raw_p_values(other, threshold.severity) for other in others if not self._is_baseline(other))
            self._families[family] = holm(dict(chain.from_iterable(found)))
        return self._families[family]

    def _raw_p_values(self, plan: CellPlan, severity: Severity) -> Iterator[tuple[_Place, float]]:
        for threshold in plan.thresholds:
            if threshold.margin is None or threshold.severity != severity:
                continue
            found = self._contrast(plan, threshold)
            if isinstance(found, Contrast) and found.pairs and found.pairs.p_value is not None:
                yield _place(plan, threshold), found.pairs.p_value

    def _is_baseline(self, plan: CellPlan) -> bool:
        """Tell whether a cell is what its siblings are compared with, so that to compare it shows nothing."""
        source = self._experiment.baseline
        return self._baseline_of is None and source is not None and source.variant == plan.cell.variant.id


def is_candidate(plan: CellPlan) -> bool:
    """Tell whether a cell is of a candidate, not of the flow itself."""
    return plan.cell.variant.is_candidate


def blocking_variants(plans: Sequence[CellPlan], gates_of: Callable[[str], Iterable[GateResult]]) -> frozenset[str]:
    """Tell, by id, which variants and candidates of an experiment's cells can close the gate.

    A candidate can where the file says so, or where nothing of the flow itself was selected. ``gates_of`` is that of
    ``required_variants``.
    """
    own = [plan.cell.variant for plan in plans if not is_candidate(plan)]
    candidates = plans[0].experiment.candidates
    required = frozenset(candidate.name for candidate in candidates if candidate.required or not own)
    return required_variants(plans[0].experiment.gate.require, own, gates_of) | required


def _place(plan: CellPlan, threshold: Threshold) -> _Place:
    return plan.key, threshold.name
