"""What the page puts the rows of a cell beside: the baseline's, and, for a candidate, those of the flow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports.candidates import AGREEMENT_GATE
from pytest_llmops.stats.agreement import agreement_scores
from pytest_llmops.stats.joining import join


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a cell can be put beside, None where it is not there.

    ``flow`` is the cell of this session that a candidate is compared with. ``baseline`` is the cell of the saved
    results: the flow's for a candidate whose flow was not run, else the same one.
    """

    flow: CellResult | None = None
    baseline: CellResult | None = None

    @property
    def reference(self) -> CellResult | None:
        """What verdicts on the cell compare it with."""
        return self.flow or self.baseline


def beside(result: CellResult, cells: Sequence[CellResult], baseline: Report | None) -> Beside:
    """Find what a cell of an experiment is beside. ``cells`` are all of the experiment."""
    saved = baseline.cells if baseline else ()
    same = next((other for other in saved if other.cell.id == result.cell.id), None)
    if not result.cell.variant.is_candidate:
        return Beside(baseline=same)
    flow = _flow_of(result, cells)
    return Beside(flow=flow, baseline=same if flow else _flow_of(result, saved))


def agreeing(result: CellResult, reference: CellResult | None, gates: Sequence[GateResult]) -> dict[int, float] | None:
    """Score rows by whether their outputs are those of ``reference``, as the gate on agreement does.

    None where the cell has no such gate with a value, or scores do not add up to it, as with rows in quarantine.
    """
    found = (g.value for g in gates if g.cell == result.cell.id and g.name == AGREEMENT_GATE)
    value = next(found, None)
    if value is None or reference is None or len(result.executions) != len(reference.executions):
        return None
    scores = agreement_scores(result, reference, join(result, reference, RUN))
    return scores if scores and math.isclose(fmean(scores.values()), value) else None


def _flow_of(candidate: CellResult, cells: Sequence[CellResult]) -> CellResult | None:
    """Find the flow's default variant on the dataset of a candidate."""
    mine = [other for other in cells if other.cell.dataset == candidate.cell.dataset]
    return next((other for other in mine if other.cell.variant.is_default), None)
