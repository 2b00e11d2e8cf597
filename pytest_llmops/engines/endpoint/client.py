"""Requests to a served flow: bounded in time, repeated where that may help, and never sent elsewhere."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from pytest_llmops.engines.endpoint.answers import Refused, Reply, failure_of, title_of
from pytest_llmops.engines.endpoint.exchange import TooSlow, exchange
from pytest_llmops.errors import RunError
from pytest_llmops.records.cloud import Address
from pytest_llmops.throttle.retries import Failure, RetryPolicy

_LOOKING = 10.0
"""Seconds that a look at ``/health`` may take."""
_POLL = 0.5
"""Seconds between two looks at a server that is being started."""
_STARTING = (502, 503, 504)
_LOST = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class EndpointClient:
    """Asks what is served at an address. Safe to use from several threads, each with a connection of its own.

    ``retries`` is how often a request is made again at most.
    """

    def __init__(self, address: Address, retries: int) -> None:
        self._address = address
        self._policy = RetryPolicy(retries)
        self._local = threading.local()

    def wait_until_ready(self, patience: float) -> None:
        """Wait, at most ``patience`` seconds, until what serves the flow is up, as its ``/health`` says.

        One that has no such page counts as ready if it says so: then the first request shows what it is.

        Raises:
            RunError: where it is not, or can't be reached.
        """
        deadline = time.monotonic() + patience
        while problem := self._health(max(0.1, deadline - time.monotonic())):
            if time.monotonic() + _POLL > deadline:
                raise RunError(f"endpoint {self._address} is not ready, after {patience:g} seconds: {problem}")
            time.sleep(_POLL)

    def ask(self, inputs: Mapping[str, Any], timeout: float) -> Reply:
        """Send the inputs of a row. ``timeout`` is in seconds, for all attempts and the waits between them.

        Raises:
            Refused: where no attempt got an answer that counts.
        """
        begun, attempts = time.monotonic(), 0
        while True:
            answer = self._post(inputs, timeout, time.monotonic() - begun)
            if isinstance(answer, Reply):
                return answer
            attempts, spent = attempts + 1, time.monotonic() - begun
            draw = random.random()  # noqa: S311 - nobody gains by guessing it
            wait = self._policy.wait(answer, attempts=attempts, spent=spent, draw=draw)
            if wait is None:
                raise Refused(self._policy.explain(answer, attempts=attempts, spent=spent))
            if spent + wait >= timeout:
                raise Refused(f"gave up after {spent:.0f} s: {answer}; a request may take {timeout:g} s in all")
            time.sleep(wait)

    def _post(self, inputs: Mapping[str, Any], timeout: float, spent: float) -> Reply | Failure:
        """Make one attempt at a row on which ``spent`` of its ``timeout`` seconds were spent before."""
        body = json.dumps(inputs).encode()
        try:
            reply = self._exchange("POST", self._address.url, max(0.001, timeout - spent), data=body)
        except requests.exceptions.SSLError as problem:
            raise Refused(self._untrusted(problem)) from None
        except (TooSlow, requests.ReadTimeout):
            raise Refused(f"no answer within {timeout:g} seconds") from None
        except (*_LOST, requests.Timeout) as problem:
            return Failure(status=None, said=self._lost(problem))
        except requests.RequestException as problem:
            raise Refused(f"the request can't be made: {type(problem).__name__}") from None
        return failure_of(reply, now=time.time()) or reply

    def _health(self, timeout: float) -> str:
        """Say why the endpoint is not ready; nothing where it is.

        Raises:
            RunError: where waiting would not help.
        """
        limit = min(_LOOKING, timeout)
        try:
            reply = self._exchange("GET", urljoin(self._address.url, "health"), limit, with_content=False)
        except requests.exceptions.SSLError as problem:
            raise RunError(self._untrusted(problem)) from None
        except (TooSlow, requests.ReadTimeout):
            return f"/health gives no answer within {limit:.1f} seconds"
        except (*_LOST, requests.Timeout) as problem:
            return self._lost(problem)
        except requests.RequestException as problem:
            raise RunError(f"endpoint {self._address} can't be asked: {type(problem).__name__}") from None
        return title_of(reply.status) if reply.status in _STARTING else ""

    def _exchange(
        self, method: str, url: str, seconds: float, *, data: bytes | None = None, with_content: bool = True
    ) -> Reply:
        try:
            reply = exchange(self._session(), method, url, data=data, seconds=seconds, with_content=with_content)
        except TooSlow:
            self._local.session = None
            raise
        return replace(reply, secrets=self._address.secrets)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers.update({"Content-Type": "application/json", "Accept": "application/json"})
            session.headers.update(self._address.headers)
            # Without it, requests would put a password from a .netrc file in place of the token.
            session.auth = _as_it_is
            # A cookie could tie all requests to one instance.
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def _lost(self, problem: Exception) -> str:
        return f"no answer from {urlsplit(self._address.url).netloc}: {_cause(problem)}"

    def _untrusted(self, problem: Exception) -> str:
        return f"endpoint {self._address} is not trusted: {_cause(problem)}"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _cause(problem: BaseException) -> str:
    """Say what an exception comes from, without the URL, which the outer ones quote with its query."""
    while problem.__context__ is not None:
        problem = problem.__context__
    said = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__
