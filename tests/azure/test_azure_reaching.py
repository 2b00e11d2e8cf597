"""What commands about a deployment need of files and environment: to take a release back takes next to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure_blob import Azurite
from azure_emulator import Emulator
from azure_release import BLOCK, Project, llmops
from release_case import PATH

Output = pytest.CaptureFixture[str]
SECRET = "      environment_variables: {KEY: '${MY_SECRET}'}\n"


@pytest.fixture
def project(tmp_path: Path, azure: Emulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a use case with two versions deployed, the first with all traffic, in a job that lacks the secret."""
    monkeypatch.setenv("MY_SECRET", "s3cr3t")
    project = Project(tmp_path, azure, BLOCK + SECRET).entered(monkeypatch)
    project.evaluate()
    assert llmops("deploy") == 0
    project.change("Hello, dear")
    assert llmops("deploy", "--no-traffic") == 0
    monkeypatch.delenv("MY_SECRET")
    return project


def names(project: Project) -> tuple[str, str]:
    """Return the names of the first and the second deployment."""
    (first,) = project.traffic
    (second,) = set(project.deployments) - {first}
    return first, second


def edit(project: Project, *changes: tuple[str, str]) -> None:
    """Change the experiment file."""
    text = (project.root / PATH).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (project.root / PATH).write_text(text, encoding="utf-8")


REMOTE = ("source: names.jsonl", "source: azureml:names:1")
BROKEN = ("flow: polite:judge", "flow: nowhere:judge")


def test_a_rollback_needs_no_secret_no_data_and_no_evaluator(project: Project, capsys: Output) -> None:
    first, second = names(project)
    assert llmops("traffic") == 0, capsys.readouterr().err
    edit(project, REMOTE, BROKEN)
    assert llmops("rollback", "--deployment", second) == 0, capsys.readouterr().err
    assert project.traffic == {first: 100}
    assert list(project.deployments) == [first]


def test_neither_does_what_asks_about_the_endpoint(project: Project, capsys: Output) -> None:
    edit(project, REMOTE, BROKEN, ("flow: flows/greet", "flow: flows/nowhere"))
    capsys.readouterr()
    assert llmops("endpoint list") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in names(project))
    assert llmops("endpoint token") == 0
    assert llmops("rollback") == 4
    assert capsys.readouterr().err.splitlines() == [
        "the deployment's name is made of the flow's files, which can't be read; give --deployment"
    ]


def test_what_moves_traffic_needs_a_request_to_test_with(project: Project, capsys: Output) -> None:
    edit(project, REMOTE)
    writes = project.writes
    capsys.readouterr()
    for command in ("traffic", "promote", "endpoint test"):
        assert llmops(command) == 4
        assert capsys.readouterr().err.splitlines() == [
            "evals/greeter/experiment.yaml:14: llmops.deployment.prod.sample: "
            "there is no request to test the deployment with; name a file with one, such as sample-request.json"
        ]
    assert llmops("deploy") == 4
    assert "needs the environment variable MY_SECRET, which is not set; set it" in capsys.readouterr().err
    assert project.writes == writes


@pytest.mark.parametrize("command", ["traffic", "promote", "rollback"])
def test_a_name_that_is_made_of_another_version_of_the_flow(project: Project, command: str, capsys: Output) -> None:
    first, second = names(project)
    project.change("Another version")
    writes = project.writes
    capsys.readouterr()
    assert llmops(command) == 4
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("evals/greeter/experiment.yaml:14: endpoint 'greeter-prod' has no deployment 'greet-")
    assert said.endswith(f"it has: {first}, {second}")
    assert project.writes == writes


def test_a_deployment_that_is_named_and_gone_is_taken_back_already(project: Project, capsys: Output) -> None:
    capsys.readouterr()
    assert llmops("rollback", "--deployment", "gone") == 0
    assert capsys.readouterr().out == "greeter-prod/gone: there is no such deployment: nothing to take back\n"
