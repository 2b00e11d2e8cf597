"""Experiment files as collectors, and their demands as items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.plan import CellPlan
from pytest_llmops.plugin.keys import PROBLEMS, RUNTIME
from pytest_llmops.plugin.runtime import Runtime
from pytest_llmops.records.gate import Demand, GateResult
from pytest_llmops.reports.console import failure_text
from pytest_llmops.reports.text import neutralise
from pytest_llmops.reports.verdicts import headline


class GateRefused(Exception):
    """A verdict that fails its item. Not an error of the program: shown as text, without a traceback."""


class ExperimentFile(pytest.File):
    """An ``experiment.yaml``. Collects one item for each demand on each cell, with flat names, brackets last."""

    def collect(self) -> Iterator[pytest.Item]:
        plans = plans_of(self, self.path)
        self.config.stash[RUNTIME].inventory.note_collected(self.path)
        for plan in plans:
            for name, demand in zip(plan.items, plan.demands, strict=True):
                # As text, which pytest reads as --lf reads it from its cache: what is in brackets is a parameter.
                nodeid = f"{self.nodeid}::{name}"
                yield GateItem.from_parent(self, name=name, nodeid=nodeid, plan=plan, demand=demand)


class GateItem(pytest.Item):
    """One demand on one cell. Passes, fails, or, where what came of it does not close the gate, ends as xfailed."""

    def __init__(self, *, plan: CellPlan, demand: Demand, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.plan = plan
        self.demand = demand
        self.gate: GateResult | None = None

    def runtest(self) -> None:
        self.gate = None  # of an earlier attempt
        self.gate = gate = self.config.stash[RUNTIME].judge(self.plan, self.demand)
        if gate.closes_gate():
            raise GateRefused(gate.item)
        if gate.verdict != "PASS":
            what = "inconclusive" if gate.verdict == "INCONCLUSIVE" else "not blocking"
            pytest.xfail(f"{what}: {headline(gate)}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if self.gate is not None and isinstance(excinfo.value, (GateRefused, pytest.xfail.Exception)):
            return failure_text(self.gate)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self.demand.threshold.line if self.demand.threshold else 0
        # pytest shows a node id that ends with this text with its dots as '::', so it is not the item's name.
        return self.path, max(line - 1, 0), f"{self.demand.name} [{self.plan.cell.id}]"


def parametrize(metafunc: pytest.Metafunc, mark: pytest.Mark) -> None:
    """Make a test run once for each cell of the experiment that the mark names, relative to the root folder."""
    root = metafunc.config.rootpath
    if len(mark.args) != 1 or mark.kwargs:
        raise pytest.Collector.CollectError(
            f"{metafunc.definition.nodeid}: write @pytest.mark.llmops('experiment.yaml')"
        )
    plans = plans_of(metafunc.definition.parent, root / str(mark.args[0]))
    metafunc.parametrize("llmops_cell", plans, ids=[plan.cell.id for plan in plans], indirect=True)


def plans_of(collector: Any, path: Path) -> tuple[CellPlan, ...]:
    """Plan an experiment on behalf of a collector; what is wrong with its file becomes the collector's error."""
    runtime: Runtime = collector.config.stash[RUNTIME]
    try:
        return runtime.plans(path)
    except LLMOpsError as error:
        collector.stash[PROBLEMS] = text = neutralise(str(error))
        raise pytest.Collector.CollectError(text) from None
