"""``llmops deploy``, ``traffic``, ``promote``, ``rollback`` and ``endpoint``, against the emulator."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure_blob import Azurite
from azure_control_plane import add_compute
from azure_emulator import Emulator
from azure_release import PROMPT, Project, llmops
from azure_routes import Answer
from azure_web import add_web
from release_case import FLOW, PATH, session, write_session

Output = pytest.CaptureFixture[str]

KUBERNETES = """
llmops:
  deployment:
    prod: {kind: kubernetes, endpoint: greeter-prod, compute: aks1, cpu: 500m, memory: 1Gi, traffic: [100]}
"""
NAME = re.compile(r"greet-[0-9a-f]{8}")


@pytest.fixture
def project(tmp_path: Path, azure: Emulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a use case with an open gate."""
    project = Project(tmp_path, azure).entered(monkeypatch)
    project.evaluate()
    return project


@pytest.fixture
def live(project: Project, capsys: Output) -> str:
    """Deploy a first version, which takes all traffic, then change the flow. Returns the first one's name."""
    assert llmops("deploy") == 0, capsys.readouterr()
    (first,) = project.traffic
    project.change("Hello, dear")
    capsys.readouterr()
    return first


def plain(text: str) -> list[str]:
    """Lines of output without what differs from run to run."""
    return re.sub(r"after \d+s", "after 1s", text).splitlines()


def test_a_first_deployment_creates_the_endpoint_and_takes_all_traffic(project: Project, capsys: Output) -> None:
    assert llmops("deploy") == 0
    (name,) = project.traffic
    assert NAME.fullmatch(name)
    assert plain(capsys.readouterr().out) == [
        "registered: model greeter:1 (4 files, 474 bytes)",
        "greeter-prod: there is no such endpoint: it is created, without traffic",
        f"greeter-prod/{name}: deploying model greeter:1, without traffic; this takes minutes",
        f"greeter-prod/{name}: healthy, after 1s",
        f"greeter-prod/{name}: answers the test request",
        f"greeter-prod: traffic: {name} 100 %",
        "greeter-prod: answers the test request",
    ]
    assert project.moves == [f"{name} 100"]


def test_a_second_deployment_takes_its_traffic_in_steps(project: Project, live: str, capsys: Output) -> None:
    assert llmops("deploy") == 0
    (name,) = project.traffic
    assert name != live
    assert plain(capsys.readouterr().out)[1:] == [
        f"greeter-prod/{name}: deploying model greeter:2, without traffic; this takes minutes",
        f"greeter-prod/{name}: healthy, after 1s",
        f"greeter-prod/{name}: answers the test request",
        f"greeter-prod: traffic: {live} 90 %, {name} 10 %",
        f"greeter-prod/{name}: answers the test request",
        f"greeter-prod: traffic: {name} 100 %",
        "greeter-prod: answers the test request",
    ]
    assert [set(move.split(", ")) for move in project.moves[1:]] == [{f"{live} 90", f"{name} 10"}, {f"{name} 100"}]
    assert set(project.deployments) == {live, name}


def test_run_twice_it_does_nothing_the_second_time(project: Project, capsys: Output) -> None:
    assert llmops("deploy") == 0
    writes = project.writes
    (name,) = project.traffic
    capsys.readouterr()
    assert llmops("deploy") == 0
    assert capsys.readouterr().out.splitlines() == [
        "model greeter:1 is of the same files; nothing is uploaded",
        f"greeter-prod/{name}: deployed already; traffic: {name} 100 %; nothing to do",
    ]
    assert project.writes == writes


