"""Comments and statuses of a pull request, against a server that behaves as Azure Repos, or misbehaves."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ado_server import AzureRepos, azure_repos

from pytest_llmops.ado.environment import read_pipeline
from pytest_llmops.ado.pull_requests import PullRequest, PullRequestError

MARKER = "<!-- llmops:5:gate "
FIRST = f"{MARKER}iteration=2 build=77 -->"
NOT_ACCEPTED = "the token was not accepted; map it in the step: env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}"
NO_ITERATION = "pull request 12: no iteration is of commit bbbbbbbbbbbb; the status was not set, and no comment made"
NO_TOKEN = "the token is not one: it has characters that can't be sent"


@pytest.fixture
def repos() -> Iterator[AzureRepos]:
    with azure_repos() as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, each time; in truth, none is."""
    waited: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waited.append)
    return waited


def pull_request(repos: AzureRepos, **environ: str) -> PullRequest:
    return PullRequest(read_pipeline(repos.environ(**environ)))


def comment(repos: AzureRepos, text: str = "open", **environ: str) -> str:
    return pull_request(repos, **environ).comment(MARKER, text, "active")


def refusal(repos: AzureRepos, **environ: str) -> str:
    """Comment, and return why that was not done."""
    with pytest.raises(PullRequestError) as refused:
        comment(repos, **environ)
    return str(refused.value)


def contents(repos: AzureRepos) -> list[str]:
    return [thread["comments"][0]["content"] for thread in repos.threads]


def test_a_comment_is_added_once_and_then_updated(repos: AzureRepos) -> None:
    assert [comment(repos, text) for text in ("one", "two")] == ["added", "updated"]
    assert contents(repos) == [f"{FIRST}\ntwo"]
    assert repos.requests == [
        ("GET", "threads"),
        ("GET", "iterations"),
        ("POST", "threads"),
        ("GET", "threads"),
        ("GET", "iterations"),
        ("PATCH", "threads/1/comments/1"),
    ]


def test_a_thread_takes_the_status_of_the_gate(repos: AzureRepos) -> None:
    comment(repos)
    pull_request(repos).comment(MARKER, "open", "fixed")
    assert repos.threads[0]["status"] == "fixed"


@pytest.mark.parametrize("quoted", [f"> {FIRST}\nlook", f"{FIRST}\nmy copy of it", "hello", ""])
def test_comments_of_people_are_left_alone(repos: AzureRepos, quoted: str) -> None:
    comment(repos, "one")
    repos.add_thread(quoted, "a person")
    assert comment(repos, "two") == "updated"
    assert contents(repos) == [f"{FIRST}\ntwo", quoted]


def test_a_comment_of_a_former_identity_gives_way_to_a_new_one(repos: AzureRepos) -> None:
    repos.add_thread(f"{FIRST}\nold", "another build service")
    assert [comment(repos, text) for text in ("one", "two")] == ["added", "updated"]
    assert contents(repos) == [f"{FIRST}\nold", f"{FIRST}\ntwo"]


def test_of_two_runs_at_once_the_last_one_stands(repos: AzureRepos) -> None:
    for text in ("one", "two"):
        repos.add_thread(f"{FIRST}\n{text}", "build")
    comment(repos, "three")
    assert contents(repos) == [f"{FIRST}\none", f"{FIRST}\nthree"]


@pytest.mark.parametrize(
    ("turn", "done"),
    [
        ("iteration=2 build=78", "left as it is: it is of run 78, which is newer"),
        ("iteration=3 build=1", "left as it is: it is of run 1, which is newer"),
        ("iteration=2 build=77", "updated"),
        ("iteration=2 build=9", "updated"),
        ("iteration=1 build=99", "updated"),
        (f"iteration=2 build={'9' * 5000}", "updated"),
        ("", "updated"),
    ],
)
def test_a_comment_of_a_newer_run_stays(repos: AzureRepos, turn: str, done: str) -> None:
    older = f"{MARKER}{turn} -->\nclosed"
    thread = repos.add_thread(older, "build", status="active")
    assert pull_request(repos).comment(MARKER, "open", "fixed") == done
    updated = done == "updated"
    assert contents(repos) == [f"{FIRST}\nopen" if updated else older]
    assert thread["status"] == ("fixed" if updated else "active")


def test_nobody_else_can_pass_for_a_newer_run(repos: AzureRepos) -> None:
    comment(repos, "one")
    repos.add_thread(f"{MARKER}iteration=999 build=999 -->\nopen", "a person")
    assert comment(repos, "two") == "updated"
    assert contents(repos)[0] == f"{FIRST}\ntwo"


def test_a_commit_that_is_of_no_iteration_has_no_comment(repos: AzureRepos) -> None:
    del repos.iterations[1]
    assert refusal(repos) == NO_ITERATION
    assert repos.threads == []


def test_threads_without_comments_are_passed_over(repos: AzureRepos) -> None:
    repos.threads += [{"id": 90}, {"id": 91, "comments": []}, {"id": 92, "comments": None}, {"comments": [{}]}]
    assert comment(repos) == "added"


def test_a_status_is_of_the_iteration_that_was_evaluated(repos: AzureRepos) -> None:
    repos.iterations.append({"id": 3, "sourceRefCommit": {"commitId": "d" * 40}})
    pull_request(repos).set_status("failed", "gate", "closed")
    assert [status["iterationId"] for status in repos.statuses] == [2]


