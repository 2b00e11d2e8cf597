"""The patch of ``httpx`` and ``httpx2``: every request of every client goes by the recorder.

``Client.send`` is the one public method that all requests pass, whatever transport, proxy, base URL or event hooks a
client has, and a class attribute, so that it also holds for clients that exist already.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from types import ModuleType
from typing import Any

from pytest_llmops.cassettes.call import Question, read_question
from pytest_llmops.cassettes.entry import Reply
from pytest_llmops.cassettes.policy import Fetch
from pytest_llmops.cassettes.recorder import Recorder

_MODULES = ("httpx", "httpx2")
# The two modules have the same classes, and either may be absent: their clients, requests and responses are Any here.
_Send = Callable[..., Any]


def patch_clients(recorder: Recorder) -> Callable[[], None]:
    """Put the recorder between all clients and the network, and return the function that takes it away again."""
    restore = []
    for module in map(importlib.import_module, filter(importlib.util.find_spec, _MODULES)):
        for client, wrap in ((module.Client, _sync_send), (module.AsyncClient, _async_send)):
            restore.append(functools.partial(setattr, client, "send", client.send))
            client.send = wrap(client.send, module, recorder)

    def undo() -> None:
        for action in restore:
            action()

    return undo


def _sync_send(original: _Send, module: ModuleType, recorder: Recorder) -> _Send:
    @functools.wraps(original)
    def send(client: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        turn = _turn(recorder, request)
        if turn is None:
            return original(client, request, stream=stream, **options)
        if isinstance(turn, Fetch):
            with turn:
                response = original(client, request, **options)
                reply = _recorded(turn, response)
            if reply is None:
                return response
            turn = reply
        response = _response(module, request, turn)
        if not stream:
            response.read()
        return response

    return send


def _async_send(original: _Send, module: ModuleType, recorder: Recorder) -> _Send:
    @functools.wraps(original)
    async def send(client: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        turn = await _async_turn(recorder, request)
        if turn is None:
            return await original(client, request, stream=stream, **options)
        if isinstance(turn, Fetch):
            with turn:
                response = await original(client, request, **options)
                reply = _recorded(turn, response)
            if reply is None:
                return response
            turn = reply
        response = _response(module, request, turn)
        if not stream:
            await response.aread()
        return response

    return send


def _turn(recorder: Recorder, request: Any) -> Reply | Fetch | None:
    """Return what becomes of a request: this reply, a fetch to be recorded, or None for one that is sent as it is."""
    operation, policy = recorder.operation(request.method, request.url.path), recorder.policy
    if operation is None or policy is None:
        return recorder.refusal(request.method, request.url.path, request.headers)
    request.read()
    question = _question(operation, request)
    while isinstance(turn := policy.turn(question, blocking=True), Future):
        turn.result()
    return turn


async def _async_turn(recorder: Recorder, request: Any) -> Reply | Fetch | None:
    """Do the same without blocking the event loop while another caller makes the request."""
    operation, policy = recorder.operation(request.method, request.url.path), recorder.policy
    if operation is None or policy is None:
        return recorder.refusal(request.method, request.url.path, request.headers)
    await request.aread()
    question = _question(operation, request)
    while isinstance(turn := policy.turn(question, blocking=False), Future):
        await _landing(turn)
    return turn


async def _landing(flight: Future[None]) -> None:
    import asyncio  # Loaded by now: there is a loop that runs this.

    await asyncio.wrap_future(flight)


def _question(operation: str, request: Any) -> Question:
    return read_question(operation, request.url.path, request.headers.items(), request.content)


def _recorded(fetch: Fetch, response: Any) -> Reply | None:
    """Record a response that was read whole; refusals and errors are left as they are."""
    if not response.is_success:
        return None
    return fetch.keep(response.status_code, response.headers.get("content-type", ""), response.content)


def _response(module: ModuleType, request: Any, reply: Reply) -> Any:
    """Build a response in the state in which a transport hands it over: unread, for callers that stream it."""
    headers = {"content-type": reply.content_type}
    if reply.status >= 400:
        headers["x-should-retry"] = "false"
    response = module.Response(reply.status, headers=headers, stream=module.ByteStream(reply.content), request=request)
    response.elapsed = timedelta(0)
    return response