def test_without_traffic_then_traffic_then_promote_then_rollback(project: Project, live: str, capsys: Output) -> None:
    assert llmops("deploy", "--no-traffic") == 0
    (name,) = set(project.deployments) - {live}
    assert project.traffic == {live: 100}
    assert llmops("traffic", "--percent", "25") == 0
    assert project.traffic == {live: 75, name: 25}
    assert llmops("traffic") == 0
    assert project.traffic == {name: 100}
    capsys.readouterr()
    assert llmops("promote", "--deployment", live) == 0
    assert project.traffic == {live: 100}
    assert llmops("promote") == 0
    assert llmops("rollback") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"greeter-prod: the traffic is as it was before: {live} 100 %",
        f"greeter-prod/{name}: deleted",
    ]
    assert project.traffic == {live: 100}
    assert list(project.deployments) == [live]
    assert llmops("rollback", "--deployment", name) == 0
    assert capsys.readouterr().out == f"greeter-prod/{name}: there is no such deployment: nothing to take back\n"


def test_who_gets_the_rest_by_the_file_can_be_promoted(project: Project, live: str) -> None:
    assert llmops("deploy") == 0
    project.replace("timeout: 1m", f"timeout: 1m\n      prior: {live}")
    assert llmops("promote", "--deployment", live) == 0
    assert project.traffic == {live: 100}


def test_another_version_of_a_name_gets_no_traffic_and_is_not_rolled_back(project: Project, capsys: Output) -> None:
    assert llmops("deploy", "--deployment", "green", "--no-traffic") == 0
    capsys.readouterr()
    assert llmops("promote", "--deployment", "green", "--digest", "0a1b2c3d") == 4
    assert "deployment 'green' is another version now: " in capsys.readouterr().err
    assert llmops("rollback", "--deployment", "green", "--digest", "0a1b2c3d") == 0
    assert ", not 0a1b2c3d: it is left alone; traffic: no traffic\n" in capsys.readouterr().out
    assert list(project.deployments) == ["green"]


def test_a_dry_run_refuses_what_the_command_would_refuse(project: Project, capsys: Output) -> None:
    assert llmops("deploy", "--deployment", "green") == 0
    project.change("Hello, dear")
    writes = project.writes
    capsys.readouterr()
    for dry_run in [], ["--dry-run"]:
        assert llmops("deploy", "--deployment", "green", *dry_run) == 4
        said = capsys.readouterr()
        assert "deployment 'green' has traffic (green 100 %), and another flow; name a new one" in said.err
        assert said.out == ""
    assert project.writes == writes


