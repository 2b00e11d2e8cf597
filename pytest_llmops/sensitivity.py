"""Tests the gates of a use case: breaks its flow on purpose, and tells which gates noticed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.api import evaluate
from pytest_llmops.api.shared import root_of
from pytest_llmops.baselines import Baselines
from pytest_llmops.cassettes.cassette import read_cassette, write_cassette
from pytest_llmops.cassettes.store import Store
from pytest_llmops.judging import Judge
from pytest_llmops.mutation import MUTATIONS, Change, NothingToMutate, make_mutant
from pytest_llmops.plan import Options, plan
from pytest_llmops.records.experiment import Experiment, GatePolicy
from pytest_llmops.records.gate import CellResult, GateResult, Repeat
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import LLMMode, RunResult, total_calls
from pytest_llmops.records.sensitivity import Effect, Sensitivity, Trial
from pytest_llmops.stats.integrity import evaluation_problems, run_problems

if TYPE_CHECKING:
    from pytest_llmops.cassettes.entry import Entry

_RECORDED = "cassettes"
_MUTANTS = "mutants"
_SAMPLED = "raise-temperature"


def probe_gates(
    experiment: Experiment,
    folder: Path,
    *,
    mutations: Sequence[str] = tuple(MUTATIONS),
    llm: LLMMode = "replay",
    variants: str = "defaults",
) -> Sensitivity:
    """Evaluate an experiment as it is, then each mutant of it, and compare the verdicts of the gates.

    Mutants are made in ``folder``, and nothing is written outside of it but, in mode ``auto``, new answers of the
    model: to the cassettes of the use case, those that mutants asked for to ``cassettes/mutants/<mutation>`` there.
    """
    experiment = replace(experiment, candidates=())  # which are not what gates are there for
    before = evaluate(experiment, llm=llm, variants=variants)
    runs = [run for cell in before.cells for run in _runs(cell)]
    return Sensitivity(
        experiment=experiment.name,
        before=_thresholds(experiment, before.gates),
        trials=tuple(
            trial
            for mutation in mutations
            for trial in _trials(_Probe(experiment, before, mutation, llm, variants), folder)
        ),
        llm_calls=total_calls(runs) or 0,  # known of all: they ran on this machine
        tokens=sum(row.tokens.total for run in runs for row in run.rows),
    )


class _Probe:
    """One mutation of one experiment, to be compared with what was ``before``."""

    def __init__(self, experiment: Experiment, before: Report, mutation: str, llm: LLMMode, variants: str) -> None:
        self.experiment = experiment
        self.mutation = mutation
        self._before = before
        self._llm = llm
        self._variants = variants

    @property
    def needs_a_model(self) -> bool:
        """Whether the mutation is about the model's own choices, and none of them were ever recorded."""
        asks = any(run.llm_calls for cell in self._before.cells for run in _runs(cell))
        recorded = (self.experiment.folder / _RECORDED / _MUTANTS / self.mutation).is_dir()
        return self.mutation == _SAMPLED and self._llm == "replay" and asks and not recorded

    def run(self, change: Change, folder: Path) -> Trial:
        """Make the mutant, evaluate it, and tell what each gate made of it."""
        mutant = make_mutant(self.experiment, change, folder, root=root_of(self.experiment.flow.folder))
        with _answers(self.experiment.folder / _RECORDED, mutant.folder / _RECORDED, self.mutation, self._llm):
            after = evaluate(mutant, llm=self._llm, variants=self._variants)
        cells = {cell.cell.id: cell for cell in after.cells}
        befores = {cell.cell.id: cell for cell in self._before.cells}
        judged = self._judge(mutant, cells, befores) if change.data else after.gates
        gates = {gate.item: gate for gate in _thresholds(self.experiment, judged)}
        effects = {
            gate.item: effect(gate, gates[gate.item], befores[gate.cell], cells[gate.cell], self.experiment.gate)
            for gate in _thresholds(self.experiment, self._before.gates)
        }
        return Trial(mutation=self.mutation, name=change.name, said=change.said, gates=gates, effects=effects)

    def _judge(
        self, mutant: Experiment, cells: Mapping[str, CellResult], befores: Mapping[str, CellResult]
    ) -> Iterator[GateResult]:
        """Decide on cut data as if the flow had been given whole inputs, by which baselines know rows."""
        plans = plan(mutant, path=mutant.file.name, options=Options(llm=self._llm, variants=self._variants))
        whole = {name: _with_inputs_of(befores[name], cell) for name, cell in cells.items()}
        judge = Judge(plans, lambda item: whole[item.cell.id], Baselines().finder(mutant))
        return (judge.decide(item, demand) for item in plans for demand in item.demands)


