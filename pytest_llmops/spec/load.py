"""From files to an experiment: everything is read and checked before the first error is raised."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.experiment import (
    Connection,
    Dataset,
    Experiment,
    GatePolicy,
    Threshold,
    VariantRules,
)
from pytest_llmops.spec.assemble import Assembler, ReadEvaluator
from pytest_llmops.spec.candidates import CandidateReader, ReadCandidate, check_not_the_flow
from pytest_llmops.spec.columns import ColumnChecker, needed_columns
from pytest_llmops.spec.connections import keys_of, read_connections
from pytest_llmops.spec.demands import check_demanded, check_sources, check_thresholds
from pytest_llmops.spec.deployment import read_deployments
from pytest_llmops.spec.dotenv import Variables
from pytest_llmops.spec.environment import read_environment, read_init, read_variables
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.flows import FlowFacts
from pytest_llmops.spec.gate import read_baseline, read_gate, read_prices
from pytest_llmops.spec.models import LLMOpsBlock
from pytest_llmops.spec.named_rows import check_must_pass, check_one_key, check_quarantine
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.resolve import Paths
from pytest_llmops.spec.sources import Sources, read_sources
from pytest_llmops.spec.suggest import suggest
from pytest_llmops.spec.thresholds import ThresholdReader
from pytest_llmops.spec.variants import VariantReader

_FLOW: KeyPath = ("flow",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which conditions an experiment is read. See ``pytest_llmops.spec.load_experiment``."""

    env: str | None
    environ: Mapping[str, str]
    live: bool
    in_workspace: bool
    strict: bool
    max_rows: int | None
    baseline: Path | None
    fetch: Callable[[str], Path] | None


def load(file: Path, root: Path, conditions: Conditions) -> Experiment:
    """Read and check one experiment.

    Raises:
        ConfigurationError: with every problem found.
    """
    file = Path(os.path.abspath(file))
    paths = Paths(base=file.parent, root=Path(os.path.abspath(root)))
    findings = Findings(strict=conditions.strict)
    sources = read_sources(file, conditions.env, paths, findings)
    experiment = _Loader(file, sources, paths, conditions, findings).load() if sources else None
    if experiment is None or findings.errors:
        raise ConfigurationError(findings.errors)
    return replace(experiment, warnings=findings.warnings)


