"""Columns of the data that gates need: those that name rows, group them, or mark rows that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_llmops.records.experiment import RUN, Dataset, Evaluator, Threshold
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.models import ExperimentBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import suggest
from pytest_llmops.spec.thresholds import problem

_Named = tuple[str, KeyPath]


def needed_columns(block: ExperimentBlock) -> frozenset[str]:
    """List the columns whose values are kept."""
    keys = (dataset.key for evaluator in block.evaluators or () for dataset in evaluator.datasets if dataset.key)
    return frozenset((*keys, *(column for column, _ in _grouping(block))))


def _grouping(block: ExperimentBlock) -> Iterator[_Named]:
    """Iterate over the columns that group rows, with where they are named."""
    llmops = block.llmops
    if llmops and llmops.slices:
        for index, column in enumerate(llmops.slices.by):
            yield column, ("llmops", "slices", "by", index)
    if llmops and llmops.gate and llmops.gate.cluster:
        yield llmops.gate.cluster, ("llmops", "gate", "cluster")


class ColumnChecker:
    """Checks that the datasets of an experiment have the columns that group their rows.

    A column of a run's dataset, or of the gold rows beside it, will do. Files whose columns can't be read are taken to
    have it.
    """

    def __init__(self, datasets: Sequence[Dataset], evaluators: Sequence[Evaluator], report: Reporter) -> None:
        self._datasets = datasets
        self._evaluators = evaluators
        self._report = report

    def check(self, block: ExperimentBlock, thresholds: Iterable[Threshold]) -> None:
        """Report columns that no file beside a run has, or none that the evaluator of a threshold reads."""
        missing = set()
        for column, path in _grouping(block):
            for dataset in self._datasets:
                known = self._columns(dataset, self._evaluators)
                if known is not None and column not in known:
                    missing.add(column)
                    what = f"neither dataset '{dataset.name}' nor its gold rows have a column {column!r}"
                    self._report.error(path, what, suggest(column, known, "their columns"))
        for threshold in thresholds:
            if threshold.by and threshold.by not in missing and threshold.evaluator != RUN:
                self._check_threshold(threshold, threshold.by)

    def _check_threshold(self, threshold: Threshold, column: str) -> None:
        evaluators = [evaluator for evaluator in self._evaluators if evaluator.name == threshold.evaluator]
        applied = {bound.run_dataset for evaluator in evaluators for bound in evaluator.datasets}
        for dataset in self._datasets:
            known = self._columns(dataset, evaluators) if dataset.name in applied else None
            if known is not None and column not in known:
                what = f"neither dataset '{dataset.name}' nor the evaluator's gold rows for it have a column {column!r}"
                todo = suggest(column, known, "their columns")
                self._report.findings.error(problem(threshold, what, todo))

    def _columns(self, dataset: Dataset, evaluators: Iterable[Evaluator]) -> tuple[str, ...] | None:
        """List the columns of a run's dataset and of the gold rows beside it; None where one can't be read."""
        gold = (bound for evaluator in evaluators for bound in evaluator.datasets if bound.run_dataset == dataset.name)
        found: dict[str, None] = {}
        for read in (dataset, *gold):
            if not read.columns:
                return None
            found |= dict.fromkeys(read.columns)
        return tuple(found)