def effect(
    before: GateResult, after: GateResult, cell_before: CellResult, cell_after: CellResult, policy: GatePolicy
) -> Effect:
    """Tell what a mutant did to a gate, from its verdicts and from the results of its cell."""
    if before.verdict != "PASS":
        return "untested"
    # A recorded answer that is missing is an ERROR as well, but of the recording: the gate had no hand in it.
    if any(run.misses for run in _runs(cell_after)):
        return "unrecorded"
    if after.verdict == "ERROR" and _is_broken(cell_after, after, policy):
        return "crashed"
    if after.verdict != "PASS":
        return "noticed"
    return "same" if _outputs(cell_before) == _outputs(cell_after) else "missed"


def _is_broken(cell: CellResult, gate: GateResult, policy: GatePolicy) -> bool:
    """Tell whether the run, or the evaluation that a gate is about, is one that no rule would be asked about."""
    evaluations = (found for execution in cell.executions for found in execution.evaluations.values())
    about = (found for found in evaluations if gate.name.startswith(f"{found.evaluator}."))
    return bool(run_problems(cell, policy)) or any(evaluation_problems(found, policy) for found in about)


def _trials(probe: _Probe, folder: Path) -> Iterator[Trial]:
    if probe.needs_a_model:
        reason = "recorded answers can't show it; ask the model, with --llm auto or --llm live"
        yield Trial(mutation=probe.mutation, name=probe.mutation, skipped=reason)
        return
    try:
        for change in MUTATIONS[probe.mutation](probe.experiment):
            yield probe.run(change, folder / change.name.replace(" ", "-").replace("/", "-of-"))
    except NothingToMutate as reason:
        yield Trial(mutation=probe.mutation, name=probe.mutation, skipped=str(reason))


def _thresholds(experiment: Experiment, gates: Iterable[GateResult]) -> tuple[GateResult, ...]:
    """Leave out what has no threshold: the integrity of runs, evaluators that are only reported."""
    names = {threshold.name for threshold in experiment.thresholds}
    return tuple(gate for gate in gates if gate.name in names)


def _with_inputs_of(whole: CellResult, cut: CellResult) -> CellResult:
    inputs = {row.line_number: row.inputs for row in whole.run.rows}

    def restored(run: RunResult) -> RunResult:
        return replace(run, rows=tuple(replace(r, inputs=inputs.get(r.line_number, r.inputs)) for r in run.rows))

    repeats = tuple(replace(repeat, run=restored(repeat.run)) for repeat in cut.repeats)
    return replace(cut, run=restored(cut.run), repeats=repeats)


def _runs(cell: CellResult) -> Iterator[RunResult]:
    return chain.from_iterable(_runs_of(execution) for execution in cell.executions)


def _runs_of(execution: Repeat) -> Iterator[RunResult]:
    yield execution.run
    yield from (evaluation.result for evaluation in execution.evaluations.values())


def _outputs(cell: CellResult) -> list[dict[int, Mapping[str, object] | None]]:
    return [{row.line_number: row.output for row in execution.run.rows} for execution in cell.executions]


@contextmanager
def _answers(recorded: Path, used: Path, mutation: str, llm: LLMMode) -> Iterator[None]:
    """Lay out the answers that a mutant may replay, and keep those that it recorded, also where it is interrupted.

    A mutant asks in part what the unbroken flow asks, above all its judges: that is neither paid nor stored twice.
    """
    kept = recorded / _MUTANTS / mutation
    known = {file.name: read_cassette(file) for file in sorted(recorded.glob("*.json"))}
    for file in sorted(kept.glob("*.json")):
        known[file.name] = {**known.get(file.name, {}), **read_cassette(file)}
    used.mkdir()
    for name, entries in known.items():
        write_cassette(used / name, entries, used / f".{name}.tmp")
    try:
        yield
    finally:
        if llm == "auto":
            _keep_new(used, kept, known)
        shutil.rmtree(used / ".recording", ignore_errors=True)


def _keep_new(used: Path, kept: Path, known: Mapping[str, Mapping[str, Entry]]) -> None:
    recordings = {file.name for file in used.glob("*.json")}
    recordings |= {file.name.removesuffix(".sqlite3") for file in used.glob(".recording/*.json.sqlite3")}
    for name in sorted(recordings):
        # Opening the store brings what an interrupted recording left in its journal into the cassette.
        entries = Store(used / name).entries
        new = {key: entry for key, entry in entries.items() if key not in known.get(name, {})}
        if new:
            kept.mkdir(parents=True, exist_ok=True)
            write_cassette(kept / name, {**read_cassette(kept / name), **new}, kept / f".{name}.tmp")
