"""A stand-in for an agent of Azure Pipelines: executes the steps of a job on this machine.

Scripts are run by bash in a fresh clone, with the variables that an agent sets. Logging commands in their output are
obeyed as the agent obeys them. In-box tasks do what matters here: artifacts are copied, test results read, scripts run
with a login to Azure where there is one. Tasks that need a person, or a login that is not there, are recorded only.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ado_junit
import ado_log
from ado_expressions import Functions, evaluate, parse

SUCCEEDED, PARTLY, FAILED, SKIPPED = "Succeeded", "SucceededWithIssues", "Failed", "Skipped"
CANCELED = "Canceled"
_WORST_FIRST = (FAILED, CANCELED, PARTLY, SUCCEEDED, SKIPPED)
_CLEAN_CHECKOUT = {"checkout": "self", "clean": "true"}
_MACRO = re.compile(r"\$\(([\w.]+)\)")
_ACCESS_TOKEN = "System.AccessToken"
_MASK = "***"
_SET_VARIABLE = "task.setvariable"
_RESTRICTED = (
    _SET_VARIABLE,
    *(f"task.{name}" for name in ("complete", "debug", "logdetail", "logissue", "prependpath", "setprogress")),
    "task.setsecret",
)
"""Commands that a step with ``commands: restricted`` may give."""


@dataclass(slots=True, kw_only=True)
class Step:
    """What became of a step. ``refused`` are commands that it was not allowed to give.

    ``secrets`` are the environment variables of its process that held a secret.
    """

    name: str
    title: str = ""
    result: str = SUCCEEDED
    log: str = ""
    refused: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Job:
    """What became of a job. ``outputs`` are named ``step.variable``."""

    name: str
    result: str = SKIPPED
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What people see of a run: on its page, on the tab of tests, among the artifacts."""

    issues: list[tuple[str, str]] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    tests: dict[str, list[ado_junit.Shown]] = field(default_factory=dict)
    artifacts: Path


