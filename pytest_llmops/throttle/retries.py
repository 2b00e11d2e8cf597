"""Which failed LLM calls are made again, and after how long.

Pure: the time and the random number are passed in.
"""

from __future__ import annotations

import email.utils
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

LONGEST = 300.0
"""Seconds that a call may take in all, over its attempts and the waits between them, queueing not counted."""

_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 30.0
_LONGEST_QUOTE = 300
_QUOTA = "insufficient_quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that may be worth another one. ``status`` is None where no response came.

    ``retry_after`` is in seconds. ``final`` says that the service, or its reason, rules another attempt out.
    """

    status: int | None
    said: str
    retry_after: float | None = None
    final: bool = False

    def __str__(self) -> str:
        return self.said if self.status is None else f"{self.status} {self.said}"


def read_failure(status: int, headers: Mapping[str, str], content: bytes, *, now: float) -> Failure | None:
    """Read a response, None where it is no failure or one that another attempt can't change. ``now`` is Unix time.

    What is tried again is what the OpenAI client tries again (408, 409, 429, 5xx, unless ``x-should-retry`` decides):
    it knows the service best, and it would do it anyway, but without a limit over all processes.
    """
    should_retry = headers.get("x-should-retry")
    if not (status in (408, 409, 429) or status >= 500 or (should_retry == "true" and status >= 400)):
        return None
    error = _error(content)
    said = error.get("message") or content.decode("utf-8", "replace")
    return Failure(
        status=status,
        said=" ".join(str(said).split())[:_LONGEST_QUOTE] or _phrase(status),
        retry_after=retry_after(headers, now=now),
        final=should_retry == "false" or _QUOTA in (error.get("type"), error.get("code")),
    )


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that a service asks to wait, None where it names no time to come."""
    seconds = _number(headers.get("retry-after-ms")) / 1000
    if math.isnan(seconds):
        seconds = _number(headers.get("retry-after"))
    if math.isnan(seconds):
        seconds = _date(headers.get("retry-after")) - now
    return seconds if 0 < seconds < math.inf else None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``retries`` is how often a call is made again at most."""

    retries: int

    def wait(self, failure: Failure, *, attempts: int, spent: float, draw: float) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        That is as long as the service asks for, or else exponential back-off with full jitter: a random part, ``draw``
        from 0 to 1, of a time that doubles. ``attempts`` were made, and took ``spent`` seconds with their waits.
        """
        wait = failure.retry_after
        if wait is None:
            wait = draw * min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(attempts - 1, 10))
        if failure.final or attempts > self.retries or spent + wait > LONGEST:
            return None
        return wait

    def explain(self, failure: Failure, *, attempts: int, spent: float) -> str:
        """Say why a call was given up, and what can be done about it."""
        if failure.final:
            return f"{failure}; the service rules out another attempt"
        tried = f"gave up after {attempts} attempt{'s' if attempts > 1 else ''} in {spent:.0f} s: {failure}"
        if attempts <= self.retries:
            asked = f"; the service asks to wait {failure.retry_after:.0f} s" if failure.retry_after else ""
            return f"{tried}{asked}; a call may take {LONGEST:.0f} s in all"
        todo = "raise --llmops-llm-retries"
        return f"{tried}; {todo} or lower --llmops-concurrency" if failure.status == 429 else f"{tried}; {todo}"


def final_reply(failure: Failure, message: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of the response that ends a call, in a form that nothing above tries again.

    promptflow-tools makes a hundred attempts at any 5xx, and at a 429 unless its type is ``insufficient_quota``. A 429
    stays one, for flows that handle it; what failed otherwise becomes a 424 (failed dependency).
    """
    status, kind = (429, _QUOTA) if failure.status == 429 else (424, "gave_up")
    return status, {"error": {"message": message, "type": kind, "param": None, "code": "gave_up"}}


def _error(content: bytes) -> Mapping[str, Any]:
    """Return the error object of a response, empty where it has none."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no message)"


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan


def _date(text: str | None) -> float:
    """Return the Unix time of an HTTP date, NaN for any other text."""
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return math.nan
