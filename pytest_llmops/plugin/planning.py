"""``--llmops-plan``: a session that collects, says what it would do, and does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmops.plugin.collected import plan_of
from pytest_llmops.plugin.runtime import Runtime
from pytest_llmops.plugin.settings import Settings
from pytest_llmops.reports.plan import PlannedGate, PlannedRun, plan_lines

if TYPE_CHECKING:
    from pytest_llmops.plan import CellPlan
    from pytest_llmops.records.experiment import Experiment
    from pytest_llmops.records.gate import CellResult
    from pytest_llmops.records.run import RunResult


class Planner(Runtime):
    """Stands in for what executes cells, and is a plugin that shows the plan in place of running the items."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        super().__init__(config, settings)
        # With -n, items are collected by workers alone. xdist looks at this after all others are configured.
        config.option.dist = "no"

    def start(self, items: Sequence[pytest.Item]) -> None:
        """Execute nothing."""

    def llm_limit(self) -> str:
        """Limit nothing: no LLM call is made."""
        return ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Show the plan, and tell pytest that the items are dealt with; or leave it to stop at errors of collection."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return None
        plans = {plan.key: plan for item in session.items if (plan := plan_of(item)) is not None}
        runs = [run for plan in plans.values() for run in self._planned_runs(plan)]
        gates = [gate for plan in plans.values() for gate in self._planned_gates(plan)]
        nothing = "this shard has nothing to do" if self.inventory.idle else "no experiment was selected"
        lines = plan_lines(runs, gates) if plans else [nothing]
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.section("llmops plan")
            for line in (*self.troubles(), *lines):
                reporter.write_line(line)
        return True

    def _foresee(self, path: Path) -> None:
        """Start nothing."""

    def _note_commit(self) -> None:
        """Start nothing: no result is of any commit."""

    def _note_subject(self, path: Path, experiment: Experiment) -> None:
        """Note nothing: nothing is decided."""

    def _prepare(self, plans: Sequence[CellPlan]) -> None:
        """Start nothing, and leave the decision of an earlier session alone."""

    def _planned_gates(self, plan: CellPlan) -> Iterator[PlannedGate]:
        from pytest_llmops.parity import reference_name
        from pytest_llmops.stats.foresight import foresee
        from pytest_llmops.stats.measuring import measure

        known = self._known(plan)
        reference = reference_name(plan.experiment, plan.reference) if plan.reference else "the baseline"
        for threshold in plan.thresholds:
            measured = measure(known, threshold, plan.experiment) if known and not threshold.is_agreement else None
            value = measured.value if measured else None
            foreseen = foresee(threshold, plan.expected_rows, measured, reference) if plan.expected_rows else ()
            for foresight in foreseen:
                yield PlannedGate(
                    file=plan.cell.experiment,
                    cell=_named(plan),
                    name=threshold.name,
                    foresight=foresight,
                    value=value,
                    fails_already=value is not None and not threshold.rule.accepts(value),
                    blocking=threshold.severity == "fail" and _may_block(plan, self.plans(plan.experiment.file)),
                )

    def _known(self, plan: CellPlan) -> CellResult | None:
        """Put together what is reused of a cell's first execution; None where any of it is not."""
        from pytest_llmops.records.gate import CellResult, Evaluation

        run = self.ledger().explain(plan.request).result
        if run is None:
            return None
        evaluations = {}
        for evaluation in plan.evaluations:
            found = self.ledger().explain(evaluation.after(run)).result
            if found is None:
                return None
            evaluations[evaluation.evaluator] = Evaluation(
                evaluator=evaluation.evaluator,
                dataset=evaluation.dataset,
                expected_rows=plan.expected_rows or len(run.rows),
                result=found,
            )
        return CellResult(cell=plan.cell, run=run, evaluations=evaluations, expected_rows=plan.expected_rows)

    def _planned_runs(self, plan: CellPlan) -> Iterator[PlannedRun]:
        from pytest_llmops.records.experiment import RUN

        for number, execution in enumerate(plan.executions):
            which = f", repeat {number}" if number else ""
            run = self.ledger().explain(execution.request)
            yield self._planned(plan, RUN + which, run.result, run.reasons)
            for evaluation in execution.evaluations:
                name = evaluation.evaluator + which
                if run.result is None:
                    yield self._planned(plan, name, None, ("the run that it evaluates does",))
                    continue
                known = self.ledger().explain(evaluation.after(run.result))
                yield self._planned(plan, name, known.result, known.reasons)

    def _planned(self, plan: CellPlan, name: str, reused: RunResult | None, reasons: tuple[str, ...]) -> PlannedRun:
        return PlannedRun(
            file=plan.cell.experiment,
            experiment=plan.cell.use_case,
            cell=_named(plan),
            name=name,
            rows=plan.expected_rows if reused is None else len(reused.rows),
            reused=reused,
            reasons=reasons,
            asks=plan.request.llm.mode != "replay",
        )


def _named(plan: CellPlan) -> str:
    return plan.cell.id + " (candidate)" * (plan.reference is not None)


def _may_block(plan: CellPlan, plans: Sequence[CellPlan]) -> bool:
    """Tell whether the variant of a cell, one of ``plans``, has to pass; which one is best is not known before."""
    from pytest_llmops.judging import blocking_variants

    if plan.experiment.gate.require == "best" and plan.reference is None:
        return True
    return plan.cell.variant.id in blocking_variants(plans, lambda _: ())
