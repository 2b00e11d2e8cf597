"""``--llmops-backend azureml``: the same items and gates, about runs in a workspace, which is emulated."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from azure_blob import Azurite
from azure_emulator import Emulator
from azure_fixtures import azure, azure_authority, azure_sdks, azurite, azurite_process, loopback_only
from azure_identity import NOT_LOGGED_IN, install_az
from azure_runs import Cloud, computing
from project import Project

from pytest_llmops.azure import runs
from pytest_llmops.engines.azureml import polling
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.plugin import terminal

__all__ = ["azure", "azure_authority", "azure_sdks", "azurite", "azurite_process", "loopback_only"]

FLOWS = Path(__file__).parents[1] / "engines" / "flows"
BACKEND = ("--llmops-backend", "azureml")
EXPERIMENT = """
name: triaging
flow: flows/triage
datasets:
- name: tickets
  source: tickets.jsonl
  mappings: {text: "${data.text}", gold: "${data.gold}"}
evaluators:
- name: flex_class
  flow: flows/flex_class
  thresholds: {mean: ">= 10.6"}
  datasets:
  - name: tickets
    mappings: {answer: "${run.outputs.queue}", gold: "${data.gold}"}
- name: compare
  flow: compare:compare
  thresholds: {accuracy: ">= 0.6"}
  datasets:
  - name: tickets
    mappings: {answer: "${run.outputs.queue}", gold: "${data.gold}"}
