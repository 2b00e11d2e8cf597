"""The pipeline's files hold together: what no schema can see, for each way in which a run may begin."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ado_expressions import called, parse, references
from ado_run import as_list, job_name, job_steps
from ado_templates import TemplateError, expand, read_yaml
from doc_examples import ROOT

PIPELINE = ROOT / "azure-pipelines.yml"
TEMPLATES = sorted((ROOT / ".azure-pipelines").rglob("*.yml"))
FILES = [PIPELINE, *TEMPLATES]
RELEASE = ["approve", "deploy", "endpoint", "traffic", "rollback"]
CHECKER = ROOT.parent / "shared" / "tools" / "ado_schema_check.py"

Node = Mapping[str, Any]

CONNECTED = {"serviceConnection": "azure-llmops"}
WAYS: Mapping[str, tuple[dict[str, Any], str]] = {
    "pull request": ({}, "PullRequest"),
    "push": ({}, "IndividualCI"),
    "schedule": ({}, "Schedule"),
    "pull request, where the parameters ask for more": ({"mode": "live", **CONNECTED}, "PullRequest"),
    "by hand, live": ({"mode": "live"}, "Manual"),
    "by hand, smoke and deployment": ({"mode": "smoke", **CONNECTED}, "Manual"),
    "by hand, without deployment": ({"deploy": False, **CONNECTED}, "Manual"),
    "deployment without a service connection": ({"deploy": True}, "IndividualCI"),
    "deployment": (CONNECTED, "IndividualCI"),
    "deployment, validated by hand": ({"approval": "manual validation", **CONNECTED}, "IndividualCI"),
    "deployment with judges": ({"judges": True, **CONNECTED}, "IndividualCI"),
}
"""Parameters and reasons of runs which, together, take every branch of the templates."""

SETS = {"llmops gate": {"decision", "summary"}, "llmops deploy": {"endpoint", "deployment", "digest"}}
"""Output variables by the command that sets them.

