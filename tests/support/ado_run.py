"""A stand-in for Azure Pipelines: runs the stages and jobs of an expanded pipeline, one after another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ado_agent import CANCELED, FAILED, SKIPPED, Agent, Job, status_functions, worst
from ado_expressions import evaluate, parse

_RUNTIME = re.compile(r"\$\[(.*)\]", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class Stage:
    """What became of a stage, with its jobs; a job of several slices is there several times."""

    name: str
    result: str = SKIPPED
    jobs: list[Job] = field(default_factory=list)

    def result_of(self, job: str) -> str:
        """Result of a job, the worst of its slices."""
        return worst([found.result for found in self.jobs if found.name == job])

    def outputs_of(self, job: str) -> dict[str, str]:
        """Output variables of a job, named ``step.variable``."""
        return {name: value for found in self.jobs if found.name == job for name, value in found.outputs.items()}

    def outputs(self) -> dict[str, str]:
        """Output variables of all jobs, named ``job.step.variable``."""
        return {f"{job.name}.{name}": value for job in self.jobs for name, value in job.outputs.items()}


@dataclass(slots=True, kw_only=True)
class Run:
    """A run of a pipeline on an agent.

    ``variables`` are those of the run. ``lost`` are slices whose machine dies, ``overdue`` jobs that do all their
    steps, but not in time. Who runs stages again counts ``attempt`` up.
    """

    pipeline: Mapping[str, Any]
    agent: Agent
    folder: Path
    variables: Mapping[str, str]
    lost: frozenset[int] = frozenset()
    overdue: frozenset[str] = frozenset()
    attempt: int = 1
    stages: dict[str, Stage] = field(default_factory=dict)

    def execute(self, *names: str) -> None:
        """Run the stages of these names, else all."""
        for node in self.pipeline["stages"]:
            if not names or node["stage"] in names:
                self._run_stage(node)

    def _run_stage(self, node: Mapping[str, Any]) -> None:
        stage = self.stages[node["stage"]] = Stage(name=node["stage"])
        before = [self.stages[name] for name in as_list(node["dependsOn"])]
        dependencies = {found.name: {"result": found.result, "outputs": found.outputs()} for found in before}
        if not self._holds(node, [found.result for found in before], dependencies):
            return
        for job in node["jobs"]:
            self._run_job(stage, job, {**_variables(self.pipeline), **_variables(node), **_variables(job)})
        stage.result = worst([job.result for job in stage.jobs])

    def _run_job(self, stage: Stage, node: Mapping[str, Any], given: Mapping[str, str]) -> None:
        name = job_name(node)
        needed = as_list(node.get("dependsOn", []))
        results = {job: stage.result_of(job) for job in needed}
        dependencies = {job: {"result": results[job], "outputs": stage.outputs_of(job)} for job in needed}
        if not self._holds(node, list(results.values()), dependencies):
            stage.jobs.append(Job(name=name))
            return
        count = int(node.get("strategy", {}).get("parallel", 1))
        for position in range(1, count + 1):
            if count > 1 and position in self.lost:
                stage.jobs.append(Job(name=name, result=FAILED))
                continue
            folder = self.folder / f"{stage.name}-{self.attempt}" / f"{name}-{position}"
            variables = self._job_variables(given, folder, position, count)
            stage.jobs.append(job := self.agent.run(name, job_steps(node), variables))
            if name in self.overdue:
                job.result = CANCELED

    def _job_variables(self, given: Mapping[str, str], folder: Path, position: int, count: int) -> dict[str, str]:
        stages = {
            stage.name: {job.name: {"outputs": stage.outputs_of(job.name)} for job in stage.jobs}
            for stage in self.stages.values()
        }
        context = {"variables": self.variables, "stageDependencies": stages}
        return {
            **self.variables,
            **{name: _runtime_value(text, context) for name, text in given.items()},
            "System.JobPositionInPhase": str(position),
            "System.TotalJobsInPhase": str(count),
            "System.StageAttempt": str(self.attempt),
            "System.JobAttempt": "1",
            "Pipeline.Workspace": str(folder),
            "Build.SourcesDirectory": str(folder / "s"),
            "Agent.TempDirectory": str(folder / "temp"),
        }

    def _holds(self, node: Mapping[str, Any], results: Sequence[str], dependencies: Mapping[str, Any]) -> bool:
        condition = parse(node.get("condition", "succeeded()"))
        context = {"dependencies": dependencies, "variables": self.variables}
        return bool(evaluate(condition, context, status_functions(results)))


def as_list(value: str | list[str]) -> list[str]:
    """Return names that stand alone or in a list."""
    return [value] if isinstance(value, str) else value


def job_name(node: Mapping[str, Any]) -> str:
    """Return the name of a job or deployment."""
    return str(node["deployment"] if "deployment" in node else node["job"])


def job_steps(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of a job, or of a deployment that runs once."""
    return list(node["strategy"]["runOnce"]["deploy"]["steps"] if "deployment" in node else node["steps"])


def _variables(node: Mapping[str, Any]) -> dict[str, str]:
    found = node.get("variables", {})
    return found if isinstance(found, dict) else {}  # a list names groups here


def _runtime_value(text: str, context: Mapping[str, Any]) -> str:
    match = _RUNTIME.fullmatch(text.strip())
    if match is None:
        return text
    value = evaluate(parse(match[1].strip()), context, {})
    return "" if value is None else str(value)
