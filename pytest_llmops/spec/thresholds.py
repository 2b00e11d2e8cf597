"""Thresholds: from every place they may be written to one per metric and dataset."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_llmops.records.experiment import RUN, RUN_METRICS, Dataset, Threshold
from pytest_llmops.rules import Rule, parse_rule
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.models import EvaluatorBlock, ExperimentBlock, ThresholdBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import suggest

_LATER = ("latency", "cost", "duration")

_Written = Mapping[str, str | ThresholdBlock] | None
_Key = tuple[str, str, str | None]


class ThresholdReader:
    """Resolves the thresholds of one experiment. ``evaluators`` are the names of all evaluators."""

    def __init__(self, evaluators: Collection[str], report: Reporter) -> None:
        self._evaluators = evaluators
        self._report = report

    def read(self, block: ExperimentBlock, overlaid: Collection[str]) -> tuple[Threshold, ...]:
        """Resolve by precedence: overlay's ``llmops``, evaluator's dataset, evaluator, ``llmops`` of the base file.

        Where a metric has thresholds for single datasets and one for all, the one of the dataset goes first.
        ``overlaid`` are those keys of ``llmops.thresholds`` that the overlay sets.
        """
        everywhere = list(self._of_llmops(block))
        chosen: dict[_Key, Threshold] = {_key(threshold): threshold for _, threshold in everywhere}
        for index, evaluator in enumerate(block.evaluators or ()):
            for threshold in self._of_evaluator(evaluator, ("evaluators", index)):
                chosen[_key(threshold)] = threshold
        for written, winner in everywhere:
            if written in overlaid:
                chosen = {k: t for k, t in chosen.items() if k[:2] != (winner.evaluator, winner.metric)}
                chosen[_key(winner)] = winner
        return tuple(chosen.values())

    def _of_llmops(self, block: ExperimentBlock) -> Iterator[tuple[str, Threshold]]:
        written = block.llmops.thresholds if block.llmops else None
        for key, value in (written or {}).items():
            path = ("llmops", "thresholds", key)
            split = self._split(key, path)
            if split:
                yield key, self._threshold(*split, None, value, path)

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
        return (name, metric) if name != RUN or self._known_of_run(metric, path) else None

    def _known_of_run(self, metric: str, path: KeyPath) -> bool:
        if metric in RUN_METRICS:
            return True
        if metric.startswith(_LATER):
            self._report.error(path, "not supported yet", "remove it")
        else:
            todo = suggest(metric, RUN_METRICS, "metrics of a run")
            self._report.error(path, f"a run has no metric {metric!r}", todo)
        return False

    def _of_evaluator(self, evaluator: EvaluatorBlock, path: KeyPath) -> Iterator[Threshold]:
        yield from self._of_block(evaluator.name, None, evaluator.thresholds, path)
        for index, dataset in enumerate(evaluator.datasets):
            run_dataset = dataset.reference or dataset.name
            yield from self._of_block(evaluator.name, run_dataset, dataset.thresholds, (*path, "datasets", index))

    def _of_block(self, evaluator: str, dataset: str | None, written: _Written, path: KeyPath) -> Iterator[Threshold]:
        for metric, value in (written or {}).items():
            yield self._threshold(evaluator, metric, dataset, value, (*path, "thresholds", metric))

    def _threshold(
        self, evaluator: str, metric: str, dataset: str | None, value: str | ThresholdBlock, path: KeyPath
    ) -> Threshold:
        place = self._report.document.place(path)
        return Threshold(
            evaluator=evaluator,
            metric=metric,
            rule=parse_rule({"min": value.min, "max": value.max} if isinstance(value, ThresholdBlock) else value),
            severity=value.severity if isinstance(value, ThresholdBlock) else "fail",
            dataset=dataset,
            file=place.file,
            line=place.line,
        )


def _key(threshold: Threshold) -> _Key:
    return threshold.evaluator, threshold.metric, threshold.dataset


def applicable(thresholds: Sequence[Threshold], datasets: Sequence[Dataset]) -> Iterator[tuple[Threshold, Dataset]]:
    """Pair each threshold with the run datasets that it applies to."""
    chosen = {_key(threshold): threshold for threshold in thresholds}
    for evaluator, metric in dict.fromkeys((t.evaluator, t.metric) for t in thresholds):
        for dataset in datasets:
            threshold = chosen.get((evaluator, metric, dataset.name)) or chosen.get((evaluator, metric, None))
            if threshold:
                yield threshold, dataset


def satisfiable(rule: Rule, metric: str, rows: int) -> bool:
    """Tell whether a run of so many rows can have a value of a ``run`` metric that the rule accepts."""
    if metric == "error_rate":
        return any(rule.accepts(failed / rows) for failed in range(rows + 1))
    if metric == "rows":
        return any(rule.accepts(done) for done in range(rows + 1))
    return rule.high > 0 or rule.accepts(0)


def too_fine(rule: Rule, rows: int) -> bool:
    """Tell whether, as a share of rows, the bound is nearer to 0 or 1 than one row is: no row may then miss."""
    step = 1 / rows - 1e-9  # 1 - 0.8 is a little less than 1 / 5
    return 0 < 1 - rule.low < step or 0 < rule.high < step
