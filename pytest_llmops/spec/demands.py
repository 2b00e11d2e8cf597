"""Whether what is demanded of an experiment can be met by its data at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_llmops.errors import Problem
from pytest_llmops.records.experiment import RUN, Dataset, GatePolicy, Threshold
from pytest_llmops.spec.assemble import ReadEvaluator
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.models import GateBlock
from pytest_llmops.spec.suggest import count
from pytest_llmops.spec.thresholds import applicable, satisfiable, too_fine


def read_gate(block: GateBlock | None, datasets: Sequence[Dataset], report: Reporter) -> GatePolicy:
    """Read the gate's policy; more rows than a dataset has can't be demanded."""
    if block is None:
        return GatePolicy()
    for dataset in datasets:
        if dataset.rows is not None and dataset.rows < block.min_rows:
            what = f"demands {count(block.min_rows)}, but dataset '{dataset.name}' has {count(dataset.rows)}"
            report.error(("llmops", "gate", "min_rows"), what, "lower it or add rows")
    return GatePolicy(require=block.require, max_failed_rows=block.max_failed_rows, min_rows=block.min_rows)


def check_thresholds(thresholds: Sequence[Threshold], datasets: Sequence[Dataset], findings: Findings) -> None:
    """Report thresholds that no result can meet, and those that allow no row to miss although they don't say so."""
    for threshold, dataset in applicable(thresholds, datasets):
        if not dataset.rows:
            continue
        rows = f"with {count(dataset.rows)} in dataset '{dataset.name}'"
        rule = threshold.rule.text
        if threshold.evaluator == RUN and not satisfiable(threshold.rule, threshold.metric, dataset.rows):
            what = f"{rows}, no result can be '{rule}'"
            findings.error(Problem(threshold.file, threshold.line, threshold.name, what, "correct the rule"))
        elif _is_share(threshold) and too_fine(threshold.rule, dataset.rows):
            what = f"{rows}, a share of rows can only be '{rule}' if no row misses"
            findings.warn(Problem(threshold.file, threshold.line, threshold.name, what, "add rows or relax the rule"))


def _is_share(threshold: Threshold) -> bool:
    return threshold.evaluator != RUN or threshold.metric == "error_rate"


def check_demanded(evaluators: Iterable[ReadEvaluator], thresholds: Sequence[Threshold], report: Reporter) -> None:
    """Report evaluators of which nothing is demanded."""
    demanded = {threshold.evaluator for threshold in thresholds}
    for read in evaluators:
        if read.evaluator.name not in demanded:
            report.error(read.path, "has no thresholds, so nothing is demanded of it", "add thresholds")
