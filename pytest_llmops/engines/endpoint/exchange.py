"""One HTTP exchange that ends in time and stays small, whatever the other side does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from typing import TypeVar

import requests

from pytest_llmops.engines.endpoint.answers import Refused, Reply, title_of

_CONNECTING = 10.0
"""Seconds in which a connection has to be made."""
_GRACE = 0.1
"""Seconds in which the limits of requests, whose errors say more, come before the one for all."""
_LARGEST = 10 * 2**20
"""Bytes of an answer, unpacked. Hundreds of rows are kept at once."""
_PIECE = 16 * 1024

_Result = TypeVar("_Result")


class TooSlow(Exception):
    """No whole answer came in time."""


def exchange(
    session: requests.Session, method: str, url: str, *, data: bytes | None, seconds: float, with_content: bool = True
) -> Reply:
    """Make a request and read its answer, all of it within so many seconds. No redirect is followed.

    Raises:
        TooSlow: where it takes longer. The session may then be in use still, and has to be left alone.
        Refused: where the answer is larger than any that is read.
        requests.RequestException: where there is no answer.
    """
    deadline = time.monotonic() + seconds
    limits = min(_CONNECTING, seconds), seconds

    def make() -> Reply:
        with session.request(method, url, data=data, timeout=limits, allow_redirects=False, stream=True) as response:
            content = _read(response, deadline) if with_content else b""
        headers = {name.lower(): text for name, text in response.headers.items()}
        return Reply(status=response.status_code, headers=headers, content=content)

    return _within(seconds + _GRACE, make)


def _read(response: requests.Response, deadline: float) -> bytes:
    content = bytearray()
    for piece in response.iter_content(_PIECE):
        content += piece
        if len(content) > _LARGEST:
            what = f"the answer is larger than {_LARGEST / 2**20:g} MiB, and not read any further"
            raise Refused(f"{title_of(response.status_code)}: {what}")
        if time.monotonic() > deadline:
            raise TooSlow
    return bytes(content)


def _within(seconds: float, make: Callable[[], _Result]) -> _Result:
    """Return what a function returns. If it takes longer, it is left to itself.

    The time limit of requests is one of each read from the network: who sends a byte now and then never exceeds it.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(make())
        except BaseException as problem:
            future.set_exception(problem)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except NotDone:
        raise TooSlow from None
