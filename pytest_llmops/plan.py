"""From an experiment to work: for each cell, the runs to make, the evaluations chained on them, the gates to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_llmops.cloudruns import in_workspace, unfit
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.matrix import all_variants, cells
from pytest_llmops.parity import candidate_of, held_to, recorded_as, reference_of, standing_in
from pytest_llmops.records.cloud import Address, Backend, Compute
from pytest_llmops.records.experiment import RUN, Dataset, Experiment, GatePolicy, Threshold
from pytest_llmops.records.gate import Cell, Demand, cell_key
from pytest_llmops.records.labels import as_label
from pytest_llmops.records.run import LLM, LLMMode, RunRequest, RunResult, Variant
from pytest_llmops.spec.reduction import parse_reduction


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be chosen for a session, whatever the experiment.

    ``concurrency`` is lines at once in one run, and LLM calls at once in all of them where ``llm_limit`` is the address
    of their limit. ``recording`` names the session to the cassettes, so that all its processes share what they record.
    ``repeat`` is how often each row is run, in place of what the experiment says. ``backend`` is where flows are run;
    ``address`` is where the flow is served that the backend ``endpoint`` asks, ``compute`` what the backend ``azureml``
    runs flows on, but for the runtime, which an experiment may name.
    """

    llm: LLMMode = "replay"
    concurrency: int = 16
    max_rows: int | None = None
    variants: str | None = None
    repeat: int | None = None
    recording: str = ""
    llm_retries: int = 5
    llm_limit: str = field(default="", repr=False)
    backend: Backend = "local"
    address: Address | None = None
    compute: Compute = field(default_factory=Compute)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """One evaluator for one execution. The request lacks only the run's outputs, which are known after the run."""

    evaluator: str
    dataset: str
    request: RunRequest

    def after(self, run: RunResult) -> RunRequest:
        """Return the request with the outputs of the run."""
        return replace(self.request, run_outputs=run.outputs, parent=run.name if self.request.compute else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlan:
    """One run of a cell, and the evaluations of it."""

    request: RunRequest
    evaluations: tuple[EvaluationPlan, ...]

    def again(self, number: int) -> ExecutionPlan:
        """Plan another sample of it: repeat ``number``, from 1."""
        evaluations = (replace(item, request=_repeated(item.request, number)) for item in self.evaluations)
        return ExecutionPlan(request=_repeated(self.request, number), evaluations=tuple(evaluations))


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """All work of one cell, and the thresholds that apply to it.

    ``request`` and ``evaluations`` are the first execution, ``repeats`` the further ones. ``columns`` holds, as text
    and by line number, the columns of the data that gates need, among them ``key_column``, which names rows.
    ``partial`` is true where only the first rows of the dataset are run. ``reference`` is the cell that a candidate's
    is compared with: the flow's own, in its default variant.
    """

    experiment: Experiment
    cell: Cell
    request: RunRequest
    evaluations: tuple[EvaluationPlan, ...]
    thresholds: tuple[Threshold, ...]
    expected_rows: int | None
    repeats: tuple[ExecutionPlan, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key_column: str | None = None
    partial: bool = False
    reference: Cell | None = None

    @property
    def key(self) -> str:
        """Name of the cell that is unique over all experiments of a session."""
        return cell_key(self.cell.experiment, self.cell.id)

    @property
    def executions(self) -> tuple[ExecutionPlan, ...]:
        """Every execution, the first included."""
        return (ExecutionPlan(request=self.request, evaluations=self.evaluations), *self.repeats)

    @property
    def requests(self) -> tuple[RunRequest, ...]:
        """Every run of the cell: each of its own, then the evaluations of that one."""
        return tuple(
            request
            for execution in self.executions
            for request in (execution.request, *(evaluation.request for evaluation in execution.evaluations))
        )

    @property
    def demands(self) -> tuple[Demand, ...]:
        """What is asked of the cell, an item each: the run, every threshold, every evaluator without one."""
        return _demands(self.thresholds, (plan.evaluator for plan in self.evaluations))

    @property
    def items(self) -> tuple[str, ...]:
        """Names of the cell's pytest items, one for each demand."""
        return tuple(f"{demand.name}[{self.cell.id}]" for demand in self.demands)


def plan(experiment: Experiment, *, path: str, options: Options) -> tuple[CellPlan, ...]:
    """Plan every cell of an experiment. ``path`` names the experiment file in items and reports.

    Raises:
        ConfigurationError: for a remote dataset, which a local run can't read, rules that leave no variant, a baseline
            that is no variant, another number of repeats than the file's way to reduce them is for, or what the
            backend can't execute.
    """
    _check_baseline(experiment, path)
    experiment = replace(experiment, gate=_policy(experiment.gate, path, options.repeat))
    datasets = {dataset.name: dataset for dataset in experiment.datasets}
    return tuple(
        _plan_cell(experiment, cell, datasets[cell.dataset], options)
        for cell in cells(experiment, path=path, selection=_selection(options))
    )


def demands_on(experiment: Experiment, cell: Cell) -> tuple[Demand, ...]:
    """List what is asked of a cell, as ``CellPlan.demands`` does, without planning how it is run."""
    evaluators = [e.name for e in experiment.evaluators for gold in e.datasets if gold.run_dataset == cell.dataset]
    return _demands(_thresholds(experiment, cell, evaluators), evaluators)


def _thresholds(experiment: Experiment, cell: Cell, evaluators: Iterable[str]) -> tuple[Threshold, ...]:
    thresholds = _applicable(experiment.thresholds, {*evaluators, RUN}, cell.dataset)
    candidate = candidate_of(experiment, cell)
    return held_to(candidate, thresholds) if candidate else thresholds


def _demands(thresholds: Sequence[Threshold], evaluators: Iterable[str]) -> tuple[Demand, ...]:
    gated = {threshold.evaluator for threshold in thresholds}
    return (
        Demand(name=RUN),
        *(Demand(name=threshold.name, threshold=threshold) for threshold in thresholds),
        *(Demand(name=evaluator) for evaluator in evaluators if evaluator not in gated),
    )


def _selection(options: Options) -> str | None:
    """Say which variants are run: of what is served, the files describe the default one."""
    return options.variants if options.address is None else "defaults"


def _check_baseline(experiment: Experiment, path: str) -> None:
    """Report a variant as the baseline that there is none of."""
    wanted = experiment.baseline.variant if experiment.baseline else None
    known = [variant.id for variant in all_variants(experiment.flow, experiment.variants)]
    if wanted is not None and wanted not in known:
        what = f"there is no variant '{wanted}'"
        raise ConfigurationError.one(path, 0, "llmops.baseline.variant", what, f"name one of: {', '.join(known)}")


def _policy(policy: GatePolicy, path: str, repeat: int | None) -> GatePolicy:
    """Give a policy the number of repeats that was chosen for the session."""
    if repeat is None:
        return policy
    quorum = parse_reduction(policy.reduce)
    if quorum and quorum[1] != repeat:
        what = f"'{policy.reduce}' is for {quorum[1]} repeats, and --llmops-repeat says {repeat}"
        raise ConfigurationError.one(path, 0, "llmops.gate.reduce", what, "change one of them")
    return replace(policy, repeat=repeat)


def _plan_cell(experiment: Experiment, cell: Cell, dataset: Dataset, options: Options) -> CellPlan:
    source = _local(cell, dataset)
    candidate = candidate_of(experiment, cell)
    flow, init, recorded = experiment.flow, experiment.init, experiment.flow.name
    if candidate:
        flow, init, recorded = standing_in(candidate, flow), candidate.init, recorded_as(experiment, candidate)
    request = RunRequest(
        flow=flow,
        data=source,
        column_mapping=dataset.mappings,
        variant=replace(cell.variant, init={**init, **cell.variant.init}),
        environment_variables=experiment.environment_variables,
        connections=experiment.connections,
        llm=_llm(experiment, recorded, options),
        concurrency=options.concurrency,
        max_rows=options.max_rows,
        asset=dataset.remote or "",
    )
    bound = [(e, gold) for e in experiment.evaluators for gold in e.datasets if gold.run_dataset == dataset.name]
    evaluations = tuple(
        EvaluationPlan(
            evaluator=evaluator.name,
            dataset=gold.name,
            request=replace(
                request,
                flow=evaluator.flow,
                data=_local(cell, gold),
                asset=gold.remote or "",
                column_mapping=gold.mappings,
                variant=Variant(init=evaluator.init),
                run_inputs=source,
                llm=_llm(experiment, evaluator.flow.name, options),
            ),
        )
        for evaluator, gold in bound
    )
    golds = [gold for _, gold in bound]
    columns = _columns((dataset, *golds), options.max_rows)
    key_column = next((gold.key for gold in golds if gold.key), None)
    partial = options.max_rows is not None and (dataset.rows is None or dataset.rows > options.max_rows)
    execution = _placed(ExecutionPlan(request=request, evaluations=evaluations), cell, experiment, options)
    return CellPlan(
        experiment=experiment,
        cell=cell,
        request=execution.request,
        evaluations=execution.evaluations,
        thresholds=_thresholds(experiment, cell, [evaluator.name for evaluator, _ in bound]),
        expected_rows=_expected(dataset.rows, options.max_rows),
        repeats=tuple(execution.again(number) for number in range(1, experiment.gate.repeat)),
        columns=columns,
        key_column=key_column,
        partial=partial,
        reference=reference_of(experiment, cell) if candidate else None,
    )


def _placed(execution: ExecutionPlan, cell: Cell, experiment: Experiment, options: Options) -> ExecutionPlan:
    """Have what is the backend's to execute executed there."""
    if options.backend != "azureml":
        return replace(execution, request=_served(execution.request, options))
    compute = replace(options.compute, runtime=experiment.runtime or options.compute.runtime)
    evaluations = tuple(replace(item, request=in_workspace(item.request, compute)) for item in execution.evaluations)
    request = in_workspace(execution.request, compute)
    for run in (request, *(item.request for item in evaluations if item.request.compute)):
        if reason := unfit(run):
            what, _, todo = reason.rpartition("; ")
            raise ConfigurationError.one(cell.experiment, 0, "", what, todo)
    return ExecutionPlan(request=request, evaluations=evaluations)


def _served(request: RunRequest, options: Options) -> RunRequest:
    """Have what serves the flow asked, if that is the backend. Its LLM calls are its own: none is recorded here."""
    if options.address is None:
        return request
    return replace(request, address=options.address, llm=LLM(retries=options.llm_retries))


def _columns(datasets: Sequence[Dataset], max_rows: int | None) -> dict[str, tuple[str, ...]]:
    """Gather the kept columns of all datasets of a cell. Of two that have the same one, the first is read."""
    found: dict[str, tuple[str, ...]] = {}
    for dataset in datasets:
        for name, values in dataset.kept.items():
            found.setdefault(name, tuple(map(as_label, values[:max_rows])))
    return found


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


def _llm(experiment: Experiment, recorded: str, options: Options) -> LLM:
    cassette = experiment.folder / "cassettes" / f"{recorded}.json"
    return LLM(
        mode=options.llm,
        cassette=cassette,
        recording=options.recording,
        retries=options.llm_retries,
        limit=options.llm_limit,
    )


def _repeated(request: RunRequest, number: int) -> RunRequest:
    """Ask for another sample of a run. Recorded answers are one sample, so each repeat has its own cassette."""
    cassette = request.llm.cassette and request.llm.cassette.with_suffix(f".repeat-{number}.json")
    return replace(request, repeat=number, llm=replace(request.llm, cassette=cassette))
