"""What flows' files say of them. Nothing is imported or run."""

from __future__ import annotations

from pytest_llmops.errors import ConfigurationError, Problem
from pytest_llmops.records.experiment import Flow
from pytest_llmops.spec.files import read_text
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.flows.dag import read_dag
from pytest_llmops.spec.flows.entry import read_callable, read_flex, read_workflow
from pytest_llmops.spec.flows.facts import FlowFacts, FlowReader
from pytest_llmops.spec.flows.prompty import read_prompty
from pytest_llmops.spec.resolve import FlowPlace, NotFound, Paths
from pytest_llmops.spec.yaml_reader import read_yaml

__all__ = ["FlowFacts", "find_flow", "read_flow"]

_TEXTS = {"callable": read_callable, "workflow": read_workflow, "prompty": read_prompty}
"""What reads flows that no YAML file defines."""


def find_flow(text: str, paths: Paths) -> Flow:
    """Find and read one flow by itself.

    Raises:
        ConfigurationError: where it is not there, or can't be read.
    """
    findings = Findings()
    try:
        facts = read_flow(paths.flow(text), paths, findings)
    except NotFound as missing:
        raise ConfigurationError.one("flow", 0, "", missing.what, missing.todo) from None
    if facts is None or findings.errors:
        raise ConfigurationError(findings.errors)
    return facts.flow


def read_flow(place: FlowPlace, paths: Paths, findings: Findings) -> FlowFacts | None:
    """Read a flow's definition; None where it is too broken to say anything of it, which is reported."""
    file = paths.show(place.file)
    text = read_text(place.file, file, findings)
    if text is None:
        return None
    if place.kind in _TEXTS:
        return _TEXTS[place.kind](place, file, text, findings)
    document = read_yaml(text, file, findings, yaml_1_2=True)
    if document is None:
        return None
    if not isinstance(document.value, dict):
        findings.error(Problem(file, 1, "", "is not a mapping", "write the flow's definition"))
        return None
    reader = FlowReader(document, findings)
    return read_dag(place, reader) if place.kind == "dag" else read_flex(place, reader, paths)