@pytest.mark.parametrize(
    ("newer", "done"),
    [
        ({"BUILD_BUILDID": "78"}, "left as it is: it is of run 78, which is newer"),
        ({"BUILD_BUILDID": "77"}, "is failed"),
        ({"BUILD_BUILDID": "9"}, "is failed"),
        ({"BUILD_BUILDID": "78", "SYSTEM_PULLREQUEST_SOURCECOMMITID": "a" * 40}, "is failed"),
    ],
)
def test_a_status_of_a_newer_run_of_the_same_iteration_stays_the_last(
    repos: AzureRepos, newer: dict[str, str], done: str
) -> None:
    for name in ("other", "gate"):
        pull_request(repos, **newer).set_status("succeeded", name, "open")
    assert pull_request(repos).set_status("failed", "gate", "closed") == done
    assert len(repos.statuses) == 2 + (done == "is failed")
    assert pull_request(repos).set_status("failed", "third", "closed") == "is failed"


def test_a_commit_that_is_of_no_iteration_has_no_status(repos: AzureRepos) -> None:
    del repos.iterations[1]
    with pytest.raises(PullRequestError) as refused:
        pull_request(repos).set_status("failed", "gate", "closed")
    assert str(refused.value) == NO_ITERATION
    assert repos.statuses == []


def test_where_the_commit_is_not_known_it_is_the_last_iteration(repos: AzureRepos) -> None:
    unknown = "$(System.PullRequest.SourceCommitId)"
    pull_request(repos, SYSTEM_PULLREQUEST_SOURCECOMMITID=unknown).set_status("failed", "gate", "closed")
    assert [status["iterationId"] for status in repos.statuses] == [2]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"{}", f"HTTP 401: {NOT_ACCEPTED}"),
        (203, b"<html>sign in", f"HTTP 203: {NOT_ACCEPTED}"),
        (302, b"", f"HTTP 302: {NOT_ACCEPTED}"),
        (
            404,
            b'{"message": "TF401180: not found"}',
            "HTTP 404: there is none in this repository, or the token may not see it (TF401180: not found); see 'Limit "
            "job authorization scope' in the settings of the project",
        ),
        (500, b"oops", "HTTP 500"),
        (500, b'{"message": "##vso[task.complete] \\u001b[2J"}', "HTTP 500 (# #vso[task.complete] \\x1b[2J)"),
        (500, b'{"message": "you sent secret-token"}', "HTTP 500"),
        (200, b"<html>", "HTTP 200"),
        (200, b"[]", "HTTP 200"),
    ],
)
def test_a_refusal_is_explained(repos: AzureRepos, status: int, body: bytes, said: str) -> None:
    repos.refusals = [(status, {"Location": f"{repos.collection}sign-in"} if status == 302 else {}, body)]
    assert refusal(repos) == f"pull request 12: {said}"
    assert repos.requests == [("GET", "threads")]


@pytest.mark.parametrize("body", [b'{"value": 3}', b"{}"])
def test_an_answer_of_another_shape_is_explained(repos: AzureRepos, body: bytes) -> None:
    repos.refusals = [(200, {}, body)]
    said = r"pull request 12: 127\.0\.0\.1:\d+ did not answer with a list of threads"
    assert re.fullmatch(said, refusal(repos))


def test_a_missing_permission_is_named_where_the_comment_is_there_already(repos: AzureRepos) -> None:
    comment(repos)
    repos.denied = {"build"}
    assert "TF401027" in refusal(repos)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("headers", "waited"), [({}, 0.4), ({"Retry-After": "2"}, 2), ({"Retry-After": "3600"}, 20)])
def test_a_busy_server_is_asked_again(
    repos: AzureRepos, waits: list[float], status: int, headers: dict[str, str], waited: float
) -> None:
    repos.refusals = [(status, headers, b"")] * 2
    assert comment(repos) == "added"
    assert max(waits) == waited


def test_a_server_that_stays_busy_is_given_up(repos: AzureRepos, waits: list[float]) -> None:
    repos.refusals = [(429, {"Retry-After": "5"}, b"")] * 9
    assert re.fullmatch(r"pull request 12: HTTP 429: 127\.0\.0\.1:\d+ is too busy, after 4 tries", refusal(repos))
    assert (len(repos.requests), waits) == (4, [5, 5, 5])


@pytest.mark.usefixtures("waits")
def test_no_answer_is_explained(repos: AzureRepos) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{nobody.getsockname()[1]}"
        said = refusal(repos, SYSTEM_COLLECTIONURI=f"http://{host}/org/")
    assert said == f"pull request 12: no answer from {host} (ConnectionError)"


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("secret-token\nX-Other: 1", NO_TOKEN),
        ("日本", NO_TOKEN),
        ("wrong", f"HTTP 401: {NOT_ACCEPTED}"),
    ],
)
def test_a_token_that_is_none_is_not_quoted(repos: AzureRepos, token: str, said: str) -> None:
    assert refusal(repos, SYSTEM_ACCESSTOKEN=token) == f"pull request 12: {said}"


def test_a_netrc_file_does_not_come_before_the_token(
    repos: AzureRepos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert comment(repos) == "added"