def test_a_dry_run_says_what_would_be_done_and_does_nothing(project: Project, live: str, capsys: Output) -> None:
    writes = project.writes
    assert llmops("deploy", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "What would be done, in this order:" in out
    assert f"There now:    {live}: 100 % of the traffic" in out
    assert out.endswith("Nothing was changed (--dry-run).\n")
    assert project.writes == writes
    (project.root / PROMPT).write_text("changed after its gate\n", encoding="utf-8")
    assert llmops("deploy", "--dry-run") == 4
    assert project.writes == writes


def test_a_dry_run_says_which_gates_are_closed_and_on_whose_word_they_are_overridden(
    project: Project, capsys: Output
) -> None:
    write_session(project.root, session(project.root, failed=["score"]))
    assert llmops("deploy", "--dry-run") == 1
    closed = capsys.readouterr().out
    assert "Gate CLOSED:  the gate is closed: 1 of 4 gates failed\n              closed by FAIL polite.score[" in closed
    assert "To see what an override would do, add --override-gate REASON to this command.\n" in closed
    assert llmops("deploy", "--dry-run", "--override-gate", "hotfix") == 0
    out = capsys.readouterr().out
    assert re.search(r"Gate:         OVERRIDDEN by .+: hotfix\n              This is kept in tags of the model", out)
    assert "              closed by FAIL polite.score[" in out
    assert "What would be done, in this order:" in out


def test_an_override_of_what_is_deployed_already_registers_nothing(project: Project, capsys: Output) -> None:
    assert llmops("deploy") == 0
    write_session(project.root, session(project.root, failed=["score"]))
    capsys.readouterr()
    assert llmops("deploy", "--override-gate", "again") == 0
    assert "model greeter:1 is of the same files; nothing is uploaded\n" in capsys.readouterr().out
    assert sum(line.startswith("PUT models/") for line in project.writes) == 1


def test_a_right_that_is_missing_leaves_a_model_which_is_said(
    project: Project, live: str, azure: Emulator, capsys: Output
) -> None:
    project.change("Hello, dear")
    azure.fail("PUT", "deployments/", "forbidden", times=1)
    assert llmops("deploy") == 4
    assert capsys.readouterr().out.endswith("nothing was deployed; model greeter:2 stays, and is used the next time\n")


@pytest.mark.parametrize("command", ["endpoint token", "endpoint test", "traffic", "promote"])
def test_an_endpoint_that_is_not_there_is_refused_alike(project: Project, command: str, capsys: Output) -> None:
    assert llmops(command) == 4
    assert capsys.readouterr().err == (
        "evals/greeter/experiment.yaml:14: there is no endpoint 'greeter-prod'; deploy it first\n"
    )


@pytest.mark.parametrize(
    ("method", "pattern", "how", "said"),
    [
        ("PUT", "deployments/", "quota", "Not enough quota available for Standard_DS3_v2 in subscription"),
        ("PUT", "deployments/", "lro-failed", "The operation failed"),
        ("PUT", "deployments/", "unhealthy", "User container has crashed or terminated"),
        ("PUT", "deployments/", "forbidden", "no right to do this"),
        ("PUT", "onlineEndpoints/greeter-prod$", "quota", "Not enough quota"),
        ("PUT", "onlineEndpoints/greeter-prod$", "lro-failed", "The operation failed"),
        ("PUT", "onlineEndpoints/greeter-prod$", "forbidden", "no right to do this"),
        ("POST", "greeter-prod/score", "server-error", "500 Internal Server Error"),
        ("POST", "listKeys", "forbidden", "no right to do this"),
    ],
)
def test_whatever_fails_the_traffic_is_as_it_was(
    project: Project, live: str, azure: Emulator, capsys: Output, method: str, pattern: str, how: str, said: str
) -> None:
    azure.fail(method, pattern, how, times=1)
    code = llmops("deploy")
    error = capsys.readouterr().err
    assert said in error, error
    assert code == (4 if how == "forbidden" and "deployments" in pattern else 1)
    assert project.traffic == {live: 100}
    assert list(project.deployments) == [live]
    assert llmops("deploy") == 0, "what failed once can be tried again"
    assert len(project.traffic) == 1
    assert project.traffic != {live: 100}


@pytest.mark.parametrize("number", range(4))
def test_a_failing_answer_at_any_step_puts_the_traffic_back(
    project: Project, live: str, azure: Emulator, capsys: Output, number: int
) -> None:
    asked: list[object] = []

    def answer(body: dict[str, str]) -> object:
        asked.append(body)
        return {"text": None} if len(asked) == number + 1 else {"text": "Dear"}

    azure.serve(answer)
    assert llmops("deploy") == (1 if number < 3 else 0)
    if number < 3:
        assert project.traffic == {live: 100}
        assert "output 'text' is null" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["throttled", "server-error", "unavailable", "drop", "drop-answer"])
def test_what_passes_does_not_fail_a_deployment(project: Project, live: str, azure: Emulator, how: str) -> None:
    azure.fail("PUT", "deployments/", how)
    azure.fail("PUT", "onlineEndpoints/greeter-prod$", how)
    assert llmops("deploy") == 0
    assert len(project.traffic) == 1
    assert project.traffic != {live: 100}


