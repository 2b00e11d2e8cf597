"""Identical requests at the same time: one is made, the others wait for its answer."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from openai_server import OpenAIServer

    from tests.cassettes.conftest import Recording

API_KEY = "sk-secret-0123456789abcdef"


def client_of(base_url: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=API_KEY, **options)


def ask(client: openai.OpenAI, text: str = "Foo") -> str:
    messages: Any = [{"role": "user", "content": text}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages)
    return str(answer.choices[0].message.content)


def test_identical_requests_are_made_once_under_threads(server: OpenAIServer, recording: Recording) -> None:
    server.gate.clear()
    with recording("record") as recorder, client_of(server.url) as client, ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(ask, client, f"question {n % 4}") for n in range(64)]
        while len(server.requests) < 4:
            time.sleep(0.01)
        server.gate.set()
        assert len({answer.result() for answer in answers}) == 4
        assert recorder.calls == 64
    assert len(server.requests) == 4


def test_those_who_wait_for_a_failed_request_ask_themselves(server: OpenAIServer, recording: Recording) -> None:
    server.failures = 2
    with recording("record"), client_of(server.url, max_retries=0) as client, ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(ask, client) for _ in range(8)]
        errors = [future.exception() for future in futures]
    assert sorted(type(error).__name__ for error in errors if error) == ["RateLimitError", "RateLimitError"]
    assert len({future.result() for future in futures if not future.exception()}) == 1
    assert len(server.requests) == 3


def test_a_cancelled_task_leaves_the_others_waiting(server: OpenAIServer, recording: Recording) -> None:
    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key=API_KEY) as client:
            messages: Any = [{"role": "user", "content": "Foo"}]
            tasks = [
                asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=messages)) for _ in range(3)
            ]
            while not server.requests:
                await asyncio.sleep(0.01)
            tasks[1].cancel()
            await asyncio.sleep(0.01)
            server.gate.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    server.gate.clear()
    with recording("record"):
        first, cancelled, third = asyncio.run(run())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert first.to_dict() == third.to_dict()
    assert len(server.requests) == 1


def test_a_blocking_call_does_not_wait_for_a_task_of_its_own_thread(server: OpenAIServer, recording: Recording) -> None:
    async def run() -> tuple[str, str]:
        with client_of(server.url) as blocking:
            async with openai.AsyncOpenAI(base_url=server.url, api_key=API_KEY) as client:
                messages: Any = [{"role": "user", "content": "Foo"}]
                create: Any = client.chat.completions.create
                task = asyncio.create_task(create(model="gpt-4o", messages=messages))
                while not server.requests:
                    await asyncio.sleep(0.01)
                answer = ask(blocking)
                return answer, (await task).choices[0].message.content

    with recording("record"):
        blocking, awaited = asyncio.run(run())
    assert blocking == awaited
