"""What a served flow answers: outputs, or an error in one line. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pytest_llmops.secrets import redact, without_secrets
from pytest_llmops.throttle.retries import Failure, retry_after

_AGAIN = (408, 429, 502, 503, 504)
"""Statuses of a service that is busy or is being started. A 500 is the flow's own fault, and comes again."""
_MODEL_ERROR = 424
"""What an online endpoint makes of any error of the container behind it, whose status is then in a header."""
_MODEL_STATUS, _MODEL_REASON = "ms-azureml-model-error-statuscode", "ms-azureml-model-error-reason"
ADVICE = {
    401: "put the endpoint's key or token into LLMOPS_ENDPOINT_TOKEN",
    403: "put a key or token that may ask the endpoint into LLMOPS_ENDPOINT_TOKEN",
    404: "correct the URL, or the name of the deployment",
}
_LONGEST_QUOTE = 300
_LOOKED_AT = 64 * 1024
"""Bytes of an answer in which there is something to quote."""


class Refused(Exception):
    """A row that got no outputs. The message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP response, read to its end. The names of ``headers`` are in lower case.

    ``secrets`` are those of the request, which nothing that is quoted of it may hold.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    secrets: tuple[str, ...] = field(default=(), repr=False)


def failure_of(reply: Reply, *, now: float) -> Failure | None:
    """Read a response, None where another attempt would not change it. ``now`` is Unix time."""
    if _status_of_flow(reply) not in _AGAIN:
        return None
    said = _error_text(reply).removeprefix(f"{reply.status} ")
    return Failure(status=reply.status, said=said, retry_after=retry_after(reply.headers, now=now))


def outputs_of(reply: Reply, declared: Sequence[str], advice: Mapping[int, str] = ADVICE) -> dict[str, Any]:
    """Return the outputs that a response holds: those that are declared, or all where none are known.

    ``advice`` is what a refusal's message says to do, by its status.

    Raises:
        Refused: where it is an error, is no JSON object, or lacks an output.
    """
    if 300 <= reply.status < 400:
        what = "it redirects, and requests follow nowhere; give the URL that it redirects to"
        raise Refused(f"{title_of(reply.status)}: {what}")
    if reply.status >= 400:
        todo = advice.get(reply.status)
        raise Refused(_error_text(reply) + (f"; {todo}" if todo else ""))
    answer = _json(reply.content)
    if not isinstance(answer, dict):
        kind = reply.headers.get("content-type", "").partition(";")[0] or "no content type"
        raise Refused(f"the answer is no JSON object ({kind}): {_quote(reply, _beginning(reply)) or 'it is empty'}")
    if missing := [name for name in declared if name not in answer]:
        known = _quote(reply, ", ".join(f"'{name}'" for name in answer)) or "none"
        raise Refused(f"the answer lacks {_listed(missing)}, which the flow declares; it has: {known}")
    return {name: answer[name] for name in declared} if declared else answer


def _status_of_flow(reply: Reply) -> int:
    """Return the status that the flow's own server gave."""
    behind = reply.headers.get(_MODEL_STATUS, "")
    return int(behind) if reply.status == _MODEL_ERROR and behind.isdecimal() else reply.status


def title_of(status: int) -> str:
    """Return a status with its name, such as ``404 Not Found``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _error_text(reply: Reply) -> str:
    """Describe an error in one line, with what the flow's server says about it."""
    body = _json(reply.content)
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, dict) and error.get("message"):
        said = ": ".join(str(part) for part in (error.get("code"), error["message"]) if part)
    else:
        said = reply.headers.get(_MODEL_REASON) or _beginning(reply)
    quoted = _quote(reply, said)
    return f"{title_of(reply.status)}: {quoted}" if quoted else title_of(reply.status)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _beginning(reply: Reply) -> str:
    return reply.content[:_LOOKED_AT].decode("utf-8", "replace")


def _quote(reply: Reply, text: str) -> str:
    """Put what an answer says on one line, without secrets: they are taken out before a part of one is cut off."""
    clean = without_secrets(redact(text[:_LOOKED_AT], reply.secrets))
    return " ".join(clean.split())[:_LONGEST_QUOTE]


def _listed(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"output {quoted[0]}" if len(quoted) == 1 else f"outputs {', '.join(quoted)}"
