"""A server on loopback that behaves as Azure Repos does: pull request threads, comments, iterations and statuses.

SOURCE: learn.microsoft.com, rest/api/azure/devops/git, version 7.1.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

STATUSES = ("unknown", "active", "fixed", "wontFix", "closed", "byDesign", "pending")
STATES = ("notSet", "pending", "succeeded", "failed", "error", "notApplicable", "partiallySucceeded")
_LONGEST = 150_000
_DENIED = (
    "TF401027: You need the Git 'PullRequestContribute' permission to perform this action. "
    "Details: identity 'Build\\5d1c', scope 'repository'."
)


class AzureRepos(ThreadingHTTPServer):
    """One pull request, number 12 of repository ``repo`` in project ``My Project``.

    ``tokens`` maps access tokens to identities, ``denied`` are those that may only read. ``refusals`` are answered
    first: status, headers and body each. ``requests`` are the methods and paths so far.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.collection = f"http://127.0.0.1:{self.server_port}/org/"
        self.tokens = {"secret-token": "build"}
        self.denied: set[str] = set()
        self.threads: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.iterations = [
            {"id": 1, "sourceRefCommit": {"commitId": "a" * 40}},
            {"id": 2, "sourceRefCommit": {"commitId": "b" * 40}},
        ]
        self.refusals: list[tuple[int, Mapping[str, str], bytes]] = []
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self._numbers = itertools.count(1)

    def environ(self, **changes: str) -> dict[str, str]:
        """Return what an agent sets in a build of the pull request."""
        return {
            "TF_BUILD": "True",
            "BUILD_BUILDID": "77",
            "BUILD_BUILDNUMBER": "20260901.4",
            "BUILD_SOURCEVERSION": "c" * 40,
            "BUILD_REPOSITORY_ID": "repo",
            "BUILD_REPOSITORY_PROVIDER": "TfsGit",
            "SYSTEM_COLLECTIONURI": self.collection,
            "SYSTEM_TEAMPROJECT": "My Project",
            "SYSTEM_DEFINITIONID": "5",
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "12",
            "SYSTEM_PULLREQUEST_SOURCECOMMITID": "b" * 40,
            "SYSTEM_ACCESSTOKEN": "secret-token",
            **changes,
        }

    def add_thread(self, content: str, author: str, status: str = "active") -> dict[str, Any]:
        """Add a thread, as ``author`` would on the page."""
        comment = {"id": 1, "parentCommentId": 0, "content": content, "commentType": "text", "author": author}
        thread = {"id": next(self._numbers), "status": status, "isDeleted": False, "comments": [comment]}
        self.threads.append(thread)
        return thread

    def answer(self, method: str, path: str, body: Any, who: str) -> tuple[int, Any]:
        """Carry out a request below the address of the pull request."""
        if method != "GET" and who in self.denied:
            return 403, {"$id": "1", "message": _DENIED, "typeKey": "GitNeedsPermissionException", "eventId": 3000}
        numbers = [int(part) for part in path.split("/") if part.isdecimal()]
        known: dict[tuple[str, str], Callable[[], tuple[int, Any]]] = {
            ("GET", "threads"): lambda: (200, {"value": self.threads, "count": len(self.threads)}),
            ("GET", "iterations"): lambda: (200, {"value": self.iterations, "count": len(self.iterations)}),
            ("GET", "statuses"): lambda: (200, {"value": self.statuses, "count": len(self.statuses)}),
            ("POST", "threads"): lambda: self._post_thread(body, who),
            ("PATCH", "threads/"): lambda: self._patch_thread(numbers[0], body),
            ("PATCH", "threads/comments/"): lambda: self._patch_comment(numbers[0], numbers[1], body, who),
            ("POST", "statuses"): lambda: self._post_status(body),
        }
        carry_out = known.get((method, re.sub(r"\d+/?", "", path)))
        return carry_out() if carry_out else (405, {"message": f"no {method} {path}"})

    def _post_thread(self, body: Any, who: str) -> tuple[int, Any]:
        (comment,) = body["comments"]
        if len(comment["content"]) > _LONGEST or body["status"] not in STATUSES:
            return 400, {"message": "VssPropertyValidationException"}
        return 200, self.add_thread(comment["content"], who, body["status"])

    def _patch_thread(self, number: int, body: Any) -> tuple[int, Any]:
        thread = next(item for item in self.threads if item["id"] == number)
        if body["status"] not in STATUSES:
            return 400, {"message": "no such status"}
        thread["status"] = body["status"]
        return 200, thread

    def _patch_comment(self, number: int, comment: int, body: Any, who: str) -> tuple[int, Any]:
        thread = next(item for item in self.threads if item["id"] == number)
        found = next(item for item in thread["comments"] if item["id"] == comment)
        if found.get("isDeleted"):
            return 404, {"message": "the comment was deleted"}
        if found["author"] != who:
            return 403, {"message": "a comment can be changed by its author alone"}
        found["content"] = body["content"]
        return 200, found

    def _post_status(self, body: Any) -> tuple[int, Any]:
        known = {iteration["id"] for iteration in self.iterations}
        if body["state"] not in STATES or not body["context"]["name"] or body.get("iterationId") not in known:
            return 400, {"message": "the status is not valid"}
        self.statuses.append({"id": len(self.statuses) + 1, **body})
        return 200, body


class _Handler(BaseHTTPRequestHandler):
    server: AzureRepos
    protocol_version = "HTTP/1.1"
    # Headers and body go out in two writes, which Nagle's algorithm would hold up for 40 ms.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")
        with self.server.lock:
            self._answer(body)

    do_GET = do_POST = do_PATCH = _serve

    def _answer(self, body: Any) -> None:
        address = urlsplit(self.path)
        base, _, path = unquote(address.path).partition("/pullRequests/12/")
        self.server.requests.append((self.command, path))
        if self.server.refusals:
            return self._send(*self.server.refusals.pop(0))
        who = self.server.tokens.get(self.headers.get("authorization", "").removeprefix("Bearer "))
        if who is None:
            return self._json(401, {"message": "TF400813: The user is not authorized to access this resource."})
        if base != "/org/My Project/_apis/git/repositories/repo":
            return self._json(404, {"message": "TF401180: The requested pull request was not found."})
        if parse_qs(address.query).get("api-version") != ["7.1"]:
            return self._json(400, {"message": "the version is missing"})
        return self._json(*self.server.answer(self.command, path, body, who))

    def _json(self, status: int, value: Any) -> None:
        self._send(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(value).encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def azure_repos() -> Iterator[AzureRepos]:
    """Run a server for as long as it is needed."""
    with AzureRepos() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
