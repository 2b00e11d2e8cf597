"""Rows that an experiment file names by their keys: they must be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmops.records.experiment import RUN, Dataset, Evaluator, Threshold
from pytest_llmops.records.labels import as_label
from pytest_llmops.spec.assemble import ReadEvaluator
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.suggest import suggest
from pytest_llmops.spec.thresholds import applicable, problem


def check_must_pass(
    thresholds: Sequence[Threshold],
    datasets: Sequence[Dataset],
    evaluators: Sequence[Evaluator],
    findings: Findings,
) -> None:
    """Report ``must_pass`` keys that a dataset does not have, for every dataset that the threshold applies to."""
    bound = {(evaluator.name, gold.run_dataset): gold for evaluator in evaluators for gold in evaluator.datasets}
    for threshold, dataset in applicable(thresholds, datasets):
        gold = bound.get((threshold.evaluator, dataset.name))
        if gold and threshold.must_pass and threshold.evaluator != RUN:
            for what, todo in _missing(threshold.must_pass, gold):
                findings.error(problem(threshold, what, todo))


def _missing(keys: Sequence[str], dataset: Dataset) -> Iterator[tuple[str, str]]:
    if dataset.key is None:
        yield f"must_pass needs the rows of dataset '{dataset.name}' to have names", "set 'key:' there"
        return
    known = _labels(dataset)
    for key in keys if known else ():
        if key not in known:
            what = f"dataset '{dataset.name}' has no row whose {dataset.key!r} is {key!r}"
            yield what, suggest(key, known, "there are")


def _labels(dataset: Dataset) -> tuple[str, ...]:
    """List the keys of a dataset's rows; none where they can't be read."""
    return tuple(map(as_label, dataset.kept.get(dataset.key, ()))) if dataset.key else ()


def check_quarantine(keys: Sequence[str], evaluators: Sequence[Evaluator], report: Reporter) -> None:
    """Report quarantined keys that no row has."""
    keyed = [dataset for evaluator in evaluators for dataset in evaluator.datasets if dataset.key]
    if keys and not keyed:
        what = "rows are named by the key of an evaluator's dataset, and none has one"
        report.error(("llmops", "gate", "quarantine"), what, "set 'key:' there")
        return
    labels = [_labels(dataset) for dataset in keyed]
    known = dict.fromkeys(label for found in labels for label in found)
    for key in keys if all(labels) else ():
        if key not in known:
            what = f"no dataset has a row whose key is {key!r}"
            report.error(("llmops", "gate", "quarantine"), what, suggest(key, known, "there are"))


def check_one_key(evaluators: Sequence[ReadEvaluator], report: Reporter) -> None:
    """Report evaluators that name the rows of one run by different columns: a row has one name."""
    first: dict[str, tuple[str, str]] = {}
    for read in evaluators:
        for dataset in read.evaluator.datasets:
            if dataset.key is None:
                continue
            key, evaluator = first.setdefault(dataset.run_dataset, (dataset.key, read.evaluator.name))
            if key != dataset.key:
                what = f"key of dataset '{dataset.run_dataset}' is {dataset.key!r} here, but {key!r} in '{evaluator}'"
                report.error(read.path, what, "name rows by the same column")
