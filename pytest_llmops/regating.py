"""Decides again on results that were recorded, by the rules as they are now: no flow is run, no LLM is called.

Only what can be trusted is decided on: a cell that was not recorded, or that another version of its flow, its
evaluators or its data gave, is an ERROR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.judging import BaselineOf, Judge
from pytest_llmops.ledger import UNREADABLE
from pytest_llmops.plan import CellPlan, EvaluationPlan, Options, plan
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.experiment import RUN, Experiment, Threshold
from pytest_llmops.records.gate import CellResult, Demand, Evaluation, GateResult, cell_key
from pytest_llmops.records.report import Report, Subject
from pytest_llmops.records.run import RunRequest, RunResult
from pytest_llmops.stats.gates import NOTHING, decide, obstacles_of
from pytest_llmops.subjects import criteria_of
from pytest_llmops.thresholds import described, with_rules
from pytest_llmops.versions import Versions, with_reads

_TODO = "run pytest again"
_SINCE = f"changed since these results were recorded; {_TODO}"
_UNKNOWN = f"the version that gave these results is not known; {_TODO}"
REGATED = "regated"
THRESHOLDS = "thresholds"


def regate(
    report: Report,
    experiments: Mapping[str, Experiment],
    *,
    thresholds: Sequence[Threshold] = (),
    baselines: Callable[[Experiment], BaselineOf | None] = lambda _: None,
) -> Report:
    """Decide again on the cells of a report. ``experiments`` maps the paths that the report has to what they are now.

    ``thresholds`` replace those of the files. ``baselines`` tells for an experiment where its baseline is found. The
    new report has all cells of the old one, those that are no longer planned without verdicts, and the time of the
    results. Verdicts on experiments that are not given stay as they are, and what closed the gate beside verdicts, such
    as a failed test in Python, still does: whatever is decided again, the whole is no more open than it is good.

    Raises:
        ConfigurationError: where an experiment can't be planned.
        LLMOpsError: where the report's settings can't be read, or it is that of a shard, a part of the whole.
    """
    if report.shard is not None:
        raise LLMOpsError(f"these are the results of shard {report.shard} alone; make them whole with: llmops merge")
    options = _options(report.settings)
    cells: list[CellResult] = []
    gates: list[GateResult] = []
    for path in dict.fromkeys((*report.experiments, *experiments)):
        if (experiment := experiments.get(path)) is None:
            cells += (result for result in report.cells if result.cell.experiment == path)
            gates += (gate for gate in report.gates if gate.experiment == path)
            continue
        plans = plan(with_rules(experiment, thresholds), path=path, options=options)
        records = _records(plans, report, Versions(experiment, path))
        cells += [record.result for record in records.values() if record.result is not None]
        cells += _not_planned(report, path, records)
        gates += _decide(plans, records, baselines(experiment))
    return replace(
        report,
        experiments={**report.experiments, **{path: experiment.name for path, experiment in experiments.items()}},
        cells=tuple(cells),
        gates=tuple(gates),
        decision=decide(gates, _obstacles(report, experiments)),
        settings=_settings(report, experiments, thresholds),
        subjects={path: _subject(known, experiments.get(path)) for path, known in report.subjects.items()},
    )


def undecided(report: Report) -> list[str]:
    """Name the cells of a report that there are no verdicts on: those that are no longer planned."""
    decided = {cell_key(gate.experiment, gate.cell) for gate in report.gates}
    return [key for result in report.cells if (key := _key(result)) not in decided]


def outdated(report: Report, path: str, experiment: Experiment) -> list[str]:
    """Say why the results of the experiment at ``path`` are not those of what is there now; nothing if they are.

    Raises:
        ConfigurationError: where the experiment can't be planned.
        LLMOpsError: where the report's settings can't be read.
    """
    plans = plan(experiment, path=path, options=_options(report.settings))
    records = _records(plans, report, Versions(experiment, path))
    problems = [problem for record in records.values() for problem in record.problems.values() if problem]
    problems += [f"cell {result.cell.id} is no longer planned" for result in _not_planned(report, path, records)]
    return list(dict.fromkeys(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is known of a planned cell. ``trusted`` is the result without what may not be decided on.

    ``problems`` says of the run, or of an evaluator, why its result may not.
    """

    result: CellResult | None
    trusted: CellResult
    problems: Mapping[str, str] = field(default_factory=dict)

    def problem(self, demand: Demand) -> str:
        """Say why a demand can't be decided on; nothing where it can be."""
        evaluator = demand.threshold.evaluator if demand.threshold else demand.name
        return self.problems.get(RUN) or self.problems.get(evaluator, "")


def _decide(
    plans: Sequence[CellPlan], records: Mapping[str, _Record], baseline_of: BaselineOf | None
) -> Iterator[GateResult]:
    if not plans:
        return
    judge = Judge(plans, lambda item: records[item.key].trusted, baseline_of)
    for item in plans:
        for demand in item.demands:
            gate = judge.decide(item, demand)
            problem = records[item.key].problem(demand)
            yield replace(gate, verdict="ERROR", reason=problem, details=(), n=None) if problem else gate


def _records(plans: Sequence[CellPlan], report: Report, versions: Versions) -> dict[str, _Record]:
    recorded = {_key(result): result for result in report.cells}
    return {item.key: _record(item, recorded.get(item.key), versions) for item in plans}


def _not_planned(report: Report, path: str, records: Mapping[str, _Record]) -> list[CellResult]:
    return [result for result in report.cells if result.cell.experiment == path and _key(result) not in records]


def _subject(known: Subject, experiment: Experiment | None) -> Subject:
    """Note what was decided by: the criteria as they are now. What was decided on is what was evaluated then."""
    return replace(known, criteria=criteria_of(experiment)) if experiment else known


