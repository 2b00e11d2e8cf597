"""Thresholds: from every place they may be written to one per metric and dataset."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.errors import Problem
from pytest_llmops.records.experiment import RUN, Dataset, Threshold
from pytest_llmops.rules import parse_rule
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.metrics import RUN_DEMANDS, default_better, misfits
from pytest_llmops.spec.models import EvaluatorBlock, ExperimentBlock
from pytest_llmops.spec.models_gate import SliceThresholdBlock, ThresholdBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.reduction import parse_reduction
from pytest_llmops.spec.suggest import printable, suggest

_Demand = str | SliceThresholdBlock
_Key = tuple[str, str, str | None, str | None]


class ThresholdReader:
    """Resolves the thresholds of one experiment. ``evaluators`` are the names of all evaluators."""

    def __init__(self, evaluators: Collection[str], report: Reporter) -> None:
        self._evaluators = evaluators
        self._report = report
        self._counts_passes = False

    def read(self, block: ExperimentBlock, overlaid: Collection[str]) -> tuple[Threshold, ...]:
        """Resolve by precedence: overlay's ``llmops``, evaluator's dataset, evaluator, ``llmops`` of the base file.

        Where a metric has thresholds for single datasets and one for all, the one of the dataset goes first.
        ``overlaid`` are those keys of ``llmops.thresholds`` that the overlay sets. Those of slices come last.
        """
        gate = block.llmops.gate if block.llmops else None
        self._counts_passes = gate is not None and parse_reduction(gate.reduce) is not None
        everywhere = list(self._of_llmops(block))
        chosen: dict[_Key, Threshold] = {_key(threshold): threshold for _, threshold in everywhere}
        for index, evaluator in enumerate(block.evaluators or ()):
            for threshold in self._of_evaluator(evaluator, ("evaluators", index)):
                chosen[_key(threshold)] = threshold
        for written, winner in everywhere:
            if written in overlaid:
                chosen = {k: t for k, t in chosen.items() if k[:2] != (winner.evaluator, winner.metric)}
                chosen[_key(winner)] = winner
        self._check_names(chosen.values())
        return (*chosen.values(), *self._of_slices(block, {threshold.name for threshold in chosen.values()}))

    def _check_names(self, thresholds: Iterable[Threshold]) -> None:
        """Report two metrics of one full name, as those of evaluators ``a`` and ``a.b`` can be."""
        known: dict[str, str] = {}
        for threshold in thresholds:
            if known.setdefault(threshold.name, threshold.evaluator) != threshold.evaluator:
                both = (
                    f"evaluators '{known[threshold.name]}' and '{threshold.evaluator}' both have a metric of this name"
                )
                problem = Problem(threshold.file, threshold.line, threshold.name, both, "rename one of the evaluators")
                self._report.findings.error(problem)

    def _of_llmops(self, block: ExperimentBlock) -> Iterator[tuple[str, Threshold]]:
        written = block.llmops.thresholds if block.llmops else None
        for key, value in (written or {}).items():
            path = ("llmops", "thresholds", key)
            split = self._split(key, path)
            if split:
                yield key, self._threshold(*split, value, path)

    def _of_slices(self, block: ExperimentBlock, taken: set[str]) -> Iterator[Threshold]:
        """Read a threshold for each metric and column. Its name, with the column's, must be no other's."""
        slices = block.llmops.slices if block.llmops else None
        if slices is None:
            return
        for key, value in (slices.thresholds or {}).items():
            path = ("llmops", "slices", "thresholds", key)
            metric = self._split(key, path)
            if metric is None:
                continue
            for column in dict.fromkeys(slices.by):
                threshold = self._threshold(*metric, value, path, by=column)
                if threshold.name in taken:
                    what = f"another threshold is named {threshold.name!r} too"
                    self._report.error(path, what, "rename the metric or the column")
                taken.add(threshold.name)
                yield threshold

    def _split(self, key: str, path: KeyPath) -> tuple[str, str] | None:
        """Split ``evaluator.metric``; names may have dots themselves, so the longest that fits is meant."""
        names = [*self._evaluators, RUN]
        fitting = [name for name in names if key.startswith(f"{name}.") and len(key) > len(name) + 1]
        if not fitting:
            evaluator, dot, _ = key.partition(".")
            what = f"there is no evaluator {evaluator!r}" if dot else "names no evaluator"
            todo = suggest(evaluator, names, "evaluators") if dot else "write evaluator.metric or run.metric"
            self._report.error(path, what, todo)
            return None
        name = max(fitting, key=len)
        metric = key[len(name) + 1 :]
        if name == RUN and metric not in RUN_DEMANDS:
            todo = suggest(metric, RUN_DEMANDS, "metrics of a run")
            self._report.error(path, f"a run has no metric {metric!r}", todo)
            return None
        return name, metric

    def _of_evaluator(self, evaluator: EvaluatorBlock, path: KeyPath) -> Iterator[Threshold]:
        yield from self._of_block(evaluator.name, None, evaluator.thresholds, path)
        for index, dataset in enumerate(evaluator.datasets):
            run_dataset = dataset.reference or dataset.name
            yield from self._of_block(evaluator.name, run_dataset, dataset.thresholds, (*path, "datasets", index))

    def _of_block(
        self, evaluator: str, dataset: str | None, written: Mapping[str, _Demand] | None, path: KeyPath
    ) -> Iterator[Threshold]:
        for metric, value in (written or {}).items():
            threshold = self._threshold(evaluator, metric, value, (*path, "thresholds", metric))
            yield replace(threshold, dataset=dataset)

    def _threshold(
        self, evaluator: str, metric: str, value: _Demand, path: KeyPath, *, by: str | None = None
    ) -> Threshold:
        place = self._report.document.place(path)
        rule = parse_rule(value) if isinstance(value, str) else value.rule
        threshold = Threshold(
            evaluator=evaluator,
            metric=metric,
            rule=rule,
            severity="fail" if isinstance(value, str) else value.severity,
            better=default_better(evaluator, metric, rule),
            by=by,
            file=place.file,
            line=place.line,
        )
        if isinstance(value, ThresholdBlock):
            threshold = self._with_demands(threshold, value, path)
        for what, todo in misfits(threshold):
            self._report.error(path, what, todo)
        return threshold

    def _with_demands(self, threshold: Threshold, block: ThresholdBlock, path: KeyPath) -> Threshold:
        better = block.better or threshold.better
        if block.pass_mark is not None and not (block.must_pass or block.keep_passing or self._counts_passes):
            what = "no row is asked whether it passes"
            self._report.error((*path, "pass_mark"), what, "add must_pass or keep_passing, or reduce repeats by k-of-n")
        if block.max_drop is not None and better == "lower":
            what = "max_drop guards against drops, but lower is better here"
            self._report.error((*path, "max_drop"), what, "write margin")
        return replace(
            threshold,
            confidence=block.confidence,
            margin=block.margin if block.max_drop is None else block.max_drop,
            better=better,
            must_pass=tuple(dict.fromkeys(block.must_pass or ())),
            keep_passing=block.keep_passing,
            pass_mark=block.pass_mark,
        )


def _key(threshold: Threshold) -> _Key:
    return threshold.evaluator, threshold.metric, threshold.dataset, threshold.by


def applicable(thresholds: Sequence[Threshold], datasets: Sequence[Dataset]) -> Iterator[tuple[Threshold, Dataset]]:
    """Pair each threshold with the run datasets that it applies to."""
    chosen = {_key(threshold): threshold for threshold in thresholds}
    for evaluator, metric, by in dict.fromkeys((t.evaluator, t.metric, t.by) for t in thresholds):
        for dataset in datasets:
            own, for_all = (chosen.get((evaluator, metric, name, by)) for name in (dataset.name, None))
            if threshold := own or for_all:
                yield threshold, dataset


def problem(threshold: Threshold, what: str, todo: str) -> Problem:
    """Describe a problem with a threshold."""
    return Problem(threshold.file, threshold.line, printable(threshold.name), what, todo)