"""
TICKETS = [
    {"text": " Invoice 1 ", "gold": "billing"},
    {"text": "hello", "gold": "billing"},
    {"text": "help", "gold": "support"},
]


@pytest.fixture(scope="module")
def compute() -> Iterator[LocalEngine]:
    """What the workspaces of this module run flows on."""
    with closing(LocalEngine()) as engine:
        yield engine


@pytest.fixture
def cloud(
    azure: Emulator, azurite: Azurite, compute: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """A workspace with compute, and an Azure CLI that is logged in to it."""
    (tmp_path / "bin").mkdir()
    install_az(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LLMOPS_CREDENTIAL", "cli")
    monkeypatch.setattr(polling, "_FIRST", 0.02)
    monkeypatch.setattr(runs, "_WAITS", (0.01,) * 5)
    with computing(azure, tmp_path / "cloud", compute) as cloud:
        yield cloud


@pytest.fixture
def triaging(project: Project) -> Project:
    """A use case of a DAG flow, with a flex flow and a Python function as its evaluators."""
    for name in ("triage", "flex_class"):
        shutil.copytree(FLOWS / name, project.folder / "flows" / name)
    project.write("experiment.yaml", EXPERIMENT)
    project.write_rows("tickets.jsonl", TICKETS)
    return project


def facts(project: Project) -> dict[str, object]:
    """Return what a session found out that does not depend on where flows were run."""
    (cell,) = project.report()["cells"]
    results = {"run": cell["run"], **{name: found["result"] for name, found in cell["evaluations"].items()}}
    return {
        "verdicts": {line["item"]: line["verdict"] for line in project.report("gate.json")["gates"]},
        "metrics": {name: result.get("metrics") for name, result in results.items()},
        "rows": {
            name: [(row["line_number"], row["inputs"], row.get("output")) for row in result["rows"]]
            for name, result in results.items()
        },
    }


@pytest.mark.slow
def test_verdicts_metrics_and_rows_are_those_of_a_local_session_and_a_second_one_submits_nothing(
    triaging: Project, cloud: Cloud
) -> None:
    triaging.run().assert_outcomes(passed=3)
    local = facts(triaging)

    result = triaging.run(*BACKEND)
    result.assert_outcomes(passed=3)
    assert facts(triaging) == local
    assert local["metrics"]["flex_class"]["n"] == 3  # type: ignore[index]
    run, evaluation = cloud.submissions
    assert cloud.runs[evaluation].submitted["variantRunId"] == run
    (cell,) = triaging.report()["cells"]
    assert (cell["llm"], cell["run"]["name"]) == ("live", run)
    assert triaging.report("gate.json")["settings"]["backend"] == "azureml"

    triaging.run(*BACKEND).assert_outcomes(passed=3)
    assert len(cloud.submissions) == 2
    assert facts(triaging) == local

    # Another machine has no ledger, but the same workspace.
    shutil.rmtree(triaging.path / ".llmops")
    triaging.run(*BACKEND).assert_outcomes(passed=3)
    assert len(cloud.submissions) == 2
    assert facts(triaging) == local
    (cell,) = triaging.report()["cells"]
    assert cell["run"]["recorded"] is not None

    triaging.run(*BACKEND, "--llmops-no-cache").assert_outcomes(passed=3)
    assert len(cloud.submissions) == 4


def test_failed_rows_close_the_gate(triaging: Project, cloud: Cloud) -> None:
    triaging.replace(
        "experiment.yaml", 'gold: "${data.gold}"}\nevaluators', 'gold: "${data.gold}", strict: true}\nevaluators'
    )
    result = triaging.run(*BACKEND, "--llmops-threshold=run.error_rate=<= 0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (cell,) = triaging.report()["cells"]
    assert [row.get("error") is None for row in cell["run"]["rows"]] == [True, False, False]
    assert triaging.report("gate.json")["state"] == "closed"
    verdicts = facts(triaging)["verdicts"]
    triaging.run("--llmops-threshold=run.error_rate=<= 0")
    assert facts(triaging)["verdicts"] == verdicts


def test_a_failed_run_closes_the_gate_and_says_why(triaging: Project, cloud: Cloud) -> None:
    cloud.broken.append("The image of the compute session can't be built.")
    result = triaging.run(*BACKEND)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*run 'llmops-triage-*-1': The image of the compute session can't be built.*"])
    assert triaging.report("gate.json")["state"] == "closed"

    triaging.run(*BACKEND).assert_outcomes(passed=3)
    assert [name[-2:] for name in cloud.submissions] == ["-1", "-2", "-1"]


def test_a_storm_of_429_delays_a_session_and_changes_nothing(triaging: Project, cloud: Cloud) -> None:
    for method, what in (("POST", "rundata"), ("POST", "submit"), ("GET", "childRuns"), ("POST", "lastvalues")):
        cloud.emulator.fail(method, what, "throttled", times=4)
    triaging.run(*BACKEND).assert_outcomes(passed=3)
    assert len(cloud.submissions) == 2


def test_a_run_that_vanishes_closes_the_gate(triaging: Project, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_UNSEEN", 0.5)
    cloud.open.clear()

    def vanish() -> None:
        wait_for(lambda: cloud.submissions)
        cloud.vanish(cloud.submissions[0])

    vanishing = threading.Thread(target=vanish)
    vanishing.start()
    result = triaging.run(*BACKEND)
    vanishing.join()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*run 'llmops-triage-*-1': it is not in the workspace any more*"])


def test_a_log_is_told_of_news_from_the_workspace_and_no_more(
    triaging: Project, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_REPORTED", 0.05)
    cloud.open.clear()

    def compute_at_last() -> None:
        wait_for(lambda: cloud.submissions)
        time.sleep(0.2)  # several looks at the run, and lines that could be said of them
        wait_for(lambda: sum("rundata -> 200" in line for line in cloud.emulator.log) > 5)
        time.sleep(0.1)
        cloud.open.set()

    waiting = threading.Thread(target=compute_at_last)
    waiting.start()
    result = triaging.run(*BACKEND)
    waiting.join()
    result.assert_outcomes(passed=3)
    said = [line for line in result.outlines if line.startswith("llmops: 0/3 rows")]
    assert "llmops: 0/3 rows, triage-tickets-default 0/3; runs in the workspace: 1 NotStarted" in said
    assert len(said) == len(set(said)) <= 4


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("login", "no login (cli): nobody is logged in to the Azure CLI; run 'az login'"),
        ("workspace", "*workspaces/nowhere*was not found*"),
    ],
)
def test_who_can_t_reach_the_workspace_learns_it_before_anything_is_begun(
    triaging: Project, cloud: Cloud, tmp_path: Path, broken: str, line: str
) -> None:
    if broken == "login":
        install_az(tmp_path / "bin", error=NOT_LOGGED_IN)
    result = triaging.run(*BACKEND, *(["--llmops-workspace=nowhere"] if broken == "workspace" else []))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"*{line.removeprefix('*')}"])
    assert not [text for text in result.outlines if "Traceback" in text]
    assert cloud.emulator.changes == []


def test_a_python_function_as_the_flow_under_test_is_refused(project: Project, cloud: Cloud) -> None:
    result = project.run(*BACKEND)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = (
        "evals/shouting/experiment.yaml: flow 'shout' is a Python function, which a workspace does not run; make it a "
    )
    assert any(line.startswith(said) for line in result.outlines)
    assert cloud.emulator.log == []


def test_a_secret_in_the_environment_of_a_run_is_refused(triaging: Project, cloud: Cloud) -> None:
    triaging.write("environment/env.yaml", "SEARCH_API_KEY: hunter2hunter2\n")
    result = triaging.run(*BACKEND)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*environment variable 'SEARCH_API_KEY' holds a secret, which all who see the run*"])
    result.stdout.no_fnmatch_line("*hunter2*")
    assert cloud.emulator.log == []


COMMAND = (sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:cacheprovider", *BACKEND)


@pytest.mark.slow
def test_a_session_that_is_killed_leaves_a_run_that_the_next_one_waits_for_and_sigterm_cancels_it(
    triaging: Project, cloud: Cloud
) -> None:
    cloud.open.clear()
    ours, theirs = pty.openpty()
    with subprocess.Popen(COMMAND, cwd=triaging.path, stdout=theirs, stderr=theirs, stdin=theirs) as session:
        os.close(theirs)
        said = b""
        while b"llmops: 0/3 rows, triage-tickets-default 0/3; runs in the workspace: 1 NotStarted" not in said:
            said += os.read(ours, 4096)
        session.kill()
    os.close(ours)
    assert cloud.cancelled == []
    cloud.open.set()
    triaging.run(*BACKEND).assert_outcomes(passed=3)
    assert len(cloud.submissions) == 2

    triaging.write_rows("tickets.jsonl", TICKETS[:2])
    cloud.open.clear()
    with subprocess.Popen(COMMAND, cwd=triaging.path, stdout=subprocess.PIPE, text=True) as other:
        wait_for(lambda: len(cloud.submissions) == 3, seconds=90)
        other.send_signal(signal.SIGTERM)
        told, _ = other.communicate(timeout=60)
    assert other.returncode == pytest.ExitCode.INTERRUPTED, told
    assert "rows, triage" not in told
    assert set(cloud.cancelled) == {cloud.submissions[2]}
    assert not (triaging.path / "reports" / "gate.json").exists() or (
        json.loads((triaging.path / "reports" / "gate.json").read_text(encoding="utf-8"))["state"] == "closed"
    )


@pytest.fixture
def ctrl_c() -> Iterator[int]:
    """SIGINT, which programs ignore that are started where it is ignored, as it is in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_ctrl_c_cancels_what_the_workers_submitted(triaging: Project, cloud: Cloud, ctrl_c: int) -> None:
    cloud.open.clear()
    with subprocess.Popen((*COMMAND, "-n", "2"), cwd=triaging.path, stdout=subprocess.PIPE, text=True) as session:
        wait_for(lambda: cloud.submissions, seconds=120)
        session.send_signal(ctrl_c)  # to the main process alone: workers learn of it by themselves
        told, _ = session.communicate(timeout=90)
    assert session.returncode == pytest.ExitCode.INTERRUPTED, told
    assert cloud.cancelled == cloud.submissions


@pytest.mark.slow
def test_what_workers_submitted_that_were_killed_is_cancelled_at_the_end(triaging: Project, cloud: Cloud) -> None:
    cloud.open.clear()
    command = (*COMMAND, "-n", "1", "--max-worker-restart", "0")
    with subprocess.Popen(command, cwd=triaging.path, stdout=subprocess.PIPE, text=True) as session:
        wait_for(lambda: cloud.submissions, seconds=120)
        (worker,) = Path(f"/proc/{session.pid}/task/{session.pid}/children").read_text(encoding="utf-8").split()
        os.kill(int(worker), signal.SIGKILL)
        told, _ = session.communicate(timeout=90)
    assert session.returncode != pytest.ExitCode.OK, told
    assert cloud.cancelled == cloud.submissions


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
