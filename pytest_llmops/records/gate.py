"""Cells, what came of them, and what was decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmops.records.estimates import Comparison, Interval, SliceScore
from pytest_llmops.records.experiment import Better, OnInconclusive, Price, Severity, Threshold
from pytest_llmops.records.run import LLMMode, RunResult, Variant

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "ERROR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One flow x dataset x variant of an experiment.

    ``experiment`` is the path of its file from the root, posix; ``use_case`` is the experiment's name.
    """

    experiment: str
    use_case: str
    flow: str
    dataset: str
    variant: Variant

    @property
    def id(self) -> str:
        """Stable name: what stands in the brackets of every item of the cell."""
        return f"{self.flow}-{self.dataset}-{self.variant.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one item asks of a cell: a threshold kept, or, without a threshold, that nothing broke.

    ``name`` is ``run`` for the run itself, the name of an evaluator that is only reported, or ``evaluator.metric``.
    """

    name: str
    threshold: Threshold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One evaluator applied to one cell's run. ``expected_rows`` is how many rows the metrics should cover.

    ``digest`` stands for the evaluator's version: its flow, mappings, settings and models. ``of_run`` are the inputs
    that are outputs of the run; what else a row was evaluated with is its gold. Both are empty where unknown.
    """

    evaluator: str
    dataset: str
    expected_rows: int
    result: RunResult
    digest: str = ""
    of_run: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One more execution of a cell: another sample of what the flow may answer."""

    run: RunResult
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """All that happened in one cell: its run, and its evaluations by evaluator name.

    ``expected_rows`` is the number of rows the dataset has (after ``max_rows``), or None where it can't be known.
    ``repeats`` are the further executions, if rows are run more than once. ``columns`` holds those columns of the data
    that gates need, by line number, as text: slices, clusters, and under ``key`` the column that names rows.
    ``digest`` stands for the flow's version, and ``data`` for the content of the files with its rows and their gold;
    both are empty where unknown. ``llm`` is how LLM calls were answered. ``partial`` is true where only the first rows
    of the dataset were run. ``prices`` maps models to what their tokens cost. ``implementation`` is the name of the
    flow that a candidate is, which was run in the place of the cell's own.
    """

    cell: Cell
    run: RunResult
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    expected_rows: int | None = None
    repeats: tuple[Repeat, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key: str | None = None
    digest: str = ""
    data: str = ""
    llm: LLMMode = "live"
    partial: bool = False
    prices: Mapping[str, Price] = field(default_factory=dict)
    implementation: str = ""

    @property
    def executions(self) -> tuple[Repeat, ...]:
        """Every execution, the first included."""
        return (Repeat(run=self.run, evaluations=self.evaluations), *self.repeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The decision on one item: a metric against its rule, or the integrity of a run.

    ``name`` is the item's name without brackets (``matcher.f1``, ``run``). ``rule`` is the rule's text, empty for
    integrity and report-only items. ``n`` is the number of rows that the value rests on. ``blocking`` is false where
    the verdict is reported but can't close the gate (severity ``warn``, or a variant that is not required).
    ``reason`` is one line; ``details`` are further lines for people (worst rows, other metrics). ``recorded`` is set
    where the verdict rests on reused outcomes: the Unix time at which the oldest of them was first seen.
    ``interval`` is the two-sided 95 % confidence interval of the value, None where no scores of rows support one.
    ``comparison`` is the one with the baseline, ``margin`` what it was allowed to show. ``slices`` are the worst ones.
    ``file`` and ``line`` are where the threshold stands, empty and 0 where it stands in no file; ``low`` and ``high``
    are the bounds of its rule, None where there is none. ``score`` is the output of the evaluator that holds the rows'
    scores, empty where none is known; ``better`` the direction they get better in. ``severity`` is the threshold's,
    whether or not the variant is required. ``on_inconclusive`` says whether INCONCLUSIVE closes the gate. ``weak``
    marks a PASS that another draw of rows might well not repeat: a bound of its rule lies inside the interval.
    ``optional`` marks verdicts on a candidate that need not pass: whatever they are, they can't close the gate.
    """

    experiment: str
    cell: str
    name: str
    verdict: Verdict
    value: float | None = None
    rule: str = ""
    n: int | None = None
    blocking: bool = True
    reason: str = ""
    details: tuple[str, ...] = ()
    recorded: float | None = None
    interval: Interval | None = None
    margin: float | None = None
    comparison: Comparison | None = None
    slices: tuple[SliceScore, ...] = ()
    on_inconclusive: OnInconclusive = "warn"
    weak: bool = False
    file: str = ""
    line: int = 0
    low: float | None = None
    high: float | None = None
    score: str = ""
    better: Better = "higher"
    severity: Severity = "fail"
    optional: bool = False

    @property
    def item(self) -> str:
        """Name of the pytest item."""
        return f"{self.name}[{self.cell}]"

    def closes_gate(self) -> bool:
        """Whether this verdict alone is enough to stop a deployment."""
        return not self.optional and (self.verdict == "ERROR" or (self.blocking and self._fails))

    def bars_variant(self) -> bool:
        """Whether this verdict is enough to stop a deployment of the variant that it is about, required or not."""
        return self.closes_gate() or (self.severity == "fail" and self._fails)

    @property
    def _fails(self) -> bool:
        return self.verdict == "FAIL" or (self.verdict == "INCONCLUSIVE" and self.on_inconclusive == "fail")


def cell_key(experiment: str, cell: str) -> str:
    """Name a cell, given by its id, so that the name is unique over all experiments of a session."""
    return f"{experiment}::{cell}"
