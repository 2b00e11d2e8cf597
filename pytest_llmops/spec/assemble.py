"""Flows, datasets and evaluators of an experiment, found, read and checked against each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.experiment import Dataset, Evaluator
from pytest_llmops.spec.alignment import Pairing, check_line_numbers
from pytest_llmops.spec.check import Binding, MappingChecker, RunSide
from pytest_llmops.spec.data import Table, read_table
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.flows import FlowFacts, read_flow
from pytest_llmops.spec.models import DatasetBlock, EvaluatorBlock, EvaluatorDatasetBlock, ExperimentBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.resolve import NotFound, Paths, remote_asset
from pytest_llmops.spec.scores import read_scores
from pytest_llmops.spec.suggest import suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDataset:
    """A dataset, with what its file holds where that can be told, and its place in the document."""

    dataset: Dataset
    table: Table | None
    path: KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvaluator:
    """An evaluator without its init values, and what its flow's files say."""

    evaluator: Evaluator
    facts: FlowFacts
    path: KeyPath


class Assembler:
    """Finds and reads what one experiment names. Each file is read once.

    ``declared`` are the names of the experiment's datasets, those with mistakes too: what refers to one of these is
    not reported a second time. ``removed`` are those that an overlay took away.
    ``keep`` are the columns whose values are wanted. ``fetch`` gets a local copy of a remote source, if it is there.
    """

    def __init__(
        self,
        paths: Paths,
        report: Reporter,
        *,
        declared: Collection[str],
        removed: Collection[str],
        keep: Collection[str],
        max_rows: int | None,
        fetch: Callable[[str], Path] | None,
    ) -> None:
        self._paths = paths
        self._report = report
        self._declared = declared
        self._removed = removed
        self._keep = keep
        self._max_rows = max_rows
        self._fetch = fetch
        self._tables: dict[Path, Table | None] = {}

    def flow(self, text: str, path: KeyPath) -> FlowFacts | None:
        """Find and read a flow."""
        try:
            place = self._paths.flow(text)
        except NotFound as missing:
            self._report.error(path, missing.what, missing.todo)
            return None
        return read_flow(place, self._paths, self._report.findings)

    def run_datasets(self, block: ExperimentBlock, facts: FlowFacts | None) -> dict[str, ReadDataset]:
        """Read the datasets of the flow's runs, by name."""
        found: dict[str, ReadDataset] = {}
        for index, item in enumerate(block.datasets or ()):
            path: KeyPath = ("datasets", index)
            if item.name in found:
                self._report.error((*path, "name"), "another dataset has this name", "rename one of them")
                continue
            read = self._read(item, path)
            found[item.name] = read
            if facts:
                binding = Binding(path=path, facts=facts, mappings=read.dataset.mappings, data=read.table)
                MappingChecker(binding, self._report).check()
        return found

    def evaluators(
        self, block: ExperimentBlock, facts: FlowFacts | None, datasets: Mapping[str, ReadDataset]
    ) -> Iterator[ReadEvaluator]:
        """Read the evaluators; those whose flow can't be read are left out."""
        seen: set[str] = set()
        for index, item in enumerate(block.evaluators or ()):
            path: KeyPath = ("evaluators", index)
            if item.name in seen:
                self._report.error((*path, "name"), "another evaluator has this name", "rename one of them")
            elif item.name == "run":
                self._report.error((*path, "name"), "'run' is kept for the metrics of the run itself", "rename it")
            seen.add(item.name)
            its_facts = self.flow(item.flow or item.name, (*path, "flow"))
            reads = list(self._evaluator_datasets(item, path, datasets))
            for read in reads:
                self._check_against_run(read, its_facts, facts, datasets)
            if its_facts:
                line = self._report.document.place(path).line
                bound = tuple(read.dataset for read in reads)
                scores = read_scores(item, its_facts, path, self._report)
                evaluator = Evaluator(name=item.name, flow=its_facts.flow, datasets=bound, scores=scores, line=line)
                yield ReadEvaluator(evaluator=evaluator, facts=its_facts, path=path)

    def _evaluator_datasets(
        self, evaluator: EvaluatorBlock, path: KeyPath, datasets: Mapping[str, ReadDataset]
    ) -> Iterator[ReadDataset]:
        evaluated: set[str] = set()
        if not evaluator.datasets:
            self._report.error((*path, "datasets"), "names no dataset", "name one of the experiment's datasets")
        for index, item in enumerate(evaluator.datasets):
            item_path: KeyPath = (*path, "datasets", index)
            read = self._evaluator_dataset(item, item_path, datasets)
            if read is None:
                continue
            if read.dataset.run_dataset in evaluated:
                what = f"dataset '{read.dataset.run_dataset}' is evaluated a second time"
                self._report.error(item_path, what, "make another evaluator of it, or remove one")
            evaluated.add(read.dataset.run_dataset)
            yield read

    def _evaluator_dataset(
        self, item: EvaluatorDatasetBlock, path: KeyPath, datasets: Mapping[str, ReadDataset]
    ) -> ReadDataset | None:
        if item.name in self._declared:
            for key in ("source", "reference"):
                if getattr(item, key) is not None:
                    what = f"'{item.name}' is a dataset of the experiment, which has its own source"
                    self._report.error((*path, key), what, "remove this key, or rename the gold dataset")
            run = datasets.get(item.name)
            if run is None:
                return None
            return replace(run, dataset=replace(run.dataset, mappings=item.mappings or {}, key=item.key), path=path)
        if item.source is None and item.reference is None:
            self._report_unmatched(item.name, (*path, "name"))
            return None
        for key in ("source", "reference"):
            if getattr(item, key) is None:
                self._report.error((*path, key), "key is missing", "gold rows need a source and a reference: add it")
                return None
        if item.reference not in self._declared:
            self._report_unmatched(str(item.reference), (*path, "reference"))
            return None
        return self._read(item, path)

    def _report_unmatched(self, name: str, path: KeyPath) -> None:
        # Where the overlay took the dataset away, it is reported once, at the overlay.
        if name not in self._removed:
            todo = suggest(name, self._declared, "its datasets")
            self._report.error(path, f"the experiment has no dataset {name!r}", todo)

    def _read(self, item: DatasetBlock | EvaluatorDatasetBlock, path: KeyPath) -> ReadDataset:
        found, remote = self._source(str(item.source), (*path, "source"))
        table = self._table(found, path) if found else None
        dataset = Dataset(
            name=item.name,
            mappings=item.mappings or {},
            source=found,
            remote=remote,
            reference=item.reference if isinstance(item, EvaluatorDatasetBlock) else None,
            key=item.key if isinstance(item, EvaluatorDatasetBlock) else None,
            description=item.description,
            rows=table.rows if table else None,
            columns=table.columns if table else None,
            kept=table.kept if table else {},
        )
        return ReadDataset(dataset=dataset, table=table, path=path)

    def _source(self, text: str, path: KeyPath) -> tuple[Path | None, str | None]:
        """Return the local file of a dataset, and the remote asset that it is a copy of."""
        try:
            remote = remote_asset(text)
            if remote is None:
                return self._paths.dataset(text), None
            return (self._fetch(remote) if self._fetch else None), remote
        except NotFound as missing:
            self._report.error(path, missing.what, missing.todo)
        except LLMOpsError as refused:
            what = str(refused).removeprefix(f"{text}: ").replace("\n", " ")
            self._report.error(path, f"{text}: {what}", "")
        return None, None

    def _table(self, file: Path, path: KeyPath) -> Table | None:
        if file not in self._tables:
            shown = self._paths.show(file)
            self._tables[file] = read_table(file, shown, self._report.findings, keep=self._keep)
        table = self._tables[file]
        if table and not table.rows:
            self._report.error((*path, "source"), f"{table.file} has no rows", "add rows")
        if table:
            check_line_numbers(table, path, self._report)
        return table

    def _check_against_run(
        self,
        read: ReadDataset,
        facts: FlowFacts | None,
        run_facts: FlowFacts | None,
        datasets: Mapping[str, ReadDataset],
    ) -> None:
        run = datasets.get(read.dataset.run_dataset)
        table = run.table if run else None
        if facts:
            side = RunSide(
                flow=run_facts.flow.name if run_facts else "",
                outputs=run_facts.outputs if run_facts else None,
                inputs=table,
            )
            mappings = read.dataset.mappings
            binding = Binding(path=read.path, facts=facts, mappings=mappings, data=read.table, run=side)
            MappingChecker(binding, self._report).check()
        if read.table and table:
            key = read.dataset.key
            Pairing(path=read.path, gold=read.table, run=table, key=key, max_rows=self._max_rows).check(self._report)
