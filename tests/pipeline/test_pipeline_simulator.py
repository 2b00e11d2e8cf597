"""The stand-in for Azure Pipelines keeps to its rules, so that what passes here means something."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ado_agent import CANCELED, FAILED, PARTLY, SKIPPED, SUCCEEDED, Agent, Job, Seen, status_functions
from ado_expressions import evaluate, parse
from ado_templates import TemplateError, expand


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("eq(variables['Build.Reason'], 'pullrequest')", True),
        ("ne(variables.none, 'x')", True),
        ("eq(variables.none, '')", True),
        ("and(true, not(false), or(false, eq(1, '1')))", True),
        ("in('b', 'a', 'B')", True),
        ("notIn('b', 'a', 'B')", False),
        ("eq('it''s', 'IT''S')", True),
        ("and(succeeded(), eq(dependencies.a.outputs['job.step.name'], 'open'))", True),
        ("eq(dependencies.other.outputs['job.step.name'], 'open')", False),
    ],
)
def test_expressions(expression: str, value: bool) -> None:
    context = {
        "variables": {"Build.Reason": "PullRequest"},
        "dependencies": {"a": {"outputs": {"job.step.name": "open"}}},
    }
    assert evaluate(parse(expression), context, {"succeeded": lambda: True}) is value


@pytest.mark.parametrize(
    ("results", "holding"),
    [
        ([], {"always", "succeeded", "succeededOrFailed"}),
        ([SUCCEEDED, PARTLY], {"always", "succeeded", "succeededOrFailed"}),
        ([SUCCEEDED, FAILED], {"always", "succeededOrFailed", "failed"}),
        ([SUCCEEDED, CANCELED], {"always"}),
        ([SUCCEEDED, SKIPPED], {"always"}),
        ([FAILED, SKIPPED], {"always", "failed"}),
    ],
)
def test_conditions_ask_for_what_came_before(results: list[str], holding: set[str]) -> None:
    assert {name for name, holds in status_functions(results).items() if holds()} == holding


@pytest.mark.parametrize("expression", ["eq('a'", "eq('a' 'b')", "eq('a','b'))", "eq(?)", ""])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unexpected"):
        parse(expression)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder / "main.yml"


def test_templates_are_expanded(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="""
parameters:
- {name: count, type: number, default: 2}
- {name: deep, type: boolean, default: false}
stages:
- template: stage.yml
  parameters:
    count: ${{ parameters.count }}
    ${{ if parameters.deep }}:
      word: deep
    ${{ elseif eq(variables['Build.Reason'], 'Manual') }}:
      word: by hand
    ${{ else }}:
      word: other
""",
        stage="""
parameters:
- {name: count, type: number}
- {name: word, type: string}
stages:
- stage: one
  displayName: One (${{ parameters.word }})
  parallel: ${{ parameters.count }}
- ${{ if eq(parameters.word, 'deep') }}:
  - stage: two
  - stage: three
- ${{ else }}:
  - stage: four
