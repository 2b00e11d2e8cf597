"""One limit on concurrent LLM calls over all processes of a session, which adapts to refusals; and bounded retries."""

from __future__ import annotations

from functools import partial

from pytest_llmops.throttle.call import Throttle, Usage
from pytest_llmops.throttle.http import patch_clients
from pytest_llmops.throttle.retries import RetryPolicy
from pytest_llmops.throttle.server import LimitServer
from pytest_llmops.throttle.slots import Slots

__all__ = ["LimitServer", "Throttle", "Usage", "install"]


def install(address: str | None = None, *, limit: int = 16, retries: int = 5) -> Throttle:
    """Limit and retry this process's LLM calls, those of clients that exist already included, until it is closed.

    ``address`` is that of the session's ``LimitServer``; without one, ``limit`` holds for this process alone. Of other
    wrappers of the clients (the recorder of cassettes), those that are to answer in place of a call come later.

    Raises:
        RunError: when there is no server at the address.
    """
    server = None
    if address is None:
        server = LimitServer(limit)
        address = server.address
    throttle = Throttle(partial(Slots, address), RetryPolicy(retries))
    if server is not None:
        throttle.on_close(server.close)
    throttle.on_close(patch_clients(throttle))
    return throttle
