"""An LLM request reduced to what its answer depends on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llmops.cassettes.jsontext import parse
from pytest_llmops.cassettes.scrub import scrub, secrets_of
from pytest_llmops.hashing import digest

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One LLM request, without host, headers and keys. ``deployment`` is Azure OpenAI's, from the path.

    ``body`` is the request's JSON value, or its text where it is not JSON.
    """

    operation: str
    deployment: str | None
    body: Any

    def key(self) -> str:
        """Return the digest under which the answer is recorded."""
        return digest({"operation": self.operation, "deployment": self.deployment, "body": self.body})

    @property
    def model(self) -> str:
        """Name of the model or deployment that was asked, empty where the request names none."""
        named = self.body.get("model") if isinstance(self.body, Mapping) else None
        return str(named or self.deployment or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call as it came in: with the key of its answer, and the credentials that its request carried.

    ``raw_key`` is the key of the request with its credentials. A replay needs no real one, and the word that is given
    in its place may be part of an ordinary prompt: such a request is recorded under its raw key.
    """

    call: Call
    key: str
    raw_key: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


def read_question(operation: str, path: str, headers: Iterable[tuple[str, str]], content: bytes) -> Question:
    """Read an LLM request, with the credentials of its headers replaced wherever they occur in its body."""
    secrets = secrets_of(headers)
    deployment = _DEPLOYMENT.search(path)
    text = content.decode("utf-8", "backslashreplace")
    try:
        body = parse(text)
    except ValueError:
        body = text
    if isinstance(body, dict):
        # Each version of the client has an order of its own, which would show up in the diff of a recording.
        body = dict(sorted(body.items()))
    raw = Call(operation=operation, deployment=deployment[1] if deployment else None, body=body)
    call = replace(raw, body=scrub(body, secrets))
    key = call.key()
    return Question(call=call, key=key, raw_key=key if call == raw else raw.key(), secrets=secrets)
