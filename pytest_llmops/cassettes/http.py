"""The patch of ``httpx`` and ``httpx2``: every request of every client goes by the recorder."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import ModuleType
from typing import Any

from pytest_llmops.cassettes.call import Question, read_question
from pytest_llmops.cassettes.entry import Reply
from pytest_llmops.cassettes.policy import Fetch
from pytest_llmops.cassettes.recorder import Recorder
from pytest_llmops.httpclients import Send, make_response, patch_send


def patch_clients(recorder: Recorder) -> Callable[[], None]:
    """Put the recorder between all clients and the network, and return the function that takes it away again."""
    return patch_send(partial(_sync_send, recorder), partial(_async_send, recorder))


def _sync_send(recorder: Recorder, original: Send, module: ModuleType) -> Send:
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
        return _response(module, request, turn, stream=stream)

    return send


def _async_send(recorder: Recorder, original: Send, module: ModuleType) -> Send:
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
        return _response(module, request, turn, stream=stream)

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


def _response(module: ModuleType, request: Any, reply: Reply, *, stream: bool) -> Any:
    headers = {"content-type": reply.content_type}
    if reply.status >= 400:
        headers["x-should-retry"] = "false"
    return make_response(module, request, reply.status, headers, reply.content, stream=stream)