@dataclass(slots=True, kw_only=True)
class Agent:
    """A machine that runs jobs.

    ``repository`` is cloned for each job. ``environ`` is what every process inherits. ``connections`` maps service
    connections to the folder of an ``az`` that is logged in with each. ``recorded`` are the tasks that were not
    executed, each with its inputs.
    """

    repository: Path
    environ: Mapping[str, str]
    seen: Seen
    connections: Mapping[str, Path] = field(default_factory=dict)
    recorded: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def run(self, name: str, steps: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> Job:
        """Run the steps of a job. ``Pipeline.Workspace`` is the folder that it works in."""
        runner = _Runner(agent=self, job=Job(name=name), variables=dict(variables))
        runner.execute(steps)
        return runner.job


@dataclass(slots=True, kw_only=True)
class _Runner:
    agent: Agent
    job: Job
    variables: dict[str, str]
    path: list[str] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=lambda: {_ACCESS_TOKEN})

    @property
    def folder(self) -> Path:
        return Path(self.variables["Pipeline.Workspace"])

    def execute(self, steps: Sequence[Mapping[str, Any]]) -> None:
        (self.folder / "temp").mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", self.agent.repository, self.folder / "s"], check=True)
        self.job.result = SUCCEEDED
        for node in steps:
            step = Step(name=node.get("name", ""), title=node.get("displayName", ""))
            self.job.steps.append(step)
            condition = parse(node.get("condition", "succeeded()"))
            if not evaluate(condition, {"variables": self.variables}, status_functions([self.job.result])):
                step.result = SKIPPED
                continue
            self._run_step(node, step)
            if node.get("continueOnError") == "true" and step.result == FAILED:
                step.result = PARTLY
            self.job.result = worst([self.job.result, step.result])

    def _run_step(self, node: Mapping[str, Any], step: Step) -> None:
        if "script" in node:
            self._run_script(self._expanded(node["script"]), node, step)
        elif "task" in node:
            inputs = {name: self._expanded(text) for name, text in node["inputs"].items()}
            self._run_task(node, inputs, step)
        else:
            assert node in ({"download": "none"}, _CLEAN_CHECKOUT), node  # each job has a fresh clone here

    def _run_script(self, text: str, node: Mapping[str, Any], step: Step, login: Path | None = None) -> None:
        file = self.folder / "temp" / "script.sh"
        file.write_text(text, encoding="utf-8")
        environ = self._environment(node.get("env", {}), login)
        step.secrets = sorted(name for name, value in environ.items() if value in self._hidden())
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", file],
            cwd=self.folder / "s",
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        step.result = SUCCEEDED if done.returncode == 0 else FAILED
        for command in ado_log.parse(done.stdout):
            self._obey(command, node.get("target", {}), step)
        step.log = self._masked(done.stdout)

    def _hidden(self) -> set[str]:
        return {value for name in self.secrets if (value := self.variables.get(name))}

    def _masked(self, text: str) -> str:
        for value in sorted(self._hidden(), key=len, reverse=True):
            text = text.replace(value, _MASK)
        return text

    def _environment(self, mapped: Mapping[str, str], login: Path | None) -> dict[str, str]:
        public = {_environment_name(name): text for name, text in self.variables.items() if name not in self.secrets}
        first = [str(login)] if login else []
        path = os.pathsep.join([*first, *reversed(self.path), self.agent.environ["PATH"]])
        own = {name: self._expanded(text) for name, text in mapped.items()}
        return {**self.agent.environ, **public, "TF_BUILD": "True", **own, "PATH": path}

    def _obey(self, command: ado_log.Command, target: Mapping[str, Any], step: Step) -> None:
        restricted = target.get("commands") == "restricted" and command.name not in _RESTRICTED
        if restricted or (command.name == _SET_VARIABLE and target.get("settableVariables") == "none"):
            step.refused.append(command.name)
            return
        try:
            _COMMANDS[command.name](self, command, step)
        except FileNotFoundError:
            step.result = FAILED

    def set_variable(self, command: ado_log.Command, step: Step) -> None:
        name, is_output = command.properties["variable"], command.properties.get("isoutput") == "true"
        if is_output:
            assert step.name, f"output variable {name} of a step without a name"
            name = f"{step.name}.{name}"
        if name in self.fixed:
            step.refused.append(name)
            return
        self.variables[name] = command.message
        if command.properties.get("issecret") == "true":
            self.secrets.add(name)
        if is_output:
            self.job.outputs[name] = command.message
        if command.properties.get("isreadonly") == "true":
            self.fixed.add(name)

    def log_issue(self, command: ado_log.Command, step: Step) -> None:
        self.agent.seen.issues.append((command.properties["type"], command.message))

    def upload_summary(self, command: ado_log.Command, step: Step) -> None:
        self.agent.seen.summaries.append(Path(command.message).read_text(encoding="utf-8"))

    def add_tag(self, command: ado_log.Command, step: Step) -> None:
        assert ":" not in command.message
        self.agent.seen.tags.append(command.message)

    def complete(self, command: ado_log.Command, step: Step) -> None:
        step.result = worst([step.result, command.properties["result"]])

    def prepend_path(self, command: ado_log.Command, step: Step) -> None:
        self.path.append(command.message)

    def _run_task(self, node: Mapping[str, Any], inputs: Mapping[str, str], step: Step) -> None:
        if handler := _TASKS.get(node["task"]):
            step.result = handler(self, inputs)
        elif login := self.agent.connections.get(inputs.get("azureSubscription", "")):
            self._run_with_login(node, inputs, step, login)
        elif node["task"] in _RECORDED:
            self.agent.recorded.append((node["displayName"], inputs))
        else:
            raise AssertionError(f"unknown task {node['task']}")

    def _run_with_login(self, node: Mapping[str, Any], inputs: Mapping[str, str], step: Step, login: Path) -> None:
        """Run a script as AzureCLI@2 does: it logs in before and out after, so no other step has the login."""
        assert (inputs["scriptType"], inputs["scriptLocation"]) == ("bash", "inlineScript")
        self._run_script(inputs["inlineScript"], node, step, login)

    def nothing(self, inputs: Mapping[str, str]) -> str:
        return SUCCEEDED

    def use_python(self, inputs: Mapping[str, str]) -> str:
        """Put a Python on the path, whatever its version, without the scripts that lie beside it."""
        tool = self.folder / "tool"
        tool.mkdir()
        (tool / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        (tool / "python").chmod(0o755)
        self.path.append(str(tool))
        return SUCCEEDED

    def publish_tests(self, inputs: Mapping[str, str]) -> str:
        files = glob.glob(inputs["testResultsFiles"], root_dir=self.folder / "s")
        if not files:
            return FAILED if inputs.get("failTaskOnMissingResultsFile") == "true" else SUCCEEDED
        shown = [result for file in files for result in ado_junit.read(self.folder / "s" / file)]
        self.agent.seen.tests[inputs["testRunTitle"]] = shown
        failed = any(result.outcome == "Failed" for result in shown)
        return FAILED if failed and inputs.get("failTaskOnFailedTests") == "true" else SUCCEEDED

    def publish_artifact(self, inputs: Mapping[str, str]) -> str:
        source, target = self.folder / "s" / inputs["targetPath"], self.agent.seen.artifacts / inputs["artifact"]
        if not source.is_dir() or target.exists():
            return FAILED
        shutil.copytree(source, target)
        return SUCCEEDED

    def download_artifacts(self, inputs: Mapping[str, str]) -> str:
        pattern, _, rest = inputs["itemPattern"].partition("/")
        assert rest == "**"
        for artifact in self.agent.seen.artifacts.glob(pattern):
            shutil.copytree(artifact, Path(inputs["targetPath"]) / artifact.name)
        return SUCCEEDED

    def _expanded(self, text: str) -> str:
        known = {name.lower(): value for name, value in self.variables.items()}
        return _MACRO.sub(lambda match: known.get(match[1].lower(), match[0]), text)


_COMMANDS: Mapping[str, Callable[[_Runner, ado_log.Command, Step], None]] = {
    _SET_VARIABLE: _Runner.set_variable,
    "task.logissue": _Runner.log_issue,
    "task.uploadsummary": _Runner.upload_summary,
    "task.complete": _Runner.complete,
    "task.prependpath": _Runner.prepend_path,
    "build.addbuildtag": _Runner.add_tag,
}
_TASKS: Mapping[str, Callable[[_Runner, Mapping[str, str]], str]] = {
    "UsePythonVersion@0": _Runner.use_python,
    "Cache@2": _Runner.nothing,
    "PublishTestResults@2": _Runner.publish_tests,
    "PublishPipelineArtifact@1": _Runner.publish_artifact,
    "DownloadPipelineArtifact@2": _Runner.download_artifacts,
}
_RECORDED = ("AzureCLI@2", "ManualValidation@1")


def worst(results: Sequence[str]) -> str:
    """Return what several results come to: the worst; where all were skipped, that."""
    return min(results, key=_WORST_FIRST.index)


def status_functions(results: Sequence[str]) -> Functions:
    """Make the functions of a condition that ask for the results of what came before.

    ``succeededOrFailed`` is false after what was canceled, and, though the documentation does not say so, after what
    was skipped (MicrosoftDocs/azure-devops-docs#2896).
    """
    return {
        "always": lambda: True,
        "succeeded": lambda: all(result in (SUCCEEDED, PARTLY) for result in results),
        "succeededOrFailed": lambda: not {CANCELED, SKIPPED} & set(results),
        "failed": lambda: FAILED in results,
    }


def _environment_name(variable: str) -> str:
    return variable.replace(".", "_").replace(" ", "_").upper()