def test_the_traffic_that_cannot_be_put_back_is_told_with_the_command_that_does(
    project: Project, live: str, azure: Emulator, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_llmops.deployment.takeback._ATTEMPTS", (0.0, 0.0))
    azure.serve(lambda body: {"text": None} if 10 in project.traffic.values() else {"text": "Dear"})
    azure.fail("PUT", "onlineEndpoints/greeter-prod$", "quota", times=99, after=1)
    assert llmops("deploy") == 1
    said = capsys.readouterr()
    refusal = "Not enough quota available for Standard_DS3_v2 in subscription (OutOfQuota, HTTP 400)"
    lines = said.out.splitlines()
    start = next(number for number, line in enumerate(lines) if "COULD NOT BE PUT BACK" in line)
    assert lines[start : start + 3] == [
        f"greeter-prod: THE TRAFFIC COULD NOT BE PUT BACK (traffic of endpoint 'greeter-prod': {refusal})",
        f"  it should be: {live} 100 %",
        f"  set it by hand, now: az ml online-endpoint update --name greeter-prod --traffic {live}=100 "
        "--workspace-name ws-llmops --resource-group rg-llmops --subscription 11111111-2222-3333-4444-555555555555",
    ]


# Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "as an agent cancels"])
def test_an_interrupt_puts_the_traffic_back(
    project: Project, live: str, azure: Emulator, capsys: Output, number: signal.Signals, times: int
) -> None:
    sent: list[int] = []

    def answer(body: dict[str, str]) -> object:
        if 10 in project.traffic.values() and not sent:
            for _ in range(times):
                sent.append(number)
                os.kill(os.getpid(), number)
                time.sleep(0.05)
        return {"text": "Dear"}

    azure.serve(answer)
    assert llmops("deploy") == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert len(sent) == times
    assert project.traffic == {live: 100}
    assert list(project.deployments) == [live]
    said = capsys.readouterr()
    assert f"greeter-prod: the traffic is as it was before: {live} 100 %" in said.out
    assert said.err.splitlines()[-1] == {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]


@pytest.mark.slow
def test_a_process_that_an_agent_ends_puts_the_traffic_back(project: Project, live: str, azure: Emulator) -> None:
    project.replace("traffic: [10,", "pause: 1h\n      traffic: [10,")
    code = "import sys; from pytest_llmops.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "deploy", PATH, "--env", "prod"]
    environ = {**os.environ, **azure.environ, **project.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = next((line for line in process.stdout if "watching" in line), "")
        assert seen == "greeter-prod: watching for 1h\n", process.communicate()
        assert project.traffic[live] == 90
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert project.traffic == {live: 100}, out + err
    assert list(project.deployments) == [live]
    assert process.returncode in (130, 143)


# Kubernetes


def test_a_second_deployment_on_kubernetes_does_not_reset_the_traffic(
    tmp_path: Path, azure: Emulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_compute(azure.state, "aks1")
    project = Project(tmp_path, azure, KUBERNETES).entered(monkeypatch)
    project.evaluate()
    assert llmops("deploy") == 0
    (first,) = project.traffic
    project.change("Hello, dear")
    assert llmops("deploy", "--no-traffic") == 0
    assert project.traffic == {first: 100}
    assert llmops("traffic") == 0
    assert project.traffic.keys() != {first}
    assert project.moves[0] == f"{first} 100"
    assert len(project.moves) == 2


# Refusals


def test_bad_input_is_exit_code_4_and_nothing_is_asked_of_azure(
    project: Project, azure: Emulator, capsys: Output
) -> None:
    def refused(*arguments: str, env: str = "prod") -> str:
        from pytest_llmops.cli import main

        assert main([*arguments, PATH, "--env", env]) == 4
        return capsys.readouterr().err

    assert refused("deploy", env="prdo") == (
        "evals/greeter/experiment.yaml:14: there is no environment 'prdo', only 'prod'; did you mean 'prod'?\n"
    )
    said = "--deployment: Azure refuses 'x_y'; write 3 to 32 letters, digits and hyphens, with a letter first"
    assert refused("traffic", "--deployment", "x_y").startswith(said)
    assert azure.log == []


def test_a_flow_that_changed_after_its_gate_is_refused_before_anything_is_made(
    project: Project, azure: Emulator, capsys: Output
) -> None:
    (project.root / PROMPT).write_text("changed\n", encoding="utf-8")
    assert llmops("deploy") == 4
    assert "flow 'greet' changed after the gate was decided" in capsys.readouterr().err
    write_session(project.root, session(project.root, failed=["kind"]))
    assert llmops("deploy") == 1
    assert azure.log == []


def test_a_share_that_is_none_is_refused(project: Project, capsys: Output) -> None:
    for text in ("101", "-1", "x", "nan", "50%"):
        with pytest.raises(SystemExit) as end:
            llmops("traffic", "--percent", text)
        assert end.value.code == 4
        wanted = "is no share in percent; give a whole number from 0 to 100\n"
        assert capsys.readouterr().err.endswith(f"argument --percent: {text!r} {wanted}")


def test_a_name_that_another_flow_has_with_traffic_is_refused(project: Project, live: str, capsys: Output) -> None:
    writes = project.writes
    assert llmops("deploy", "--deployment", live) == 4
    assert f"deployment '{live}' has traffic ({live} 100 %), and another flow" in capsys.readouterr().err
    assert project.writes == writes


def test_without_a_login_nothing_is_made(project: Project, azure: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    assert llmops("deploy") == 4
    assert azure.log == []


# In a pipeline


def test_an_agent_learns_the_deployment_before_it_is_made_and_the_endpoint_after(
    project: Project, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    assert llmops("deploy", "--no-traffic") == 0
    lines = capsys.readouterr().out.splitlines()
    (name,) = project.deployments
    said = [line for line in lines if line.startswith("##vso")]
    digest = project.emulator.state.resources[f"onlineEndpoints/greeter-prod/deployments/{name}"]["tags"]["llmops_flow"]
    assert said == [
        f"##vso[task.setvariable variable=digest;isOutput=true;isReadOnly=true]{digest}",
        f"##vso[task.setvariable variable=deployment;isOutput=true;isReadOnly=true]{name}",
        "##vso[task.setvariable variable=endpoint;isOutput=true;isReadOnly=true]"
        "https://greeter-prod.westeurope.inference.ml.azure.com/score",
    ]
    assert lines.index(said[0]) < lines.index("greeter-prod: there is no such endpoint: it is created, without traffic")
    assert llmops("traffic", "--deployment", name, "--digest", digest) == 0
    capsys.readouterr()
    assert llmops("deploy", "--no-traffic") == 0
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("##vso")]
    assert again == said[2:], "what was live before must not be taken back by a later stage"


def test_the_token_of_an_endpoint_is_a_secret_variable_there_and_printed_elsewhere(
    project: Project, live: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert llmops("endpoint token") == 0
    assert capsys.readouterr().out == "key-of-greeter-prod\n"
    monkeypatch.setenv("TF_BUILD", "True")
    assert llmops("endpoint token") == 0
    assert capsys.readouterr().out == (
        "##vso[task.setvariable variable=LLMOPS_ENDPOINT_TOKEN;issecret=true]key-of-greeter-prod\n"
    )


# What is there


def test_endpoints_are_listed_with_their_deployments(project: Project, live: str, capsys: Output) -> None:
    assert llmops("deploy", "--no-traffic") == 0
    capsys.readouterr()
    assert llmops("endpoint list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.sub(" {2,}", "|", lines[0]) == "endpoint|deployment|state|traffic|flow|age"
    shown = {fields[1]: fields for fields in (re.split(" {2,}", line) for line in lines[1:])}
    assert shown[live][:5] == ["greeter-prod", live, "Succeeded", "100 %", live.removeprefix("greet-")]
    (new,) = set(shown) - {live}
    assert shown[new][3] == "0 %"
    assert shown[new][5].endswith(("seconds", "second"))


def test_an_endpoint_is_tested_by_its_traffic_or_a_deployment_alone(
    project: Project, live: str, azure: Emulator, capsys: Output
) -> None:
    assert llmops("deploy", "--no-traffic") == 0
    (new,) = set(project.deployments) - {live}
    azure.serve(lambda body: Answer(status=400, body={"error": {"message": "broken"}}), "greeter-prod", new)
    capsys.readouterr()
    url = "https://greeter-prod.westeurope.inference.ml.azure.com/score"
    assert llmops("endpoint test") == 0
    assert capsys.readouterr().out == f"{url}: answers the test request\n"
    assert llmops("endpoint test", "--deployment", new) == 1
    assert capsys.readouterr().out.startswith(f"{url} (deployment {new}): 400 Bad Request: broken")


def test_no_endpoints_are_listed_as_none(project: Project, capsys: Output) -> None:
    assert llmops("endpoint list") == 0
    assert capsys.readouterr().out == "there are no endpoints of this kind\n"


def test_the_configuration_of_the_template_deploys_as_well(
    tmp_path: Path, azure: Emulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    project = Project(tmp_path, azure, "").entered(monkeypatch)
    folder = project.root / PATH
    (folder.parent / "configs").mkdir()
    (folder.parent / "sample-request.json").write_text('{"name": "Ann"}', encoding="utf-8")
    (folder.parent / "configs" / "deployment_config.json").write_text(
        """{"azure_managed_endpoint": [{"ENV_NAME": "prod", "TEST_FILE_PATH": "sample-request.json",
        "ENDPOINT_NAME": "greeter-prod", "ENDPOINT_DESC": "Greets", "DEPLOYMENT_DESC": "First",
        "PRIOR_DEPLOYMENT_NAME": "", "PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION": "",
        "CURRENT_DEPLOYMENT_NAME": "blue", "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": "100",
        "DEPLOYMENT_VM_SIZE": "Standard_F4s_v2", "DEPLOYMENT_INSTANCE_COUNT": 1,
        "ENVIRONMENT_VARIABLES": {"MODE": "a=b c"}}]}""",
        encoding="utf-8",
    )
    project.evaluate()
    assert llmops("deploy") == 0, capsys.readouterr()
    assert project.traffic == {"blue": 100}
    made = azure.state.resources["onlineEndpoints/greeter-prod/deployments/blue"]["properties"]
    assert made["environmentVariables"]["MODE"] == "a=b c"


def test_a_class_is_served_with_its_init_values(
    tmp_path: Path, azure: Emulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    project = Project(tmp_path, azure).entered(monkeypatch)
    folder = project.root / FLOW
    (folder / "flow.dag.yaml").unlink()
    (folder / "flow.flex.yaml").write_text("entry: greet:Greeter\n", encoding="utf-8")
    (folder / "greet.py").write_text(
        "class Greeter:\n    def __init__(self, greeting: str): ...\n"
        "    def __call__(self, name: str) -> dict:\n        return {'text': name}\n",
        encoding="utf-8",
    )
    (folder / "init.json").write_text('{"greeting": "a=b, c"}', encoding="utf-8")
    project.evaluate()
    assert llmops("deploy", "--dry-run") == 0
    assert "; with environment variables PF_FLOW_INIT_CONFIG" in capsys.readouterr().out
    assert llmops("deploy") == 0, capsys.readouterr()
    (name,) = project.traffic
    made = azure.state.resources[f"onlineEndpoints/greeter-prod/deployments/{name}"]["properties"]
    assert made["environmentVariables"]["PF_FLOW_INIT_CONFIG"] == '{"greeting": "a=b, c"}'


WEB_APP = """
llmops:
  deployment:
    prod: {kind: webapp, endpoint: greeter-prod, registry: imagesreg, registry_resource_group: rg-images,
           resource_group: rg-web, plan: plan-web, sku: S1, identity: id-web, traffic: [100], timeout: 1m}
"""


def test_a_web_app_gets_the_image_of_the_variant_that_is_deployed(
    tmp_path: Path, azure: Emulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    web = add_web(azure)
    web.served = lambda deployment, body: {"text": "Dear"}
    project = Project(tmp_path, azure, WEB_APP).entered(monkeypatch)
    write_session(project.root, session(project.root, variants="all"))
    assert llmops("deploy", "--variant", "terse", "--override-gate", "a test") == 0, capsys.readouterr()
    (image,) = web.contexts
    assert "default_variant_id: terse" in web.contexts[image]["flow/flow.dag.yaml"]
    (name,) = web.traffic("greeter-prod")
    assert web.spots["greeter-prod"].settings["LLMOPS_DEPLOYMENT"] == name
