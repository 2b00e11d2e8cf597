"""Mutants: experiments whose flow or data are broken copies, in a folder of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_llmops.mutation.changes import Change
from pytest_llmops.mutation.shadow import shadow
from pytest_llmops.records.experiment import Dataset, Experiment, Flow


def make_mutant(experiment: Experiment, change: Change, folder: Path, *, root: Path) -> Experiment:
    """Write what changes into a new folder, and return the experiment that reads it there.

    Only what is broken is copied: the flow, if its files change, and changed data. Evaluators and their gold rows are
    the user's own. Cassettes are looked for in ``folder/case/cassettes``. ``root`` is the project's: relative paths out
    of the flow lead to what stands below it.
    """
    case = folder / "case"
    case.mkdir(parents=True)
    return replace(
        experiment,
        file=case / experiment.file.name,
        flow=_flow(experiment.flow, change, folder, root),
        datasets=tuple(_dataset(dataset, change, folder / "data") for dataset in experiment.datasets),
        init={**experiment.init, **change.init},
    )


def _flow(flow: Flow, change: Change, folder: Path, root: Path) -> Flow:
    if not change.files:
        return flow
    copy = shadow(root, flow.folder, folder / "tree", change.files)
    return replace(flow, folder=copy, file=copy / flow.file.relative_to(flow.folder))


def _dataset(dataset: Dataset, change: Change, folder: Path) -> Dataset:
    changed = next((data for data in change.data if data.dataset == dataset.name), None)
    if changed is None or dataset.source is None:
        return dataset
    folder.mkdir(exist_ok=True)
    source = folder / f"{dataset.name}{dataset.source.suffix}"
    source.write_text(changed.text, encoding="utf-8", newline="")
    return replace(dataset, source=source, mappings=changed.mappings)
