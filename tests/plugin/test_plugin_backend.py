"""What of the backend ``azureml`` is settled before Azure is asked anything."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project

import pytest_llmops.api as llmops
from pytest_llmops.api import backends
from pytest_llmops.api.backends import executions_at_once, llm_mode
from pytest_llmops.engines.azureml import AzureMLEngine, Submissions
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.errors import AccessError, ConfigurationError, RunError
from pytest_llmops.plugin.backend import Backend
from pytest_llmops.plugin.ending import Terminated, heed_sigterm
from pytest_llmops.records.cloud import Workspace
from pytest_llmops.records.encoding import dumps

BACKEND = ("--llmops-backend", "azureml")
FLOWS = Path(__file__).parents[1] / "engines" / "flows"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"


def backend(root: Path = Path(), *, no_cache: bool = False, max_age: float | None = None) -> Backend:
    coordinates = dict.fromkeys(("subscription", "resource-group", "workspace", "credential"))
    settings = {"backend": "azureml", "no-cache": no_cache, "max-age": max_age, **coordinates}
    return Backend(settings, root)  # type: ignore[arg-type]


@given(age=st.integers(1, 10_000_000), begun=st.floats(1.7e9, 2.1e9), later=st.floats(0, 1))
def test_no_run_of_the_same_stretch_of_time_is_older_than_the_greatest_age(
    age: int, begun: float, later: float
) -> None:
    reusing = backend(max_age=float(age))
    now = begun + later * 3 * age
    if reusing._fresh("a", begun) == reusing._fresh("b", now):
        assert now - begun <= age


def test_a_session_reuses_runs_as_its_settings_say() -> None:
    assert backend()._fresh("a", 1.8e9) == ""
    assert backend(max_age=300.0)._fresh("a", 1.8e9) == "300.0 6000000"
    assert backend(no_cache=True, max_age=300.0)._fresh("a", 1.8e9) == "a"


def test_a_session_has_one_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "log_in", lambda *_: SimpleNamespace())
    for name, workspace in (("orders", "ws-a"), ("refunds", "ws-a"), ("ner", "ws-b")):
        (tmp_path / "evals" / name).mkdir(parents=True)
        (tmp_path / "evals" / name / ".env").write_text(
            "subscription_id=11111111-2222-3333-4444-555555555555\nresource_group_name=rg\n"
            f"workspace_name={workspace}\n",
            encoding="utf-8",
        )
    session = backend(tmp_path)
    session.check(tmp_path / "evals" / "orders", ())
    session.check(tmp_path / "evals" / "refunds", ())
    with pytest.raises(AccessError) as raised:
        session.check(tmp_path / "evals" / "ner", ())
    assert str(raised.value) == (
        "evals/ner is for workspace ws-b (resource group rg), and evals/orders for ws-a (resource group rg): "
        "a session has one; run them apart, or say which with --llmops-workspace"
    )


def test_runs_that_can_t_be_cancelled_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(workspace: Workspace, *_: object) -> None:
        raise AccessError(f"no login for {workspace}")

    monkeypatch.setattr(backends, "log_in", refuse)
    assert backend().cancel_left(tmp_path) == ""
    note = dumps(Workspace(subscription="s", resource_group="rg", name="ws"))
    Submissions(tmp_path / "submitted", note).add("r-1")
    said = backend().cancel_left(tmp_path)
    assert said == "runs may be left in the workspace: no login for ws (resource group rg)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (*BACKEND, "--llmops-llm", "replay"),
            "--llmops-llm: 'replay' is not for the backend azureml: LLM calls there are live; give live",
        ),
        (
            ("--llmops-run-timeout", "2h"),
            "--llmops-run-timeout: is for the backend azureml, and this one is local; add --llmops-backend azureml",
        ),
        (
            (*BACKEND, "--llmops-run-timeout", "2 days"),
            "--llmops-run-timeout: '2 days' is not allowed; give a duration such as 12h",
        ),
    ],
)
def test_settings_that_a_workspace_would_not_heed_are_refused(
    project: Project, options: tuple[str, ...], message: str
) -> None:
    result = project.run(*options)
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_header_says_that_calls_are_live_and_what_has_no_effect(project: Project) -> None:
    shutil.copytree(FLOWS / "triage", project.folder / "flow")
    project.replace("experiment.yaml", "shout:shout", "flow")
    project.replace("experiment.yaml", '{word: "${data.word}"}', '{text: "${data.word}", gold: "${data.gold}"}')
    project.replace("experiment.yaml", "outputs.loud", "outputs.queue")
    result = project.run("--collect-only", *BACKEND, "--llmops-run-timeout", "90m")
    result.stdout.fnmatch_lines(
        [
            "llmops: llm=live, backend=azureml (--llmops-backend), run-timeout=90m (--llmops-run-timeout), *",
            "llmops: flows run in the workspace, with live LLM calls; "
            "concurrency and llm-retries are for evaluators that are Python functions",
        ]
    )
    assert result.ret == pytest.ExitCode.OK


def test_a_flow_with_a_secret_in_its_files_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FLOWS / "triage", project.folder / "flow")
    project.write("flow/clean.py", f"\n# {KEY}\ndef clean(text):\n    return text\n")
    project.replace("experiment.yaml", "shout:shout", "flow")
    project.replace("experiment.yaml", '{word: "${data.word}"}', '{text: "${data.word}", gold: "${data.gold}"}')
    project.replace("experiment.yaml", "outputs.loud", "outputs.queue")
    monkeypatch.setenv("LLMOPS_SUBSCRIPTION", "11111111-2222-3333-4444-555555555555")
    monkeypatch.setenv("LLMOPS_RESOURCE_GROUP", "rg")
    monkeypatch.setenv("LLMOPS_WORKSPACE", "ws-llmops")
    result = project.run(*BACKEND)
    result.stdout.fnmatch_lines(
        [
            "*flow/clean.py:1: holds what looks like a key of OpenAI or Anthropic, and would be uploaded with the "
            "flow; take it out, and give it to the flow by a connection or an environment variable"
        ]
    )
    result.stdout.no_fnmatch_line(f"*{KEY}*")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_what_runs_elsewhere_is_not_limited_by_this_machine() -> None:
    local = LocalEngine()
    remote = AzureMLEngine(SimpleNamespace, local)  # type: ignore[arg-type]
    assert [executions_at_once(remote, processes) for processes in (1, 2, 16, 40)] == [16, 8, 1, 1]
    assert executions_at_once(local) == max(2, os.cpu_count() or 2)
    assert executions_at_once(local, 64) == 1


def test_llm_calls_of_the_library_are_live_in_a_workspace() -> None:
    assert (llm_mode(None, "local"), llm_mode("auto", "local"), llm_mode(None, "azureml")) == ("replay", "auto", "live")
    with pytest.raises(RunError) as raised:
        llm_mode("replay", "azureml")
    assert str(raised.value) == "llm is 'replay', and LLM calls of the backend azureml are live; give 'live'"


def test_the_library_too_demands_variables_where_flows_run_in_a_workspace(project: Project) -> None:
    project.write("environment/env.yaml", "STORE_KEY: ${STORE_KEY}\n")
    file = project.folder / "experiment.yaml"
    assert llmops.load(file).environment_variables == {}
    with pytest.raises(ConfigurationError, match=r"STORE_KEY is not set; write \$\{connection\.key\}, of a connection"):
        llmops.load(file, backend="azureml")
    project.write("environment/env.yaml", "STORE_KEY: ${store.key}\n")
    assert llmops.load(file, backend="azureml").environment_variables == {"STORE_KEY": "${store.key}"}


def test_sigterm_ends_a_session_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    put_back = heed_sigterm()
    try:
        with pytest.raises(Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        put_back()
    assert signal.getsignal(signal.SIGTERM) is before