def _settings(report: Report, experiments: Mapping[str, Experiment], thresholds: Sequence[Threshold]) -> dict[str, str]:
    """Note what was given in place of what files say. What was given before holds where nothing is decided again."""
    settings = {name: value for name, value in report.settings.items() if name != THRESHOLDS}
    before = "" if report.experiments.keys() <= experiments.keys() else report.settings.get(THRESHOLDS, "")
    given = dict.fromkeys(filter(None, (before, described(thresholds))))
    return {**settings, **({THRESHOLDS: "; ".join(given)} if given else {}), REGATED: "true"}


def _record(item: CellPlan, result: CellResult | None, versions: Versions) -> _Record:
    problem = _run_problem(item, result, versions)
    if result is None or problem:
        failed = {each.evaluator: _failed(each, problem) for each in item.evaluations}
        run = RunResult(status="Failed", error=problem)
        trusted = CellResult(cell=item.cell, run=run, evaluations=failed)
        return _Record(result=result, trusted=trusted, problems={RUN: problem})
    # Columns come from the data, which is as it was: slices and clusters may be others than in the session.
    result = replace(result, columns={**result.columns, **item.columns}, key=item.key_column)
    found = {each.evaluator: _evaluation_problem(each, result, versions) for each in item.evaluations}
    failed = {each.evaluator: _failed(each, text) for each in item.evaluations if (text := found[each.evaluator])}
    trusted = replace(result, evaluations={**result.evaluations, **failed})
    return _Record(result=result, trusted=trusted, problems=found)


def _run_problem(item: CellPlan, result: CellResult | None, versions: Versions) -> str:
    if result is None:
        return f"no result of this cell was recorded; {_TODO}"
    if problem := _flow_problem(item, result, versions) or _data_problem(item, result, versions):
        return problem
    asked, known = len(item.executions), len(result.executions)
    return f"rows are run {asked} times, not {known}; {_TODO}" if asked != known else ""


def _flow_problem(item: CellPlan, result: CellResult, versions: Versions) -> str:
    for execution in result.executions:
        if changed := _changed(execution.run, item.request, versions):
            return f"{changed}, which {_named_flow(item)} read, {_SINCE}"
    if not result.digest:
        return _UNKNOWN
    if result.digest != _present(item.request, result.run, versions):
        return f"{_named_flow(item)} or its settings {_SINCE}"
    return ""


def _named_flow(item: CellPlan) -> str:
    name, variant = item.request.flow.name, item.cell.variant
    return f"flow '{name}' of candidate '{variant.id}'" if variant.is_candidate else f"flow '{name}'"


def _data_problem(item: CellPlan, result: CellResult, versions: Versions) -> str:
    if result.expected_rows != item.expected_rows:
        return f"dataset '{item.cell.dataset}' has {item.expected_rows} rows, not {result.expected_rows}; {_TODO}"
    for name, values in item.columns.items():
        if result.columns.get(name, values) != values:
            return f"column '{name}' of the data {_SINCE}"
    if not result.data:
        return f"the data that gave these results is not known; {_TODO}"
    if result.data != versions.of_data(item.requests):
        return f"dataset '{item.cell.dataset}' or its gold {_SINCE}"
    return ""


def _evaluation_problem(item: EvaluationPlan, result: CellResult, versions: Versions) -> str:
    """Say why what an evaluator gave, in any execution, may not be decided on."""
    for execution in result.executions:
        evaluation = execution.evaluations.get(item.evaluator)
        if evaluation is None:
            return f"no result of evaluator '{item.evaluator}' was recorded; {_TODO}"
        if changed := _changed(evaluation.result, item.request, versions):
            return f"{changed}, which evaluator '{item.evaluator}' read, {_SINCE}"
        if not evaluation.digest:
            return _UNKNOWN
        if evaluation.digest != _present(item.request, evaluation.result, versions):
            return f"evaluator '{item.evaluator}' or its settings {_SINCE}"
    return ""


def _changed(run: RunResult, request: RunRequest, versions: Versions) -> str:
    """Name a file that was read and is not what it was, if there is one."""
    present = versions.present(request, run.reads)
    return next((name for name, content in run.reads.items() if content not in (present[name], UNREADABLE)), "")


def _present(request: RunRequest, run: RunResult, versions: Versions) -> str:
    """Return the digest of a version as it is now, if it read what it read then."""
    return with_reads(versions.of(request), versions.present(request, run.reads))


def _failed(item: EvaluationPlan, problem: str) -> Evaluation:
    result = RunResult(status="Failed", error=problem)
    return Evaluation(evaluator=item.evaluator, dataset=item.dataset, expected_rows=0, result=result)


def _obstacles(report: Report, experiments: Mapping[str, Experiment]) -> Iterator[str]:
    """Yield what closed the gate beside verdicts, without what is answered by deciding on all items of a file again."""
    answered = (*(f"{path}: " for path in experiments), NOTHING)
    yield from (reason for reason in obstacles_of(report) if not reason.startswith(answered))


def _options(settings: Mapping[str, str]) -> Options:
    """Plan as the session did that recorded the results."""
    served = settings.get("endpoint", "") if settings.get("backend") == "endpoint" else ""
    return Options(
        max_rows=_count(settings, "max-rows"),
        variants=settings.get("variants"),
        repeat=_count(settings, "repeat"),
        address=Address(url=served, deployment=settings.get("deployment", "")) if served else None,
    )


def _count(settings: Mapping[str, str], name: str) -> int | None:
    try:
        return int(settings[name]) if name in settings else None
    except ValueError:
        raise LLMOpsError(f"results: setting {name} is {settings[name]!r}, not a number; {_TODO}") from None


def _key(result: CellResult) -> str:
    return cell_key(result.cell.experiment, result.cell.id)
