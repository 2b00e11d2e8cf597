"""From an experiment to work: for each cell, the run to make, the evaluations to chain on it, the gates to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.matrix import cells
from pytest_llmops.records.experiment import RUN, Dataset, Experiment, Threshold
from pytest_llmops.records.gate import Cell, Demand, cell_key
from pytest_llmops.records.run import LLM, LLMMode, RunRequest, RunResult, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be chosen for a session, whatever the experiment.

    ``concurrency`` is lines at once in one run, and LLM calls at once in all of them where ``llm_limit`` is the address
    of their limit. ``recording`` names the session to the cassettes, so that all its processes share what they record.
    """

    llm: LLMMode = "replay"
    concurrency: int = 16
    max_rows: int | None = None
    variants: str | None = None
    recording: str = ""
    llm_retries: int = 5
    llm_limit: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """One evaluator for one cell. The request lacks only the parent's outputs, which are known after the run."""

    evaluator: str
    dataset: str
    request: RunRequest

    def after(self, run: RunResult) -> RunRequest:
        """Return the request with the outputs of the cell's run."""
        return replace(self.request, run_outputs=run.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """All work of one cell, and the thresholds that apply to it."""

    experiment: Experiment
    cell: Cell
    request: RunRequest
    evaluations: tuple[EvaluationPlan, ...]
    thresholds: tuple[Threshold, ...]
    expected_rows: int | None

    @property
    def key(self) -> str:
        """Name of the cell that is unique over all experiments of a session."""
        return cell_key(self.cell.experiment, self.cell.id)

    @property
    def requests(self) -> tuple[RunRequest, ...]:
        """Every run of the cell: its own, then its evaluations."""
        return (self.request, *(evaluation.request for evaluation in self.evaluations))

    @property
    def demands(self) -> tuple[Demand, ...]:
        """What is asked of the cell, an item each: the run, every threshold, every evaluator without one."""
        gated = {threshold.evaluator for threshold in self.thresholds}
        return (
            Demand(name=RUN),
            *(Demand(name=threshold.name, threshold=threshold) for threshold in self.thresholds),
            *(Demand(name=plan.evaluator) for plan in self.evaluations if plan.evaluator not in gated),
        )

    @property
    def items(self) -> tuple[str, ...]:
        """Names of the cell's pytest items, one for each demand."""
        return tuple(f"{demand.name}[{self.cell.id}]" for demand in self.demands)


def plan(experiment: Experiment, *, path: str, options: Options) -> tuple[CellPlan, ...]:
    """Plan every cell of an experiment. ``path`` names the experiment file in items and reports.

    Raises:
        ConfigurationError: for a remote dataset, which a local run can't read, or rules that leave no variant.
    """
    datasets = {dataset.name: dataset for dataset in experiment.datasets}
    return tuple(
        _plan_cell(experiment, cell, datasets[cell.dataset], options)
        for cell in cells(experiment, path=path, selection=options.variants)
    )


def override(thresholds: Sequence[Threshold], given: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """Replace every threshold of a metric that the command line gives a rule for, on all datasets."""
    names = {threshold.name for threshold in given}
    return (*(threshold for threshold in thresholds if threshold.name not in names), *given)


def _plan_cell(experiment: Experiment, cell: Cell, dataset: Dataset, options: Options) -> CellPlan:
    source = _local(cell, dataset)
    request = RunRequest(
        flow=experiment.flow,
        data=source,
        column_mapping=dataset.mappings,
        variant=replace(cell.variant, init={**experiment.init, **cell.variant.init}),
        environment_variables=experiment.environment_variables,
        connections=experiment.connections,
        llm=_llm(experiment, experiment.flow.name, options),
        concurrency=options.concurrency,
        max_rows=options.max_rows,
    )
    evaluations = tuple(
        EvaluationPlan(
            evaluator=evaluator.name,
            dataset=gold.name,
            request=replace(
                request,
                flow=evaluator.flow,
                data=_local(cell, gold),
                column_mapping=gold.mappings,
                variant=Variant(init=evaluator.init),
                run_inputs=source,
                llm=_llm(experiment, evaluator.flow.name, options),
            ),
        )
        for evaluator in experiment.evaluators
        for gold in evaluator.datasets
        if gold.run_dataset == dataset.name
    )
    evaluators = {evaluation.evaluator for evaluation in evaluations}
    return CellPlan(
        experiment=experiment,
        cell=cell,
        request=request,
        evaluations=evaluations,
        thresholds=_applicable(experiment.thresholds, evaluators | {RUN}, dataset.name),
        expected_rows=_expected(dataset.rows, options.max_rows),
    )


def _applicable(thresholds: Sequence[Threshold], evaluators: set[str], dataset: str) -> tuple[Threshold, ...]:
    """Select the thresholds of a cell; one that names the dataset wins over one for all datasets."""
    chosen = {t.name: t for t in thresholds if t.dataset is None and t.evaluator in evaluators}
    chosen |= {t.name: t for t in thresholds if t.dataset == dataset and t.evaluator in evaluators}
    return tuple(chosen.values())


def _expected(rows: int | None, max_rows: int | None) -> int | None:
    return rows if rows is None or max_rows is None else min(rows, max_rows)


def _local(cell: Cell, dataset: Dataset) -> Path:
    if dataset.source is None:
        raise ConfigurationError.one(
            cell.experiment,
            0,
            f"datasets.{dataset.name}.source",
            f"{dataset.remote} is a remote asset, which a local run can't read",
            "give the path of a local file, for example in an overlay",
        )
    return dataset.source


def _llm(experiment: Experiment, flow: str, options: Options) -> LLM:
    cassette = experiment.folder / "cassettes" / f"{flow}.json"
    return LLM(
        mode=options.llm,
        cassette=cassette,
        recording=options.recording,
        retries=options.llm_retries,
        limit=options.llm_limit,
    )
