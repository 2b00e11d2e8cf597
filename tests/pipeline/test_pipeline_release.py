"""The release, executed: real commands on an emulated workspace, from the evaluation to the traffic, and back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ado_agent import FAILED, SKIPPED, SUCCEEDED, Step
from ado_project import commit, git, installed, logs, make_run, results
from ado_run import Run, Stage
from azure_blob import Azurite
from azure_emulator import Emulator, quiet
from azure_endpoint_routes import key_of, place
from azure_fixtures import azure_authority, azurite, azurite_process
from azure_release import Project
from azure_tls import Authority
from doc_examples import ROOT
from release_case import load

from pytest_llmops.deployment.names import deployment_name
from pytest_llmops.versions import flow_digest

__all__ = ["azure_authority", "azurite", "azurite_process"]

RELEASE = ("deploy", "endpoint", "traffic", "rollback")
BEFORE = {"old": 100}
WORKSPACE = ("LLMOPS_SUBSCRIPTION", "LLMOPS_RESOURCE_GROUP", "LLMOPS_WORKSPACE")


@dataclass(frozen=True, slots=True)
class Releasing:
    """A run of the pipeline for a use case whose endpoint serves another deployment already."""

    run: Run
    project: Project

    @property
    def digest(self) -> str:
        """The digest of the flow that is released."""
        return flow_digest(load(self.project.root).flow)

    @property
    def name(self) -> str:
        """The name of the new deployment."""
        return deployment_name("greet", self.digest)

    def release(self, *stages: str, ended: Sequence[str]) -> dict[str, str]:
        """Run stages of the release, all once more if they were run, and return the outputs of the first."""
        self.run.attempt += int("deploy" in self.run.stages)
        self.run.execute(*stages)
        assert [results(self.run)[stage] for stage in stages] == list(ended), logs(self.run)
        return self.run.stages["deploy"].outputs()

    def step(self, stage: str, title: str) -> Step:
        """Find a step of a stage."""
        return next(step for job in self.run.stages[stage].jobs for step in job.steps if step.title == title)

    def moves(self) -> list[str]:
        """Return the traffic that there was since this was asked last."""
        moves = self.project.moves
        self.project.emulator.log.clear()
        return moves

    def stands(self) -> tuple[Mapping[str, int], list[str]]:
        """Return the traffic as it is, and which deployments there are."""
        return self.project.traffic, sorted(self.project.deployments)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The project as the pipeline installs it: built once, not for each of its jobs."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path / "wheel", ROOT], check=True)
    (found,) = (tmp_path / "wheel").iterdir()
    return found


@pytest.fixture
def emulator(azure_authority: Authority, azurite: Azurite, tmp_path: Path) -> Iterator[Emulator]:
    """The workspace; only processes of the pipeline are its clients."""
    (tmp_path / "quiet").mkdir()
    running = Emulator(azure_authority, azurite, quiet(tmp_path / "quiet"))
    with running.started():
        yield running
    assert not running.refused + running.escaped + running.unknown


@pytest.fixture
def releasing(emulator: Emulator, wheel: Path, tmp_path: Path) -> Releasing:
    """A project with the pipeline as it is, and a run of it that has not begun."""
    project = Project(tmp_path / "origin", emulator)
    shutil.copy(ROOT / "azure-pipelines.yml", project.root)
    shutil.copytree(ROOT / ".azure-pipelines", project.root / ".azure-pipelines")
    (project.root / ".gitignore").write_text("/reports/\n.llmops/\n__pycache__/\n.promptflow/\n", encoding="utf-8")
    git(project.root, "init", "--quiet", "--initial-branch", "main")
    commit(project.root, "A use case and its pipeline")
    place(emulator.state, "greeter-prod", BEFORE)

    machine = {name: text for name, text in emulator.environ.items() if name not in WORKSPACE}
    packages = installed(tmp_path / "packages")
    install = f"--no-index --no-deps '{wheel}'"
    parameters: Mapping[str, Any] = {
        "packages": install,
        "releasePackages": install,
        "slices": 1,
        "useCase": "evals/greeter",
        "environment": "prod",
        "serviceConnection": "azure-llmops",
    }
    # Variables of the pipeline, which no step maps.
    variables = {name: emulator.environ[name] for name in WORKSPACE}
    packages["PYTHONPATH"] = os.pathsep.join([machine["PYTHONPATH"], packages["PYTHONPATH"]])
    run = make_run(project.root, tmp_path / "run", parameters, variables, {**machine, **packages})
    run.agent.connections = {"azure-llmops": tmp_path / "origin" / "bin"}
    run.stages["test"] = Stage(name="test", result=SUCCEEDED)
    return Releasing(run, project)


@pytest.mark.slow
def test_a_release_arrives_or_leaves_all_as_it_was(releasing: Releasing, emulator: Emulator) -> None:
    run = releasing.run
    run.execute("evaluate", "approve")
    assert results(run) == dict.fromkeys(("test", "evaluate", "approve"), SUCCEEDED), logs(run)

    emulator.fail("PUT", "deployments/", "unhealthy")
    check_that_what_crashed_is_gone(releasing)

    emulator.serve(lambda body: {"text": f"Go away, {body['name']}"})
    check_that_what_is_worse_is_gone(releasing)

    emulator.serve(lambda body: {"text": f"Dear {body['name']}"})
    check_that_what_is_good_arrives(releasing)
    check_what_people_see(run)


def check_that_what_crashed_is_gone(releasing: Releasing) -> None:
    # That the rollback then finds nothing to do is shown in tests/azure, without a process of its own.
    outputs = releasing.release("deploy", "endpoint", "traffic", ended=(FAILED, SKIPPED, SKIPPED))
    known = {"deploy.release.deployment": releasing.name, "deploy.release.digest": releasing.digest}
    assert outputs == known, "named for the rollback, before it was made"
    log = releasing.step("deploy", "Register and deploy").log
    assert "ModuleNotFoundError: No module named 'missing_package'" in log
    assert (releasing.moves(), releasing.stands()) == ([], (BEFORE, ["old"]))


def check_that_what_is_worse_is_gone(releasing: Releasing) -> None:
    name = releasing.name
    releasing.release(*RELEASE, ended=(SUCCEEDED, FAILED, SKIPPED, SUCCEEDED))
    decided = releasing.run.stages["endpoint"].outputs()
    assert decided["endpoint.verdict.decision"] == "closed"
    assert decided["endpoint.verdict.summary"].startswith("gate closed: 1 of 2 gates failed; decided: ")
    assert releasing.step("rollback", "Put the traffic back").log == (
        f"greeter-prod/{name}: it has no traffic; traffic: old 100 %: it stays so\ngreeter-prod/{name}: deleted\n"
    )
    assert (releasing.moves(), releasing.stands()) == ([], (BEFORE, ["old"]))


def check_that_what_is_good_arrives(releasing: Releasing) -> None:
    name = releasing.name
    outputs = releasing.release(*RELEASE, ended=(SUCCEEDED, SUCCEEDED, SUCCEEDED, SKIPPED))
    address = "https://greeter-prod.westeurope.inference.ml.azure.com/score"
    assert outputs == {
        "deploy.release.deployment": name,
        "deploy.release.digest": releasing.digest,
        "deploy.release.endpoint": address,
    }
    assert "nothing is uploaded" in releasing.step("deploy", "Register and deploy").log, "the model is there"
    assert releasing.run.stages["endpoint"].outputs()["endpoint.verdict.decision"] == "open"
    assert releasing.moves() == [f"{name} 10, old 90", f"{name} 100"]
    assert releasing.stands() == ({name: 100}, [name, "old"])
    check_who_knew_the_key(releasing)


def check_who_knew_the_key(releasing: Releasing) -> None:
    """The key is in the environment of one step, and nowhere else: not in a log, not in a file that is published."""
    run, key = releasing.run, key_of("greeter-prod")
    done = [step for stage in run.stages.values() for job in stage.jobs for step in job.steps]
    assert {step.title: step.secrets for step in done if step.secrets} == {
        "Evaluate the new deployment": ["LLMOPS_ENDPOINT_TOKEN"]
    }
    assert releasing.step("endpoint", "Get a token for the endpoint").log == (
        "##vso[task.setvariable variable=LLMOPS_ENDPOINT_TOKEN;issecret=true]***\n"
    )
    assert key not in logs(run)
    files = [path for path in run.agent.seen.artifacts.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def check_what_people_see(run: Run) -> None:
    seen = run.agent.seen
    assert run.agent.recorded == [], "every task that needs a login had one"
    assert sorted(path.name for path in seen.artifacts.iterdir()) == [
        "endpoint-2.1",
        "endpoint-3.1",
        "report-1",
        "slice-1-1",
    ]
    assert [title for title in seen.tests if title.startswith("Endpoint")] == [
        "Endpoint, attempt 2.1",
        "Endpoint, attempt 3.1",
    ]
    assert [text.splitlines()[0] for text in seen.summaries] == ["# Gate open", "# Gate closed", "# Gate open"]
    assert seen.tags == ["llmops-gate-open", "llmops-gate-closed", "llmops-gate-open"]
    done = [step for stage in run.stages.values() for job in stage.jobs for step in job.steps]
    assert [step.refused for step in done if step.refused] == []