class _Loader:
    """Puts an experiment together from what was read of its files."""

    def __init__(self, file: Path, sources: Sources, paths: Paths, conditions: Conditions, findings: Findings) -> None:
        self._file = file
        self._sources = sources
        self._paths = paths
        self._conditions = conditions
        self._report = Reporter(sources.document, findings)
        self._variables: Variables = read_variables(paths, conditions.environ, findings)

    def load(self) -> Experiment | None:
        """Read and check everything; None where the flow itself can't be read."""
        block = self._sources.block
        llmops = block.llmops or LLMOpsBlock()
        assembler = self._assembler()
        text = block.flow or block.name
        facts = assembler.flow(text, _FLOW) if text else None
        reads = assembler.run_datasets(block, facts)
        datasets = tuple(read.dataset for read in reads.values())
        evaluators = tuple(assembler.evaluators(block, facts, reads))
        thresholds = self._thresholds(datasets, evaluators)
        gate = read_gate(llmops.gate, datasets, self._report)
        baseline, prices = read_baseline(llmops, self._conditions.baseline, self._paths.base), read_prices(llmops)
        check_sources(thresholds, baseline, prices, self._report.findings)
        self._check_rows(datasets, evaluators, thresholds, gate)
        reader = CandidateReader(facts, tuple(reads.values()), thresholds, self._report)
        candidates = tuple(reader.read(llmops.candidates or (), assembler))
        connections = self._connections(facts, evaluators, candidates)
        environment = self._environment(connections)
        with_init = tuple(replace(e.evaluator, init=self._init(e.facts, (*e.path, "flow"))) for e in evaluators)
        candidates = tuple(map(self._with_init, candidates))
        if facts is None:
            return None
        variants = VariantReader(facts, self._report).read(llmops.variants)
        init = self._init(facts, _FLOW, [name.removeprefix("init.") for name in variants.overrides])
        check_not_the_flow(candidates, facts.flow, {**init, **_default_init(variants)}, self._report)
        return Experiment(
            name=str(block.name),
            file=self._file,
            env=self._conditions.env,
            flow=facts.flow,
            datasets=datasets,
            evaluators=with_init,
            connections=connections,
            runtime=block.runtime or self._variables.get("runtime_name", "RUNTIME_NAME"),
            environment_variables=environment,
            init=init,
            variants=variants,
            gate=gate,
            thresholds=thresholds,
            slices=tuple(dict.fromkeys(llmops.slices.by)) if llmops.slices else (),
            baseline=baseline,
            prices=prices,
            releases=read_deployments(llmops.deployment, self._paths.base, self._report),
            candidates=tuple(read.candidate for read in candidates),
        )

    def _environment(self, connections: Sequence[Connection]) -> Mapping[str, str]:
        keys = keys_of(connections, self._sources.block.connections or ())
        return read_environment(
            self._paths,
            self._variables,
            self._report.findings,
            connections=None if self._conditions.in_workspace else keys,
            live=self._conditions.live,
        )

    def _assembler(self) -> Assembler:
        sources = self._sources
        removed = sources.removed_datasets()
        bound = ((e.name, d.reference or d.name) for e in sources.block.evaluators or () for d in e.datasets)
        for evaluator, dataset in bound:
            if sources.overlay and dataset in removed:
                what = f"leaves evaluator '{evaluator}' bound to dataset '{dataset}', which it removes"
                todo = "set 'evaluators:' here too, empty to run none"
                self._report.findings.error(sources.overlay.problem(("datasets",), what, todo))
        return Assembler(
            self._paths,
            self._report,
            declared=sources.names("datasets"),
            removed=removed,
            keep=needed_columns(sources.block),
            max_rows=self._conditions.max_rows,
            fetch=self._conditions.fetch,
        )

    def _init(
        self, facts: FlowFacts, path: KeyPath, written: Collection[str] = (), where: str = ""
    ) -> Mapping[str, Any]:
        """Read the init values of a flow, and report parameters that get none.

        ``written`` are the names of those that the experiment's file gives, ``where`` is the place for them in it.
        """
        live = self._conditions.live
        found = read_init(facts, self._paths, self._variables, self._report.findings, live=live)
        for name, port in facts.flow.init.items():
            if port.required and name not in found.given and name not in written:
                what = f"init parameter {name!r} of flow '{facts.flow.name}' has no value"
                self._report.error(path, what, f"set it {where}in {self._paths.show(facts.flow.folder / 'init.json')}")
        return found.values

    def _thresholds(self, datasets: Sequence[Dataset], evaluators: Sequence[ReadEvaluator]) -> tuple[Threshold, ...]:
        sources = self._sources
        reader = ThresholdReader(sources.names("evaluators"), self._report)
        thresholds = reader.read(sources.block, sources.overlaid_thresholds())
        check_thresholds(thresholds, datasets, self._report.findings)
        if self._conditions.strict:
            check_demanded(evaluators, thresholds, self._report)
        return thresholds

    def _check_rows(
        self,
        datasets: Sequence[Dataset],
        reads: Sequence[ReadEvaluator],
        thresholds: Sequence[Threshold],
        gate: GatePolicy,
    ) -> None:
        """Check that the rows and columns that the file names are in the data."""
        evaluators = [read.evaluator for read in reads]
        ColumnChecker(datasets, evaluators, self._report).check(self._sources.block, thresholds)
        check_one_key(reads, self._report)
        check_must_pass(thresholds, datasets, evaluators, self._report.findings)
        check_quarantine(gate.quarantine, evaluators, self._report)

    def _with_init(self, read: ReadCandidate) -> ReadCandidate:
        """Give a candidate its init values: those of the experiment's file go before those of ``init.json``."""
        written = read.candidate.init
        found = self._init(read.facts, (*read.path, "init"), written, where="here, or ")
        return replace(read, candidate=replace(read.candidate, init={**found, **written}))

    def _connections(
        self,
        facts: FlowFacts | None,
        evaluators: Sequence[ReadEvaluator],
        candidates: Sequence[ReadCandidate],
    ) -> tuple[Connection, ...]:
        """Read connections, and report those that flows name and nobody defines.

        Replayed answers need none, and a workspace has its own.
        """
        blocks = self._sources.block.connections or ()
        live = self._conditions.live and not self._conditions.in_workspace
        connections = read_connections(blocks, self._variables, self._report, live=live)
        names = [connection.name for connection in connections]
        flows: list[tuple[KeyPath, FlowFacts]] = [(_FLOW, facts)] if facts else []
        flows += [((*evaluator.path, "flow"), evaluator.facts) for evaluator in evaluators]
        flows += [((*candidate.path, "flow"), candidate.facts) for candidate in candidates]
        for path, used in flows:
            for name in used.flow.connections:
                if live and name not in names:
                    what = f"flow '{used.flow.name}' needs connection {name!r}, which is not defined"
                    self._report.error(path, what, suggest(name, names, "add it under 'connections:', which has"))
        return connections


def _default_init(variants: VariantRules) -> dict[str, Any]:
    """Return the init values that the default variant overrides: of each, the first."""
    found = {name: values[0] for name, values in variants.overrides.items() if name.startswith("init.")}
    return {name.removeprefix("init."): value for name, value in found.items()}
