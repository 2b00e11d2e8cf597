"""Counts the tokens of each line by model, as the service's responses report them, whatever client asked."""

from __future__ import annotations

import contextvars
import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

from pytest_llmops.httpclients import Send, operation_of, patch_send
from pytest_llmops.records.run import Row, Tokens

_EVENT = b"data:"


class TokenCount:
    """Tokens of the LLM calls that one line has made by now, in whatever threads and tasks.

    ``uncounted`` is the number of answers that reported no tokens.
    """

    def __init__(self) -> None:
        self.usage: dict[str, Tokens] = {}
        self.uncounted = 0
        self._lock = threading.Lock()

    def add(self, model: str, tokens: Tokens | None) -> None:
        """Add those of one answer; None where it reports none."""
        with self._lock:
            if tokens is None:
                self.uncounted += 1
            else:
                self.usage[model] = sum_of([self.usage.get(model, Tokens()), tokens])

    def put_into(self, row: Row) -> Row:
        """Return the row with what was counted, beside the answers that it knows to be uncounted."""
        with self._lock:
            usage, uncounted = self.usage.copy(), self.uncounted
        return replace(row, tokens=sum_of(usage.values()), usage=usage, uncounted=row.uncounted + uncounted)


def sum_of(tokens: Iterable[Tokens]) -> Tokens:
    """Add up tokens."""
    parts = list(tokens)
    return Tokens(
        prompt=sum(part.prompt for part in parts),
        completion=sum(part.completion for part in parts),
        total=sum(part.total for part in parts),
    )


_line: contextvars.ContextVar[TokenCount | None] = contextvars.ContextVar("line", default=None)


@contextmanager
def counting_tokens() -> Iterator[TokenCount]:
    """Count the tokens of all calls that are made in this context, and in those copied from it, while it lasts."""
    count = TokenCount()
    token = _line.set(count)
    try:
        yield count
    finally:
        _line.reset(token)


def watch_clients() -> Callable[[], None]:
    """Look at the responses of all clients from now on, and return the function that ends it.

    Install it after whatever answers calls itself, so that it sees those answers too.
    """

    def sync(original: Send, module: ModuleType) -> Send:
        def send(client: Any, request: Any, **options: Any) -> Any:
            response = original(client, request, **options)
            if operation_of(request.method, request.url.path) is not None:
                _count(request, response, response.read())
            return response

        return send

    def asynchronous(original: Send, module: ModuleType) -> Send:
        async def send(client: Any, request: Any, **options: Any) -> Any:
            response = await original(client, request, **options)
            if operation_of(request.method, request.url.path) is not None:
                _count(request, response, await response.aread())
            return response

        return send

    return patch_send(sync, asynchronous)


def follow_threads() -> Callable[[], None]:
    """Have threads count for the line that started them, or gave them work, and return the function that ends it.

    A thread starts with an empty context. Only the line is handed on: all else is as flows know it.
    """
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def start_for_line(thread: threading.Thread) -> None:
        thread.run = _for_line(thread.run)  # type: ignore[method-assign]
        start(thread)

    def submit_for_line(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(pool, _for_line(work), *args, **kwargs)

    def undo() -> None:
        threading.Thread.start, ThreadPoolExecutor.submit = start, submit  # type: ignore[method-assign]

    threading.Thread.start = start_for_line  # type: ignore[method-assign, assignment]
    ThreadPoolExecutor.submit = submit_for_line  # type: ignore[method-assign, assignment]
    return undo


def _for_line(work: Callable[..., Any]) -> Callable[..., Any]:
    line = _line.get()
    if line is None:
        return work

    @functools.wraps(work)
    def run(*arguments: Any, **keywords: Any) -> Any:
        token = _line.set(line)
        try:
            return work(*arguments, **keywords)
        finally:
            _line.reset(token)

    return run


def read_usage(content: bytes) -> tuple[str, Tokens | None]:
    """Read the model's name and the tokens of a call from its response: empty, or None, where it does not tell.

    A stream reports its tokens, if at all, in one of its last events.
    """
    if not content.startswith(b"{"):
        events = [line[len(_EVENT) :] for line in content.splitlines() if line.startswith(_EVENT)]
        content = next((event for event in reversed(events) if b"usage" in event), b"")
    try:
        body = json.loads(content)
    except ValueError:
        return "", None
    reported = body.get("response") if isinstance(body, dict) and not body.get("usage") else body
    if not isinstance(reported, dict) or not isinstance(usage := reported.get("usage"), dict):
        return "", None
    return str(reported.get("model") or ""), _tokens(usage)


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    completion = usage.get("completion_tokens") or usage.get("output_tokens") or 0
    prompt = usage.get("prompt_tokens") or usage.get("input_tokens") or 0
    total = usage.get("total_tokens") or prompt + completion
    return Tokens(prompt=prompt or total - completion, completion=completion, total=total)


def _count(request: Any, response: Any, content: bytes) -> None:
    line = _line.get()
    if line is None:
        return
    model, tokens = read_usage(content)
    if tokens is not None:
        line.add(model or _asked_model(request), tokens)
    elif response.is_success:
        line.add("", None)


def _asked_model(request: Any) -> str:
    """Return the model or deployment that a request names, empty where it names none."""
    from pytest_llmops.cassettes.call import read_question

    try:
        content = request.content
    except RuntimeError:
        content = b""  # sent piece by piece, and gone
    path = request.url.path
    return read_question(operation_of(request.method, path) or "", path, (), content).call.model
