"""Counts the tokens of each line, as the responses of the model's service report them, whatever client asked."""

from __future__ import annotations

import contextvars
import functools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from pytest_llmops.httpclients import Send, operation_of, patch_send
from pytest_llmops.records.run import Tokens

_EVENT = b"data:"


class TokenCount:
    """Tokens of the LLM calls that one line has made by now, in whatever threads and tasks."""

    def __init__(self) -> None:
        self.tokens = Tokens()
        self._lock = threading.Lock()

    def add(self, more: Tokens) -> None:
        """Add those of one call."""
        with self._lock:
            self.tokens = Tokens(
                prompt=self.tokens.prompt + more.prompt,
                completion=self.tokens.completion + more.completion,
                total=self.tokens.total + more.total,
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
                _count(response.read())
            return response

        return send

    def asynchronous(original: Send, module: ModuleType) -> Send:
        async def send(client: Any, request: Any, **options: Any) -> Any:
            response = await original(client, request, **options)
            if operation_of(request.method, request.url.path) is not None:
                _count(await response.aread())
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


def read_tokens(content: bytes) -> Tokens:
    """Read the tokens of a call from its response; a stream reports them, if at all, in one of its last events."""
    if not content.startswith(b"{"):
        events = [line[len(_EVENT) :] for line in content.splitlines() if line.startswith(_EVENT) and b"usage" in line]
        content = events[-1] if events else b""
    try:
        body = json.loads(content)
    except ValueError:
        return Tokens()
    usage = body.get("usage") or (body.get("response") or {}).get("usage") if isinstance(body, dict) else None
    return _tokens(usage) if isinstance(usage, dict) else Tokens()


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    prompt = usage.get("prompt_tokens") or usage.get("input_tokens") or 0
    completion = usage.get("completion_tokens") or usage.get("output_tokens") or 0
    return Tokens(prompt=prompt, completion=completion, total=usage.get("total_tokens") or prompt + completion)


def _count(content: bytes) -> None:
    line = _line.get()
    if line is not None:
        line.add(read_tokens(content))
