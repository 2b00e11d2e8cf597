"""Comments and statuses of pull requests in Azure Repos, by its REST API.

SOURCE: learn.microsoft.com, rest/api/azure/devops/git: pull request threads, thread comments, iterations and statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import requests
from urllib3.util import Retry

from pytest_llmops.ado.environment import Pipeline
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.reports.text import one_line

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

State = Literal["succeeded", "failed", "error"]
ThreadStatus = Literal["active", "fixed"]

_VERSION = "7.1"
_GENRE = "llmops"
_PATIENCE = (10, 30)  # seconds to connect, and to wait for an answer
_LONGEST_WAIT = 20.0  # seconds, whatever the server asks for
_TRIES = 3
_BUSY = (429, 503)
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
        self._session = requests.Session()
        self._session.auth = _Bearer(pipeline.token)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=_RETRIES))

    def comment(self, marker: str, text: str, status: ThreadStatus) -> Literal["updated", "added"]:
        """Put a comment into the one thread that begins with ``marker``, or into a new one if there is none.

        ``text`` begins with the marker. Where several threads do, the newest that this identity may change is taken:
        people may copy a comment, marker and all, but nobody may change another's.
        """
        for thread in self._threads(marker):
            if self._update(thread, text):
                if thread.get("status") != status:
                    self._ask("PATCH", f"threads/{thread['id']}", {"status": status})
                return "updated"
        comment = {"parentCommentId": 0, "content": text, "commentType": "text"}
        self._ask("POST", "threads", {"comments": [comment], "status": status})
        return "added"

    def set_status(self, state: State, name: str, description: str) -> None:
        """Set the status ``llmops/<name>`` of the iteration that was evaluated. The newest of a name is what counts."""
        self._ask(
            "POST",
            "statuses",
            {
                "state": state,
                "description": description,
                "context": {"name": name, "genre": _GENRE},
                "targetUrl": self._pipeline.url,
                "iterationId": self._iteration(),
            },
        )

    def _threads(self, marker: str) -> list[Mapping[str, Any]]:
        ours = [thread for thread in self._list("threads") if _begins_with(thread, marker)]
        return sorted(ours, key=lambda thread: int(thread["id"]), reverse=True)

    def _update(self, thread: Mapping[str, Any], text: str) -> bool:
        """Replace the first comment of a thread. Returns False where it is another's, or gone."""
        path = f"threads/{thread['id']}/comments/{_first(thread)['id']}"
        return self._ask("PATCH", path, {"content": text}, but_for=(403, 404)) is not None

    def _iteration(self) -> int:
        """Find the iteration that the run is for: meanwhile there may be a newer one, which nobody evaluated."""
        commit = self._pipeline.source_commit
        known = [int(item["id"]) for item in self._list("iterations") if not commit or _source_of(item) == commit]
        if not known:
            of = f"commit {commit[:12]}" if commit else "any commit"
            raise PullRequestError(f"{self._name()}: no iteration is of {of}; the status was not set")
        return max(known)

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
        if status in _BUSY:
            return f"HTTP {status}: {self._host} is too busy, after {_TRIES + 1} tries"
        return f"HTTP {status}{quoted}"

    def _name(self) -> str:
        return f"pull request {self._pipeline.pull_request}"


class _Bearer(requests.auth.AuthBase):
    """Sends the token; without this, a .netrc file would come before it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Retry(Retry):
    """Waits as long as the server asks for, within reason."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        wait = super().get_retry_after(response)
        return None if wait is None else min(wait, _LONGEST_WAIT)


# A request whose answer was lost is not made again: a thread might be added twice.
_RETRIES = _Retry(
    total=None,
    connect=_TRIES,
    read=0,
    redirect=0,
    status=_TRIES,
    other=0,
    status_forcelist=_BUSY,
    allowed_methods=None,
    backoff_factor=0.2,
    raise_on_status=False,
    raise_on_redirect=False,
)


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
    return not gone and str(first.get("content", "")).startswith(marker)


def _source_of(iteration: Mapping[str, Any]) -> str:
    commit = iteration.get("sourceRefCommit")
    return str(commit.get("commitId", "")) if isinstance(commit, dict) else ""