""",
    )

    def stages(parameters: Mapping[str, Any], reason: str) -> list[dict[str, Any]]:
        return list(expand(main, parameters, {"Build.Reason": reason})["stages"])

    assert stages({}, "Manual") == [
        {"stage": "one", "displayName": "One (by hand)", "parallel": 2},
        {"stage": "four"},
    ]
    assert [stage["stage"] for stage in stages({"deep": "true"}, "")] == ["one", "two", "three"]
    assert stages({"count": 3}, "")[0] == {"stage": "one", "displayName": "One (other)", "parallel": 3}


@pytest.mark.parametrize(
    ("main", "complaint"),
    [
        ("stages: [{template: none.yml}]", "none.yml: there is no such template"),
        ("stages: [{template: other.yml}]", "other.yml: parameter word is missing"),
        ("stages: [{template: other.yml, parameters: {word: a, more: b}}]", "other.yml: no parameter more"),
        ("stages: [{'${{ each a in b }}': [{stage: one}]}]", "main.yml: each is not known here"),
    ],
)
def test_what_azure_pipelines_would_refuse_is_refused(tmp_path: Path, main: str, complaint: str) -> None:
    path = write(tmp_path, main=main, other="parameters: [{name: word, type: string}]\nstages: []")
    with pytest.raises(TemplateError, match=complaint):
        expand(path, {}, {})


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    subprocess.run(["git", "init", "--quiet", tmp_path / "origin"], check=True)
    seen = Seen(artifacts=tmp_path / "artifacts")
    return Agent(repository=tmp_path / "origin", environ={"PATH": os.environ["PATH"]}, seen=seen)


def run(agent: Agent, *steps: Mapping[str, Any], **variables: str) -> Job:
    folder = agent.repository.parent / "job"
    places = {"Pipeline.Workspace": str(folder), "Agent.TempDirectory": str(folder / "temp")}
    return agent.run("job", steps, {**places, **variables})


def test_a_failed_step_skips_those_that_ask_for_success(agent: Agent) -> None:
    job = run(
        agent,
        {"script": "exit 3"},
        {"script": "true"},
        {"script": "true", "condition": "succeededOrFailed()"},
        {"script": "true", "condition": "and(succeededOrFailed(), eq(variables['Build.Reason'], 'PullRequest'))"},
    )
    assert [step.result for step in job.steps] == [FAILED, SKIPPED, SUCCEEDED, SKIPPED]
    assert job.result == FAILED


def test_a_failed_step_may_be_passed_over(agent: Agent) -> None:
    job = run(agent, {"script": "exit 3", "continueOnError": "true"}, {"script": "true"})
    assert [step.result for step in job.steps] == [PARTLY, SUCCEEDED]
    assert job.result == PARTLY


def test_a_step_has_the_agents_variables_but_no_secret(agent: Agent) -> None:
    script = """echo "$TF_BUILD $BUILD_REASON [$SYSTEM_ACCESSTOKEN] [$MAPPED] $(Build.Reason)" '$(not.there)'"""
    step = {"script": script, "env": {"MAPPED": "$(System.AccessToken)"}}
    job = run(agent, step, **{"Build.Reason": "Manual", "System.AccessToken": "t0k3n"})
    assert job.steps[0].log == "True Manual [] [***] Manual $(not.there)\n"
    assert job.steps[0].secrets == ["MAPPED"]


def test_a_secret_is_masked_and_in_no_environment_until_a_step_maps_it(agent: Agent) -> None:
    show = 'echo "[$TOKEN] [$MAPPED] $(token)" | tee seen.txt'
    job = run(
        agent,
        {"script": "echo '##vso[task.setvariable variable=token;issecret=true]s3cr3t'"},
        {"script": show},
        {"script": show, "env": {"MAPPED": "$(token)"}},
        {"script": "grep --fixed-strings --quiet '[] [s3cr3t] s3cr3t' seen.txt"},
    )
    assert [step.result for step in job.steps] == [SUCCEEDED] * 4
    assert [step.log for step in job.steps[:3]] == [
        "##vso[task.setvariable variable=token;issecret=true]***\n",
        "[] [] ***\n",
        "[] [***] ***\n",
    ]
    assert [step.secrets for step in job.steps] == [[], [], ["MAPPED"], []]


def test_a_step_is_logged_in_by_its_service_connection_alone(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "login").mkdir()
    (tmp_path / "login" / "az").write_text("#!/bin/sh\necho logged in\n", encoding="utf-8")
    (tmp_path / "login" / "az").chmod(0o755)
    agent.connections = {"azure-llmops": tmp_path / "login"}
    script = "command -v az | grep -q /login/ && az"
    inline = {"scriptType": "bash", "scriptLocation": "inlineScript", "inlineScript": script}
    act = {"task": "AzureCLI@2", "displayName": "Act", "inputs": {"azureSubscription": "azure-llmops", **inline}}
    other = {"task": "AzureCLI@2", "displayName": "Other", "inputs": {"azureSubscription": "other", **inline}}
    job = run(agent, act, other, {"script": script})
    assert [(step.result, step.log) for step in job.steps] == [
        (SUCCEEDED, "logged in\n"),
        (SUCCEEDED, ""),
        (FAILED, ""),
    ]
    assert [name for name, _ in agent.recorded] == ["Other"]


def test_outputs_stay_what_they_were_first(agent: Agent) -> None:
    command = "echo '##vso[task.setvariable variable=decision;isOutput=true;isReadOnly=true]{}'"
    job = run(agent, {"name": "verdict", "script": f"{command.format('closed')}\n{command.format('open')} >&2"})
    assert job.outputs == {"verdict.decision": "closed"}
    assert job.steps[0].refused == ["verdict.decision"]


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ({}, []),
        ({"settableVariables": "none"}, ["task.setvariable"]),
        ({"commands": "restricted"}, ["build.addbuildtag"]),
        ({"commands": "restricted", "settableVariables": "none"}, ["task.setvariable", "build.addbuildtag"]),
    ],
)
def test_a_step_gives_the_commands_that_its_target_allows(
    agent: Agent, target: Mapping[str, str], refused: list[str]
) -> None:
    script = """
echo 'text ##vso[task.setvariable variable=decision;isOutput=true]open'
echo '##vso[build.addbuildtag]tag'
echo '##vso[task.logissue type=warning]look'
"""
    job = run(agent, {"name": "slice", "script": script, "target": {"container": "host", **target}})
    assert job.steps[0].refused == refused
    assert job.outputs == ({} if "task.setvariable" in refused else {"slice.decision": "open"})
    assert agent.seen.tags == ([] if "build.addbuildtag" in refused else ["tag"])
    assert agent.seen.issues == [("warning", "look")]


def test_a_summary_that_is_not_there_fails_the_step(agent: Agent) -> None:
    job = run(agent, {"script": "echo '##vso[task.uploadsummary]/none/summary.md'"})
    assert job.result == FAILED


def test_an_artifact_is_published_once(agent: Agent) -> None:
    publish = {
        "task": "PublishPipelineArtifact@1",
        "inputs": {"targetPath": "reports", "artifact": "reports-1"},
        "condition": "succeededOrFailed()",
    }
    job = run(agent, publish, {"script": "mkdir reports", "condition": "succeededOrFailed()"}, publish, publish)
    assert [step.result for step in job.steps] == [FAILED, SUCCEEDED, SUCCEEDED, FAILED]


def test_an_unknown_task_is_a_mistake_of_the_test(agent: Agent) -> None:
    with pytest.raises(AssertionError, match="unknown task Other@1"):
        run(agent, {"task": "Other@1", "inputs": {}})
