"""What is to go wrong in the Azure emulator, when, and how often."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from azure_routes import Answer, Request, error
from azure_servers import LostConnectionError

# The SDK tries again at once where it is told so; of its own accord it waits for seconds.
_SOON = {"retry-after-ms": "10", "Retry-After": "0.01"}
_HANG = 2.0

ANSWERS: dict[str, Callable[[], Answer]] = {
    "quota": lambda: error(400, "OutOfQuota", "Not enough quota available for Standard_DS3_v2 in subscription."),
    "not-found": lambda: error(404, "ResourceNotFound", "The resource was not found."),
    "conflict": lambda: error(409, "Conflict", "Another operation is in progress."),
    "throttled": lambda: error(429, "TooManyRequests", "The request rate is too large.", _SOON),
    "unauthorized": lambda: error(401, "InvalidAuthenticationToken", "The access token is invalid."),
    "forbidden": lambda: error(
        403, "AuthorizationFailed", "The client 'build' does not have authorization to perform action 'write'."
    ),
    "server-error": lambda: error(500, "InternalServerError", "An internal server error occurred.", _SOON),
    "unavailable": lambda: error(503, "ServiceUnavailable", "The service is unavailable.", _SOON),
}
"""Faults that are an answer."""
ENDINGS = {
    "lro-failed": ("InternalServerError", "The operation failed."),
    "unhealthy": ("ResourceNotReady", "User container has crashed or terminated."),
}
"""Faults of the operation that a request starts: code and message that it ends with."""
LOSSES = ("drop", "drop-answer", "hang")
"""Faults of the connection: closed without doing anything, closed after it is done, and nothing at all for 2 s."""


@dataclass(slots=True)
class Fault:
    """Requests of ``method`` whose label holds ``pattern`` go wrong, ``times`` of them, after the first ``after``."""

    method: str
    pattern: re.Pattern[str]
    how: str
    times: int
    after: int


@dataclass(slots=True)
class Faults:
    """The faults that are still to come."""

    planned: list[Fault] = field(default_factory=list)

    def add(self, method: str, pattern: str, how: str, times: int, after: int) -> None:
        """Plan a fault; ``method`` may be ``*``."""
        if how not in {*ANSWERS, *ENDINGS, *LOSSES}:
            raise ValueError(f"no such fault: {how}")
        self.planned.append(Fault(method, re.compile(pattern, re.IGNORECASE), how, times, after))

    def take(self, request: Request) -> str:
        """Return what goes wrong with a request, empty if nothing does, and count it."""
        for fault in self.planned:
            if fault.times and fault.method in {"*", request.method} and fault.pattern.search(request.label):
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault.how
        return ""


def lose(how: str) -> None:
    """Lose the connection."""
    if how == "hang":
        time.sleep(_HANG)
    raise LostConnectionError
