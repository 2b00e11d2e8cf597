"""The pipeline, executed: a good change passes its gate, a bad one does not, and neither does half an evaluation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ado_junit
import pytest
from ado_agent import FAILED, SKIPPED, SUCCEEDED, Seen
from ado_project import commit, git, installed, logs, make_run, results
from ado_run import Run, Stage
from ado_server import AzureRepos, azure_repos
from doc_examples import ROOT

USE_CASES = ("redact", "sentiment")
PARAMETERS: Mapping[str, Any] = {
    "tests": "tests/test_durations.py",
    "packages": "--no-deps --no-build-isolation .",
    "serviceConnection": "azure-llmops",
}
EXAMPLES = """\
# user:
The staff were lovely and the breakfast was excellent.
# assistant:
positive

# user:
The room was dirty and nobody answered the phone.
# assistant:
negative

"""
"""What docs/how-to/judge-a-prompt-change.md deletes: it makes the answers worse, and they are recorded."""

RELEASE = ("approve", "deploy", "endpoint", "traffic", "rollback")
TESTED = {"test": Stage(name="test", result=SUCCEEDED)}
BLOCKED = {"test": SUCCEEDED, "evaluate": FAILED} | dict.fromkeys(RELEASE, SKIPPED)

Start = Callable[..., Run]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the working tree of this one, and two of its use cases."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    folder = tmp_path_factory.mktemp("origin")
    for name in filter(None, listed.split("\0")):
        use_case = name.removeprefix("evals/").partition("/")[0] if name.startswith("evals/") else USE_CASES[0]
        if (ROOT / name).is_file() and use_case in USE_CASES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "The project as it is")
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Variables of a machine that has all packages but the project itself."""
    return installed(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def start(repository: Path, packages: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Make a run of the pipeline for the last commit, by default as after a push to main."""

    def begin(
        parameters: Mapping[str, Any] = {},
        variables: Mapping[str, str] = {},
        lost: frozenset[int] = frozenset(),
        stages: Mapping[str, Stage] = {},
    ) -> Run:
        given = {**PARAMETERS, **parameters}
        folder = tmp_path_factory.mktemp("run")
        run = make_run(repository, folder, given, variables, packages)
        return replace(run, lost=lost, stages=dict(stages))

    return begin


@pytest.fixture
def worse(repository: Path) -> Iterator[None]:
    """A commit with a prompt whose answers are worse; the test over, the repository is as before."""
    prompt = repository / "flows" / "sentiment_classify" / "sentiment.prompty"
    text = prompt.read_text(encoding="utf-8")
    assert EXAMPLES in text
    prompt.write_text(text.replace(EXAMPLES, ""), encoding="utf-8")
    commit(repository, "Shorter prompt")
    yield
    git(repository, "reset", "--quiet", "--hard", "HEAD~1")


def steps(run: Run, stage: str, job: str) -> list[str]:
    """Return the results of a job's steps; of a job in slices, those of the last one."""
    return [step.result for step in [found for found in run.stages[stage].jobs if found.name == job][-1].steps]


def of_pull_request(repos: AzureRepos) -> dict[str, str]:
    """Return the variables of a run for the pull request of a server."""
    return {
        "Build.Reason": "PullRequest",
        "Build.Repository.ID": "repo",
        "Build.Repository.Provider": "TfsGit",
        "Build.SourceBranch": "refs/pull/12/merge",
        "System.AccessToken": "secret-token",
        "System.CollectionUri": repos.collection,
        "System.DefinitionId": "5",
        "System.PullRequest.PullRequestId": "12",
        "System.PullRequest.SourceCommitId": "b" * 40,
        "System.TeamProject": "My Project",
    }


@pytest.mark.slow
def test_a_good_change_passes_and_half_an_evaluation_of_it_does_not(start: Start) -> None:
    run = start()
    run.execute("test", "evaluate", "approve")
    assert results(run) == dict.fromkeys(("test", "evaluate", "approve"), SUCCEEDED), logs(run)
    outputs = run.stages["evaluate"].outputs()
    assert outputs["gate.verdict.decision"] == "open"
    assert outputs["gate.verdict.summary"].startswith(
        "gate open: 12 gates, 2 FAIL (2 not blocking), 10 PASS; decided: "
    )
    assert steps(run, "evaluate", "gate") == [SUCCEEDED] * 7 + [SKIPPED, SUCCEEDED], "no pull request, no comment"
    check_what_people_see(run)
    check_that_slices_add_up(run.agent.seen)

    half = start(lost=frozenset({1, 2}), stages=TESTED)
    shutil.copytree(run.agent.seen.artifacts / "slice-1-1", half.agent.seen.artifacts / "slice-1-1")
    half.execute("evaluate", *RELEASE)
    assert results(half) == BLOCKED, logs(half)
    outputs = half.stages["evaluate"].outputs()
    assert outputs["gate.verdict.decision"] == "closed"
    assert outputs["gate.verdict.summary"].startswith("gate closed: of 2 shards, 2 is missing (there are: 1 in ")
    errors = [text for kind, text in half.agent.seen.issues if kind == "error"]
    assert any("of 2 shards, 2 is missing" in error for error in errors)


def check_what_people_see(run: Run) -> None:
    seen = run.agent.seen
    assert [text for kind, text in seen.issues if kind == "error"] == []
    assert seen.tags == ["llmops-gate-open"]
    (summary,) = seen.summaries
    assert summary.startswith("# Gate open")
    assert sorted(path.name for path in seen.artifacts.iterdir()) == ["report-1", "slice-1-1", "slice-2-1"]
    assert (seen.artifacts / "report-1" / "index.html").is_file()
    everything = [step for stage in run.stages.values() for job in stage.jobs for step in job.steps]
    assert [step.refused for step in everything if step.refused] == []
    (approved,) = [step.log for step in run.stages["approve"].jobs[0].steps if step.log]
    assert approved == f"Approved - {run.stages['evaluate'].outputs()['gate.verdict.summary']}\n"


def check_that_slices_add_up(seen: Seen) -> None:
    shown = {title: found for title, found in seen.tests.items() if title.startswith("Evaluation")}
    assert list(shown) == [f"Evaluation (full), slice {position} of 2, attempt 1" for position in (1, 2)]
    items = [(item.storage, item.title, item.outcome) for found in shown.values() for item in found]
    merged = ado_junit.read(seen.artifacts / "report-1" / "junit.xml")
    assert sorted(items) == sorted((item.storage, item.title, item.outcome) for item in merged)
    assert len(items) == 12


@pytest.mark.slow
def test_a_pull_request_that_makes_it_worse_is_blocked(start: Start, worse: None) -> None:
    with azure_repos() as repos:
        run = start({"slices": 1, "evals": "evals/sentiment"}, of_pull_request(repos), stages=TESTED)
        run.execute("evaluate")
    assert results(run) == {"test": SUCCEEDED, "evaluate": FAILED}, logs(run)
    outputs = run.stages["evaluate"].outputs()
    assert outputs["gate.verdict.decision"] == "closed"
    assert "FAIL labels.accuracy[sentiment-comments-default]: 0.725" in outputs["gate.verdict.summary"]
    assert steps(run, "evaluate", "gate")[-3:] == [SUCCEEDED, SUCCEEDED, FAILED], "report, comment, verdict"
    assert run.agent.seen.tags == ["llmops-gate-closed"]
    assert run.agent.recorded == []
    (thread,) = repos.threads
    assert thread["status"] == "active"
    assert "labels.accuracy" in thread["comments"][0]["content"]
    (status,) = repos.statuses
    assert (status["context"], status["state"]) == ({"name": "gate", "genre": "llmops"}, "failed")
