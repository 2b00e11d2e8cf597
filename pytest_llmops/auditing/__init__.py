"""What of a flow a candidate for its place does not cover, as far as reading the files of both can tell.

Nothing of either is imported or run. What is found is a list of questions to a person: nodes may have been merged on
purpose, and a value that stands somewhere in a candidate's files need not be the one that is used.
"""

from __future__ import annotations

from pytest_llmops.auditing.contents import read_contents
from pytest_llmops.auditing.coverage import Coverage
from pytest_llmops.auditing.findings import WHEN_RUN, Audit, Finding, State, Topic
from pytest_llmops.auditing.interface import interface_findings
from pytest_llmops.auditing.sources import read_sources
from pytest_llmops.auditing.variables import given_variables, variable_findings
from pytest_llmops.records.experiment import Candidate, Experiment

__all__ = ["WHEN_RUN", "Audit", "Finding", "State", "Topic", "audit"]


def audit(experiment: Experiment, candidate: Candidate) -> Audit:
    """Look for everything that an experiment's flow has in the files of one of its candidates."""
    sources = read_sources(experiment, candidate.flow)
    given = given_variables(experiment)
    coverage = Coverage(experiment.flow, read_contents(experiment.flow), candidate, sources, given)
    findings = (
        *interface_findings(experiment.flow, candidate.flow, sources.code),
        *coverage.findings(),
        *variable_findings(experiment, candidate, sources.code, given),
        *coverage.files(),
    )
    return Audit(candidate=candidate.name, flow=candidate.flow.name, read=sources.read, findings=findings)
