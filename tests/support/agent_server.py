"""The OpenAI server of the other tests, with what the clients of Agent Framework read of an answer beside its text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai_server
from openai_server import OpenAIServer, serving

TOKENS = 18
"""Tokens of each answer: 11 asked, 7 answered."""
_RESPONSE = b'"object": "response",'
_DETAILS = b' "created_at": 1700000000, "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},'


class _Handler(openai_server._Handler):
    def _answer(self, prompt: Any, number: int) -> str:
        return super()._answer(_text(prompt), number)

    def _stamped(self, prefix: str, kind: str, body: Any, choices: list[Any]) -> dict[str, Any]:
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": TOKENS}
        return {**super()._stamped(prefix, kind, body, choices), "created": 1_700_000_000, "usage": usage}

    def _send(self, status: int, kind: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        super()._send(status, kind, content.replace(_RESPONSE, _RESPONSE + _DETAILS), headers)


def _text(prompt: Any) -> Any:
    """Return the text of the last message of a request to the Responses API, and any other prompt as it is."""
    if isinstance(prompt, list) and prompt and isinstance(prompt[-1], dict):
        return _text(prompt[-1].get("text") or prompt[-1].get("content"))
    return prompt


@contextmanager
def serving_agents() -> Iterator[OpenAIServer]:
    """Run a server while the block lasts."""
    with serving() as server:
        server.RequestHandlerClass = _Handler
        yield server
