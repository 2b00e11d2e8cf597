"""Which stages run, by what became of those before: the conditions of the pipeline, with jobs that only end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from ado_agent import CANCELED, FAILED, SKIPPED, SUCCEEDED, Agent, Seen
from ado_run import Run, job_name
from ado_templates import expand
from doc_examples import ROOT

STAGES = ("test", "evaluate", "approve", "deploy", "endpoint", "traffic", "rollback")
GATE, ENDPOINT, DEPLOYMENT = "gate.verdict.decision", "endpoint.verdict.decision", "deploy.release.deployment"
RELEASED = {GATE: "open", DEPLOYMENT: "blue", ENDPOINT: "open"}
"""Output variables of a release that succeeds, each named ``job.step.variable``."""

Finish = Callable[..., dict[str, str]]


def ending(pipeline: Mapping[str, Any], failing: Collection[str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the pipeline with other steps: a job sets its output variable, if it has one, and ends as its stage."""

    def other(stage: str, job: Mapping[str, Any]) -> dict[str, Any]:
        steps = []
        for name, value in outputs.items():
            owner, step, variable = name.split(".")
            if owner == job_name(job):
                command = f"echo '##vso[task.setvariable variable={variable};isOutput=true;isReadOnly=true]{value}'"
                steps.append({"script": command, "name": step})
        steps.append({"script": f"exit {int(stage in failing)}", "name": "end"})
        kept = {key: value for key, value in job.items() if key in ("dependsOn", "condition")}
        return {**kept, "job": job_name(job), "steps": steps}

    return {
        "stages": [
            {**stage, "jobs": [other(stage["stage"], job) for job in stage["jobs"]]} for stage in pipeline["stages"]
        ]
    }


@pytest.fixture
def finish(tmp_path: Path) -> Finish:
    """Run the pipeline with such jobs, and return the result of each stage."""
    repository = tmp_path / "origin"
    subprocess.run(["git", "init", "--quiet", repository], check=True)

    def run(
        *failing: str,
        overdue: Collection[str] = (),
        outputs: Mapping[str, str] = RELEASED,
        reason: str = "IndividualCI",
        branch: str = "refs/heads/main",
        approval: str = "environment",
    ) -> dict[str, str]:
        variables = {"Build.Reason": reason, "Build.SourceBranch": branch}
        parameters = {"serviceConnection": "azure-llmops", "approval": approval}
        pipeline = expand(ROOT / "azure-pipelines.yml", parameters, variables)
        agent = Agent(
            repository=repository, environ={"PATH": os.environ["PATH"]}, seen=Seen(artifacts=tmp_path / "artifacts")
        )
        done = Run(
            pipeline=ending(pipeline, failing, outputs),
            agent=agent,
            folder=tmp_path,
            variables=variables,
            overdue=frozenset(overdue),
        )
        done.execute()
        return {name: stage.result for name, stage in done.stages.items()}

    return run


def expected(**different: str) -> dict[str, str]:
    """Results of a release that succeeds, but for those that are given."""
    return {**dict.fromkeys(STAGES, SUCCEEDED), "rollback": SKIPPED, **different}


NOT_RELEASED = dict.fromkeys(STAGES[2:], SKIPPED)


@pytest.mark.parametrize("approval", ["environment", "manual validation"])
def test_an_open_gate_is_released(finish: Finish, approval: str) -> None:
    assert finish(approval=approval) == expected()


def test_a_slice_or_the_gate_that_fails_stops_the_release(finish: Finish) -> None:
    assert finish("evaluate") == expected(evaluate=FAILED, **NOT_RELEASED)


def test_a_slice_that_runs_out_of_time_leaves_no_decision(finish: Finish) -> None:
    assert finish(overdue=["slice"]) == expected(evaluate=CANCELED, **NOT_RELEASED)


@pytest.mark.parametrize("decision", ["closed", ""])
def test_only_the_decision_open_is_open(finish: Finish, decision: str) -> None:
    assert finish(outputs={**RELEASED, GATE: decision}) == expected(**NOT_RELEASED)


def test_failed_unit_tests_stop_the_release(finish: Finish) -> None:
    assert finish("test") == expected(test=FAILED, **NOT_RELEASED)


def test_who_does_not_approve_stops_the_release(finish: Finish) -> None:
    stopped = {**NOT_RELEASED, "approve": FAILED}
    assert finish("approve") == expected(**stopped)


@pytest.mark.parametrize(
    ("reason", "branch"),
    [("Schedule", "refs/heads/main"), ("Manual", "refs/heads/feature"), ("Manual", "refs/pull/7/merge")],
)
def test_only_main_is_released_and_not_by_a_schedule(finish: Finish, reason: str, branch: str) -> None:
    assert finish(reason=reason, branch=branch) == expected(**NOT_RELEASED)


def test_a_pull_request_has_nothing_to_release(finish: Finish) -> None:
    results = finish(reason="PullRequest", branch="refs/pull/7/merge")
    assert results == {"test": SUCCEEDED, "evaluate": SUCCEEDED}


@pytest.mark.parametrize("how", [FAILED, CANCELED])
@pytest.mark.parametrize(
    ("stage", "not_reached"), [("deploy", ("endpoint", "traffic")), ("endpoint", ("traffic",)), ("traffic", ())]
)
def test_a_release_that_does_not_arrive_is_rolled_back(
    finish: Finish, stage: str, not_reached: tuple[str, ...], how: str
) -> None:
    results = finish(stage) if how == FAILED else finish(overdue=[stage])
    assert results == expected(rollback=SUCCEEDED, **{stage: how}, **dict.fromkeys(not_reached, SKIPPED))


@pytest.mark.parametrize("decision", ["closed", ""])
def test_without_the_endpoints_own_gate_all_is_taken_back(finish: Finish, decision: str) -> None:
    results = finish(outputs={**RELEASED, ENDPOINT: decision})
    assert results == expected(traffic=SKIPPED, rollback=SUCCEEDED)


@pytest.mark.parametrize("how", [FAILED, CANCELED])
def test_where_nothing_was_deployed_nothing_is_taken_back(finish: Finish, how: str) -> None:
    outputs = {GATE: "open"}
    results = finish("deploy", outputs=outputs) if how == FAILED else finish(overdue=["deploy"], outputs=outputs)
    assert results == expected(deploy=how, endpoint=SKIPPED, traffic=SKIPPED)


def test_an_approval_that_runs_out_of_time_takes_nothing_back(finish: Finish) -> None:
    stopped = {**NOT_RELEASED, "approve": CANCELED}
    assert finish(overdue=["approve"], outputs={GATE: "open"}) == expected(**stopped)
