"""Comments and statuses of pull requests in Azure Repos, by its REST API.

SOURCE: learn.microsoft.com, rest/api/azure/devops/git: pull request threads, thread comments, iterations and statuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import requests

from pytest_llmops.ado.comment import Turn, marked, turn_of
from pytest_llmops.ado.connecting import BUSY, TRIES, session
from pytest_llmops.ado.environment import Pipeline
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.reports.text import one_line

State = Literal["succeeded", "failed", "error"]
ThreadStatus = Literal["active", "fixed"]

_VERSION = "7.1"
_GENRE = "llmops"
_PATIENCE = (10, 30)  # seconds to connect, and to wait for an answer
_RUN = re.compile(r"[?&]buildId=([0-9]{1,18})(?![0-9])")
_NUMBER = re.compile(r"[0-9]{1,18}")
# Instead of 401, a token that is not accepted gets the page to sign in at.
_NOT_SIGNED_IN = (203, 302, 401)
_NEEDED = "'Contribute to pull requests' of the repository set to Allow"


class PullRequestError(LLMOpsError):
    """What was asked of the pull request was not done, and why."""


class PullRequest:
    """The pull request that a run of a pipeline is for, with a token. Its methods raise ``PullRequestError``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._host = urlsplit(pipeline.collection).netloc
        parts = (pipeline.project, "_apis", "git", "repositories", pipeline.repository)
        path = "/".join(quote(part, safe="") for part in (*parts, "pullRequests", pipeline.pull_request))
        self._url = f"{pipeline.collection.rstrip('/')}/{path}"
        self._session = session(pipeline.token)

    def comment(self, marker: str, text: str, status: ThreadStatus) -> str:
        """Put a comment into the one thread that begins with ``marker``, or into a new one if there is none.

        Where several threads do, the newest that this identity may change is taken: people may copy a comment, marker
        and all, but nobody may change another's. A comment of a newer run stays as it is. Returns what was done.
        """
        threads, turn = self._threads(marker), Turn(self._iteration, self._build())
        content = marked(marker, turn, text)
        for thread in threads:
            newer = turn_of(marker, known := _content(thread))
            # Only who wrote a comment may change it, and be it to what it is.
            if not self._update(thread, known if newer > turn else content):
                continue
            if newer > turn:
                return f"left as it is: it is of run {newer.build}, which is newer"
            if thread.get("status") != status:
                self._ask("PATCH", f"threads/{thread['id']}", {"status": status})
            return "updated"
        comment = {"parentCommentId": 0, "content": content, "commentType": "text"}
        self._ask("POST", "threads", {"comments": [comment], "status": status})
        return "added"

    def set_status(self, state: State, name: str, description: str) -> str:
        """Set the status ``llmops/<name>`` of the iteration that was evaluated. Returns what was done.

        The last one of a name is what counts, so a newer run's stays the last.
        """
        newest = max((_run_of(status) for status in self._list("statuses") if self._is_same(status, name)), default=0)
        if newest > self._build():
            return f"left as it is: it is of run {newest}, which is newer"
        self._ask(
            "POST",
            "statuses",
            {
                "state": state,
                "description": description,
                "context": {"name": name, "genre": _GENRE},
                "targetUrl": self._pipeline.url,
                "iterationId": self._iteration,
            },
        )
        return f"is {state}"

    def _is_same(self, status: Mapping[str, Any], name: str) -> bool:
        context = status.get("context")
        known = (context.get("genre"), context.get("name")) if isinstance(context, dict) else None
        return known == (_GENRE, name) and status.get("iterationId") == self._iteration

    def _threads(self, marker: str) -> list[Mapping[str, Any]]:
        ours = [thread for thread in self._list("threads") if _begins_with(thread, marker)]
        return sorted(ours, key=lambda thread: int(thread["id"]), reverse=True)

    def _update(self, thread: Mapping[str, Any], text: str) -> bool:
        """Replace the first comment of a thread. Returns False where it is another's, or gone."""
        path = f"threads/{thread['id']}/comments/{_first(thread)['id']}"
        return self._ask("PATCH", path, {"content": text}, but_for=(403, 404)) is not None

    @cached_property
    def _iteration(self) -> int:
        """Find the iteration that the run is for: meanwhile there may be a newer one, which nobody evaluated."""
        commit = self._pipeline.source_commit
        known = [int(item["id"]) for item in self._list("iterations") if not commit or _source_of(item) == commit]
        if not known:
            of = f"commit {commit[:12]}" if commit else "any commit"
            raise PullRequestError(
                f"{self._name()}: no iteration is of {of}; the status was not set, and no comment made"
            )
        return max(known)

    def _build(self) -> int:
        build = self._pipeline.build
        return int(build) if _NUMBER.fullmatch(build) else 0

    def _list(self, what: str) -> list[Mapping[str, Any]]:
        answer = self._ask("GET", what)
        items = answer.get("value") if answer is not None else None
        if not isinstance(items, list):
            raise PullRequestError(f"{self._name()}: {self._host} did not answer with a list of {what}")
        return [item for item in items if _has_id(item)]

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, but_for: tuple[int, ...] = ()
    ) -> Mapping[str, Any] | None:
        """Make a request. Returns the answer, None for a status in ``but_for``."""
        try:
            response = self._session.request(
                method,
                f"{self._url}/{path}",
                params={"api-version": _VERSION},
                json=body,
                timeout=_PATIENCE,
                # A redirection leads to a page for people, and must not take the token with it.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # Neither here nor below the error's own text: it may quote a header.
            raise PullRequestError(f"{self._name()}: no answer from {self._host} ({type(error).__name__})") from None
        except ValueError:
            raise PullRequestError(
                f"{self._name()}: the token is not one: it has characters that can't be sent"
            ) from None
        if response.status_code in but_for:
            return None
        answer = _json(response)
        if response.status_code not in (200, 201) or answer is None:
            raise PullRequestError(f"{self._name()}: {self._explained(response.status_code, answer or {})}")
        return answer

    def _explained(self, status: int, answer: Mapping[str, Any]) -> str:
        said = one_line(str(answer.get("message", "")), 300)
        if self._pipeline.token in said:
            said = ""
        quoted = f" ({said})" if said else ""
        project = self._pipeline.project
        if status in _NOT_SIGNED_IN:
            return (
                f"HTTP {status}: the token was not accepted; map it in the step: "
                "env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}"
            )
        if status == 403:
            return f"HTTP 403: not allowed{quoted}; the identity '{project} Build Service' needs {_NEEDED}"
        if status == 404:
            return (
                f"HTTP 404: there is none in this repository, or the token may not see it{quoted}; see 'Limit job "
                "authorization scope' in the settings of the project"
            )
        if status in BUSY:
            return f"HTTP {status}: {self._host} is too busy, after {TRIES + 1} tries"
        return f"HTTP {status}{quoted}"

    def _name(self) -> str:
        return f"pull request {self._pipeline.pull_request}"


def _json(response: requests.Response) -> Mapping[str, Any] | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _has_id(item: object) -> bool:
    return isinstance(item, dict) and type(item.get("id")) is int


def _first(thread: Mapping[str, Any]) -> Mapping[str, Any]:
    comments = thread.get("comments")
    known = [item for item in comments if _has_id(item)] if isinstance(comments, list) else []
    return min(known, key=lambda item: int(item["id"]), default={})


def _begins_with(thread: Mapping[str, Any], marker: str) -> bool:
    first = _first(thread)
    gone = thread.get("isDeleted") or first.get("isDeleted")
    return not gone and _content(thread).startswith(marker)


def _content(thread: Mapping[str, Any]) -> str:
    return str(_first(thread).get("content", ""))


def _run_of(status: Mapping[str, Any]) -> int:
    run = _RUN.search(str(status.get("targetUrl", "")))
    return int(run[1]) if run else 0


def _source_of(iteration: Mapping[str, Any]) -> str:
    commit = iteration.get("sourceRefCommit")
    return str(commit.get("commitId", "")) if isinstance(commit, dict) else ""
