"""Candidates: other implementations of the flow, read and checked against it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.records.experiment import AGREEMENT, RUN, Candidate, Flow, Threshold
from pytest_llmops.records.kinds import ENGINES
from pytest_llmops.rules import ANY, parse_rule
from pytest_llmops.spec.assemble import Assembler, ReadDataset
from pytest_llmops.spec.check import Binding, MappingChecker, takes
from pytest_llmops.spec.demands import Comparison, check_thresholds
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.flows import FlowFacts
from pytest_llmops.spec.metrics import misfits
from pytest_llmops.spec.models import CandidateBlock
from pytest_llmops.spec.models_gate import SliceThresholdBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import listing, suggest

_PATH: KeyPath = ("llmops", "candidates")
_WITH_FLOW = Comparison(reference="the flow", instead=AGREEMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCandidate:
    """A candidate with the init values that the file gives it, and what its flow's files say."""

    candidate: Candidate
    facts: FlowFacts
    path: KeyPath


class CandidateReader:
    """Reads candidates of one experiment: of its flow, on its ``datasets``, held to its ``thresholds``."""

    def __init__(
        self,
        flow: FlowFacts | None,
        datasets: Sequence[ReadDataset],
        thresholds: Collection[Threshold],
        report: Reporter,
    ) -> None:
        self._flow = flow
        self._datasets = datasets
        self._scored = [threshold for threshold in thresholds if threshold.evaluator != RUN and threshold.by is None]
        self._report = report

    def read(self, blocks: Collection[CandidateBlock], assembler: Assembler) -> Iterator[ReadCandidate]:
        """Read the blocks; those whose flow can't be read are left out."""
        seen: set[str] = set()
        for index, block in enumerate(blocks):
            path: KeyPath = (*_PATH, index)
            if block.name in seen:
                self._report.error((*path, "name"), "another candidate has this name", "rename one of them")
            seen.add(block.name)
            agreement = self._agreement(block.parity.agreement, (*path, "parity", AGREEMENT))
            self._check_margin(block.parity.margin, (*path, "parity", "margin"))
            facts = assembler.flow(block.flow, (*path, "flow"))
            if facts is None:
                continue
            self._check(block, facts, path)
            candidate = Candidate(
                name=block.name,
                flow=facts.flow,
                init=block.init or {},
                margin=block.parity.margin,
                agreement=agreement,
                required=block.required,
            )
            yield ReadCandidate(candidate=candidate, facts=facts, path=path)

    def _agreement(self, written: str | SliceThresholdBlock | None, path: KeyPath) -> Threshold | None:
        """Read the threshold for the share of rows with the same outputs."""
        if written is None:
            return None
        place = self._report.document.place(path)
        threshold = Threshold(
            evaluator=RUN,
            metric=AGREEMENT,
            rule=parse_rule(written) if isinstance(written, str) else written.rule,
            severity="fail" if isinstance(written, str) else written.severity,
            file=place.file,
            line=place.line,
        )
        for what, todo in misfits(threshold):
            self._report.error(path, what, todo)
        self._check_feasible([threshold])
        return threshold

    def _check_margin(self, margin: float | None, path: KeyPath) -> None:
        """Report a margin that nothing would be held to, and one that the rows can't show."""
        if margin is None:
            return
        if all(threshold.severity == "warn" for threshold in self._scored):
            what = "no metric of an evaluator has a threshold that can close the gate, so nothing is held to it"
            self._report.error(path, what, "add thresholds, or demand agreement")
        place = self._report.document.place(path)
        held = [
            Threshold(
                evaluator=threshold.evaluator,
                metric=threshold.metric,
                dataset=threshold.dataset,
                rule=ANY,
                margin=margin,
                file=place.file,
                line=place.line,
            )
            for threshold in self._scored
            if threshold.margin is None
        ]
        self._check_feasible(held)

    def _check_feasible(self, thresholds: Sequence[Threshold]) -> None:
        check_thresholds(thresholds, [read.dataset for read in self._datasets], self._report.findings, _WITH_FLOW)

    def _check(self, block: CandidateBlock, facts: FlowFacts, path: KeyPath) -> None:
        engine = ENGINES[facts.flow.kind]
        if block.engine not in (None, engine):
            what = f"flow '{facts.flow.name}' is executed by '{engine}', as its files say"
            self._report.error((*path, "engine"), what, "correct it, or remove the key")
        self._check_mappings(block.name, facts, (*path, "flow"))
        self._check_outputs(facts, (*path, "flow"))
        self._check_init(block.init or {}, facts, (*path, "init"))

    def _check_mappings(self, name: str, facts: FlowFacts, path: KeyPath) -> None:
        """Check the mappings of the flow's datasets, which are the candidate's too.

        The flow may well take what the candidate does not: then the candidate is what does not fit.
        """
        for read in self._datasets:
            mappings = read.dataset.mappings
            for unknown in (given for given in mappings if not takes(facts.flow, given)):
                who = f"flow '{facts.flow.name}' of candidate '{name}'"
                what = f"{who} does not take '{unknown}', which dataset '{read.dataset.name}' maps"
                self._report.error(path, what, suggest(unknown, facts.flow.inputs, "its inputs"))
            taken = {given: value for given, value in mappings.items() if takes(facts.flow, given)}
            binding = Binding(path=read.path, facts=facts, mappings=taken, data=read.table)
            MappingChecker(binding, self._report).check()

    def _check_outputs(self, facts: FlowFacts, path: KeyPath) -> None:
        """Report outputs of the flow that the candidate lacks, where both are known."""
        wanted = (self._flow.outputs if self._flow else None) or ()
        if facts.outputs is not None and (missing := [name for name in wanted if name not in facts.outputs]):
            what = f"flow '{facts.flow.name}' has no output {listing(missing)}, and the flow that it stands for has"
            self._report.error(path, what, f"its outputs: {listing(facts.outputs)}")

    def _check_init(self, init: Mapping[str, Any], facts: FlowFacts, path: KeyPath) -> None:
        known = facts.flow.init
        for name in init if not facts.open_init else ():
            if name not in known:
                what = f"not an init parameter of flow '{facts.flow.name}'"
                self._report.error((*path, name), what, suggest(name, known, "its parameters"))


def check_not_the_flow(reads: Sequence[ReadCandidate], flow: Flow, init: Mapping[str, Any], report: Reporter) -> None:
    """Report candidates that are the flow with its own init values: what is compared with itself shows nothing.

    ``init`` are the values of the flow's default variant; those of candidates have to be whole too.
    """
    for read in reads:
        if read.candidate.flow == flow and _in_full(flow, read.candidate.init) == _in_full(flow, init):
            todo = "name another flow, or give it another init"
            report.error((*read.path, "flow"), "is the flow itself, with the same init", todo)


def _in_full(flow: Flow, init: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: port.default for name, port in flow.init.items() if not port.required}, **init}
