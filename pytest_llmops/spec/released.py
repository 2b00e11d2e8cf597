"""How an experiment's flow is deployed, read without the rest of its file: to take a release back takes no more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmops.errors import ConfigurationError, Problem
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Flow, VariantRules
from pytest_llmops.spec.deployment import DEPLOYMENTS, read_deployments
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.flows import read_flow
from pytest_llmops.spec.models import LLMOpsBlock
from pytest_llmops.spec.resolve import NotFound, Paths
from pytest_llmops.spec.sources import Sources, read_sources
from pytest_llmops.spec.variants import VariantReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Environments to how the flow is deployed to them, as far as the file says it, and the flow.

    ``flow`` is None where it can't be read, by a mistake that concerns those alone who need it.
    """

    file: Path
    releases: Mapping[str, Release]
    flow: Flow | None = None
    variants: VariantRules = field(default_factory=VariantRules)


def read_released(file: Path, root: Path) -> Released:
    """Read how an experiment's flow is deployed. Data, keys and mistakes in the rest of the file are no matter.

    Raises:
        ConfigurationError: where the file can't be read, or what it says of deployments is wrong.
    """
    file = Path(os.path.abspath(file))
    paths, findings = Paths(base=file.parent, root=Path(os.path.abspath(root))), Findings()
    sources = read_sources(file, None, paths, findings)
    if sources is None:
        raise ConfigurationError(findings.errors)
    llmops, report = sources.block.llmops or LLMOpsBlock(), Reporter(sources.document, findings)
    releases = read_deployments(llmops.deployment, paths.base, report)
    if problems := [problem for problem in findings.errors if _concerns_deployments(problem)]:
        raise ConfigurationError(problems)
    flow, variants = _flow(sources, paths)
    return Released(file=file, releases=releases, flow=flow, variants=variants)


def _concerns_deployments(problem: Problem) -> bool:
    """Tell whether a problem is with deployments, or with all that they are in."""
    llmops, deployment = DEPLOYMENTS
    path = f"{llmops}.{deployment}"
    return problem.key in ("", llmops, path) or problem.key.startswith(f"{path}.")


def _flow(sources: Sources, paths: Paths) -> tuple[Flow | None, VariantRules]:
    block, findings = sources.block, Findings()
    try:
        facts = read_flow(paths.flow(block.flow or block.name or ""), paths, findings)
    except NotFound:
        facts = None
    if facts is None:
        return None, VariantRules()
    llmops = block.llmops or LLMOpsBlock()
    variants = VariantReader(facts, Reporter(sources.document, findings)).read(llmops.variants)
    return (None if findings.errors else facts.flow), variants