``test_pipeline_commands`` holds the first against the command, ``test_pipeline_release`` the second.
"""


def expanded(way: str) -> Node:
    parameters, reason = WAYS[way]
    branch = "refs/pull/7/merge" if reason == "PullRequest" else "refs/heads/main"
    return expand(PIPELINE, parameters, {"Build.Reason": reason, "Build.SourceBranch": branch})


@pytest.fixture(params=WAYS)
def pipeline(request: pytest.FixtureRequest) -> Node:
    return expanded(request.param)


def jobs(pipeline: Node) -> Iterator[tuple[Node, Node]]:
    for stage in pipeline["stages"]:
        for job in stage["jobs"]:
            yield stage, job


def steps(pipeline: Node) -> Iterator[Node]:
    for _, job in jobs(pipeline):
        yield from job_steps(job)


def script(step: Node) -> str:
    return str(step.get("script") or step.get("inputs", {}).get("inlineScript", ""))


def step_of(pipeline: Node, stage: str, job: str, step: str) -> Node:
    """Find a step of which output variables are read. Of a job with slices, none can be."""
    found = {
        (each["stage"], job_name(node), named["name"]): named
        for each, node in jobs(pipeline)
        if "parallel" not in node.get("strategy", {})
        for named in job_steps(node)
        if "name" in named
    }
    return found[stage, job, step]


def outputs_of(step: Node) -> set[str]:
    return {name for command, names in SETS.items() if command in script(step) for name in names}


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    if not CHECKER.is_file():
        pytest.skip("the schema of Azure Pipelines is not part of this repository")
    pytest.importorskip("jsonschema", reason="the checker of the schema needs jsonschema")
    spec = importlib.util.spec_from_file_location("ado_schema_check", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_keeps_to_the_schema_and_uses_in_box_tasks_only(path: Path, checker: ModuleType) -> None:
    checker.unknown.clear()
    assert checker.check(path.read_text(encoding="utf-8")) == []
    assert checker.unknown == []


def test_the_whole_pipeline_keeps_to_the_schema(pipeline: Node, checker: ModuleType) -> None:
    assert checker.check(yaml.safe_dump(pipeline, sort_keys=False)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_reader_of_yaml_reads_the_same(path: Path) -> None:
    def check(node: Any) -> None:
        assert not isinstance(node, float | date), f"{node!r} needs quotes"
        if isinstance(node, Mapping):
            assert {type(key) for key in node} == {str}, (
                f"{list(node)} holds a key that YAML 1.1 takes for a truth value"
            )
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_key_is_given_twice(path: Path) -> None:
    def check(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = Counter(key.value for key, _ in node.value)
            assert [key for key, times in keys.items() if times > 1] == [], node.start_mark
            for _, value in node.value:
                check(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                check(value)

    check(yaml.compose(path.read_text(encoding="utf-8")))


def test_every_template_is_used() -> None:
    used = {
        (path.parent / name).resolve()
        for path in FILES
        for name in re.findall(r"template: (\S+)", path.read_text(encoding="utf-8"))
    }
    assert used == set(TEMPLATES)


def test_the_ways_take_every_branch() -> None:
    names = {display_name(step) for way in WAYS for step in steps(expanded(way))}
    written = {name for path in FILES for name in _display_names(read_yaml(path))}
    assert {name for name in written if "${{" not in name} - names - _of_stages_and_jobs() == set()


def display_name(step: Node) -> str:
    return str(step.get("displayName", ""))


def _display_names(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("displayName"), str) and "type" not in node and "cron" not in node:
            yield node["displayName"]
        for value in node.values():
            yield from _display_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _display_names(value)


def _of_stages_and_jobs() -> set[str]:
    return {node["displayName"] for way in WAYS for pair in jobs(expanded(way)) for node in pair}


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"slice": 3}, "azure-pipelines.yml: no parameter slice"),
        ({"slices": "many"}, "azure-pipelines.yml: parameter slices of type number is 'many'"),
        ({"mode": "quick"}, "azure-pipelines.yml: parameter mode may not be 'quick'"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        expand(PIPELINE, parameters, {})


@pytest.mark.parametrize(
    ("way", "mode", "settings"),
    [
        ("pull request", "smoke", {"LLMOPS_VARIANTS": "defaults"}),
        ("pull request, where the parameters ask for more", "smoke", {"LLMOPS_VARIANTS": "defaults"}),
        ("push", "full", {}),
        (
            "schedule",
            "live",
            {
                "LLMOPS_LLM": "live",
                "LLMOPS_NO_CACHE": "true",
                "LOCAL_LLM_API_KEY": "$(LOCAL_LLM_API_KEY)",
                "LOCAL_LLM_BASE_URL": "$(LOCAL_LLM_BASE_URL)",
            },
        ),
    ],
)
def test_what_starts_a_run_decides_what_it_evaluates(way: str, mode: str, settings: dict[str, str]) -> None:
    pipeline = expanded(way)
    assert [stage["displayName"] for stage in pipeline["stages"]] == ["Unit tests", f"Evaluate ({mode})"]
    assert [step["env"] for step in steps(pipeline) if display_name(step) == "Evaluate"] == [settings]
    group = [{"group": "llm-evaluation"}] if mode == "live" else []
    assert pipeline["stages"][1].get("variables", []) == group


def test_code_that_nobody_reviewed_is_smoke_tested_whatever_the_parameters_say() -> None:
    reasons = {"Build.Reason": "PullRequest", "Build.SourceBranch": "refs/pull/7/merge"}
    modes = {parameter["name"]: parameter for parameter in read_yaml(PIPELINE)["parameters"]}["mode"]["values"]
    assert len(modes) == 4
    for mode in modes:
        stages = expand(PIPELINE, {"mode": mode, **CONNECTED}, reasons)["stages"]
        assert [stage["displayName"] for stage in stages] == ["Unit tests", "Evaluate (smoke)"]


def test_only_a_complete_evaluation_can_be_deployed() -> None:
    released = {}
    for way, (parameters, _) in WAYS.items():
        stages = {stage["stage"]: stage for stage in expanded(way)["stages"]}
        (gate,) = [script(step) for step in job_steps(stages["evaluate"]["jobs"][1]) if step.get("name") == "verdict"]
        smoke = stages["evaluate"]["displayName"] == "Evaluate (smoke)"
        assert ("--complete" in gate) is not smoke, way
        released[way] = [name for name in stages if name in RELEASE]
        wanted = "serviceConnection" in parameters and parameters.get("deploy", True)
        assert released[way] == (RELEASE if wanted and not smoke else []), way
    assert sum(map(bool, released.values())) == 3


def test_a_project_without_a_service_connection_is_evaluated_only() -> None:
    pipeline = expanded("deployment without a service connection")
    assert [stage["stage"] for stage in pipeline["stages"]] == ["test", "evaluate"]
    assert "azureSubscription" not in yaml.safe_dump(pipeline)


def test_who_has_a_login_to_azure_says_which() -> None:
    acting = [step for step in steps(expanded("deployment")) if step.get("task") == "AzureCLI@2"]
    assert len(acting) == 4
    for step in acting:
        assert step["inputs"]["azureSubscription"] == "azure-llmops"
        assert step["env"]["LLMOPS_CREDENTIAL"] == "cli"
        assert "pytest" not in script(step), "what a model answers is not handled beside a login"


@pytest.mark.parametrize("way", ["deployment", "deployment with judges"])
def test_judges_of_the_endpoint_have_the_secrets_of_a_live_evaluation(way: str) -> None:
    (stage,) = [stage for stage in expanded(way)["stages"] if stage["stage"] == "endpoint"]
    (evaluation,) = [step for step in job_steps(stage["jobs"][0]) if "pytest" in script(step)]
    of_endpoint = {
        "ENDPOINT": "$(endpoint)",
        "DEPLOYMENT": "$(deployment)",
        "LLMOPS_ENDPOINT_TOKEN": "$(LLMOPS_ENDPOINT_TOKEN)",
    }
    of_llm = {
        "LLMOPS_LLM": "live",
        "LOCAL_LLM_BASE_URL": "$(LOCAL_LLM_BASE_URL)",
        "LOCAL_LLM_API_KEY": "$(LOCAL_LLM_API_KEY)",
    }
    judged = way == "deployment with judges"
    assert evaluation["env"] == {**of_endpoint, **(of_llm if judged else {})}
    assert stage.get("variables") == ([{"group": "llm-evaluation"}] if judged else None)


def test_the_pull_request_is_told_what_the_gate_decides(pipeline: Node) -> None:
    (comment,) = [script(step) for step in steps(pipeline) if "llmops pr-comment" in script(step)]
    gate = next(script(step) for step in steps(pipeline) if step.get("name") == "verdict")
    assert comment.removeprefix("llmops pr-comment") == gate.removeprefix("llmops gate")


def test_jobs_work_on_the_commit_alone(pipeline: Node) -> None:
    for _, job in jobs(pipeline):
        commands = [step for step in job_steps(job) if re.search(r"\b(llmops|pytest)\b", script(step))]
        if commands:
            assert job_steps(job)[0] == {"checkout": "self", "clean": "true"}, job_name(job)


def test_names_are_unique(pipeline: Node) -> None:
    stages = Counter(stage["stage"] for stage in pipeline["stages"])
    names = Counter((stage["stage"], job_name(job)) for stage, job in jobs(pipeline))
    assert max(stages.values()) == max(names.values()) == 1
    for _, job in jobs(pipeline):
        named = Counter(step["name"] for step in job_steps(job) if "name" in step)
        assert not named or max(named.values()) == 1


def test_stages_and_jobs_wait_for_what_exists(pipeline: Node) -> None:
    earlier: set[str] = set()
    for stage in pipeline["stages"]:
        assert set(as_list(stage["dependsOn"])) <= earlier, stage["stage"]
        earlier.add(stage["stage"])
        known: set[str] = set()
        for job in stage["jobs"]:
            assert set(as_list(job.get("dependsOn", []))) <= known, job_name(job)
            known.add(job_name(job))


def test_a_condition_never_forgets_what_came_before(pipeline: Node) -> None:
    nodes = [node for pair in jobs(pipeline) for node in pair] + list(steps(pipeline))
    for node in (node for node in nodes if "condition" in node):
        # The exception: traffic that is half moved is put back even where a run was canceled or a stage was skipped.
        status = {"always"} if node.get("displayName") == "Roll back" else {"succeeded", "succeededOrFailed"}
        assert len(status & set(called(parse(node["condition"])))) == 1, node["condition"]


def test_the_rollback_knows_what_to_take_back(pipeline: Node) -> None:
    for stage, job in jobs(pipeline):
        if stage["stage"] in ("traffic", "rollback"):
            acting = job_steps(job)[-1]
            assert '--deployment "$DEPLOYMENT" --digest "$DIGEST"' in script(acting)
            assert acting["env"] == {
                "LLMOPS_CREDENTIAL": "cli",
                "DEPLOYMENT": "$(deployment)",
                "DIGEST": "$(digest)",
            }
            assert job["variables"] == {
                name: f"$[ stageDependencies.deploy.deploy.outputs['release.{name}'] ]"
                for name in ("deployment", "digest")
            }


def test_a_canceled_run_is_rolled_back_too(pipeline: Node) -> None:
    for stage, job in jobs(pipeline):
        if stage["stage"] == "rollback":
            assert "always" in called(parse(stage["condition"]))
            assert job["condition"] == "always()"
            assert [step for step in job_steps(job) if "condition" in step] == []


def test_conditions_of_stages_read_what_is_there(pipeline: Node) -> None:
    for stage in pipeline["stages"]:
        for context, *path in references(parse(stage.get("condition", "succeeded()"))):
            if context == "variables":
                assert path in (["Build.Reason"], ["Build.SourceBranch"])
                continue
            assert context == "dependencies"
            assert path[0] in as_list(stage["dependsOn"])
            if path[1:] != ["result"]:
                job, step, variable = path[2].split(".")
                assert path[1] == "outputs"
                assert variable in outputs_of(step_of(pipeline, path[0], job, step))


def test_variables_of_jobs_read_what_is_there(pipeline: Node) -> None:
    for stage, job in jobs(pipeline):
        for text in job.get("variables", {}).values():
            ((context, source, producer, outputs, name),) = references(parse(text.removeprefix("$[").removesuffix("]")))
            assert (context, outputs) == ("stageDependencies", "outputs")
            assert source in as_list(stage["dependsOn"])
            step, variable = name.split(".")
            assert variable in outputs_of(step_of(pipeline, source, producer, step))


def test_nothing_is_deployed_past_the_gate() -> None:
    for way in WAYS:
        for stage in expanded(way)["stages"][2:]:
            opened = "eq(dependencies.evaluate.outputs['gate.verdict.decision'], 'open')" in stage["condition"]
            assert opened or stage["stage"] == "rollback"


def test_secrets_reach_single_steps_and_no_command_line(pipeline: Node) -> None:
    secret = re.compile(r"\$\([\w.]*(?:key|token|secret|password)\w*\)", re.IGNORECASE)
    for step in steps(pipeline):
        mapped = {name for name, text in step.get("env", {}).items() if secret.search(text)}
        without = {key: value for key, value in step.items() if key != "env"}
        assert secret.search(yaml.safe_dump(without)) is None, step
        assert mapped <= {"LOCAL_LLM_API_KEY", "SYSTEM_ACCESSTOKEN", "LLMOPS_ENDPOINT_TOKEN"}
    for node in [pipeline, *(node for pair in jobs(pipeline) for node in pair)]:
        assert secret.search(yaml.safe_dump(node.get("variables", {}))) is None


def test_what_a_model_writes_commands_no_agent(pipeline: Node) -> None:
    evaluations = [step for step in steps(pipeline) if "pytest evals/" in script(step)]
    assert evaluations
    for step in evaluations:
        assert step["target"] == {"container": "host", "commands": "restricted", "settableVariables": "none"}
    for merge in [step for step in steps(pipeline) if "llmops merge" in script(step)]:
        assert merge["target"] == {"container": "host", "settableVariables": "none"}


def test_everything_is_published_whatever_happened(pipeline: Node) -> None:
    published = [step for step in steps(pipeline) if step.get("task", "").startswith("Publish")]
    assert [step for step in published if step["condition"] != "succeededOrFailed()"] == []
    for step in published:
        inputs = step["inputs"]
        named = inputs.get("artifact") or inputs["testRunTitle"]
        assert "$(System.JobAttempt)" in named, "a second attempt would collide with the first"
        assert "artifact" in inputs or inputs["failTaskOnMissingResultsFile"] == "true"


def test_a_script_of_several_lines_ends_at_the_first_failure(pipeline: Node) -> None:
    for step in steps(pipeline):
        lines = script(step).strip().splitlines()
        assert len(lines) < 2 or lines[0] == "set -eu", lines
