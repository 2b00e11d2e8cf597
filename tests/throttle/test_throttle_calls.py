"""Real clients against a service that refuses, fails and recovers."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import openai
import pytest

from pytest_llmops import cassettes
from pytest_llmops.records.run import LLM
from pytest_llmops.throttle import LimitServer

if TYPE_CHECKING:
    from openai_server import OpenAIServer

    from tests.throttle.conftest import Throttling

TRY = {"retry-after-ms": "1"}
QUOTA = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}
MESSAGES: Any = [{"role": "user", "content": "Foo"}]


def client_of(service: OpenAIServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=service.url, api_key="sk-0123456789", **options)


def async_client_of(service: OpenAIServer, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=service.url, api_key="sk-0123456789", **options)


def ask(client: openai.OpenAI) -> str:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    return str(answer.choices[0].message.content)


async def ask_async(client: openai.AsyncOpenAI) -> str:
    answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    return str(answer.choices[0].message.content)


def message_of(error: openai.APIError) -> str:
    body: Any = error.body
    return str(body["message"])


def test_a_refused_call_is_made_again(service: OpenAIServer, throttling: Throttling) -> None:
    throttle = throttling()
    service.failures = 3
    assert ask(client_of(service, max_retries=0)) == "answer 4 to Foo"
    assert (throttle.usage.calls, throttle.usage.retries) == (1, 3)
    assert throttle.usage.backed_off == pytest.approx(0.003)


def test_an_async_call_is_made_again(service: OpenAIServer, throttling: Throttling) -> None:
    throttle = throttling()
    service.failures = 3

    async def ask_once() -> str:
        async with async_client_of(service, max_retries=0) as client:
            return await ask_async(client)

    assert asyncio.run(ask_once()) == "answer 4 to Foo"
    assert (throttle.usage.calls, throttle.usage.retries) == (1, 3)


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_both_http_libraries_are_throttled(module: Any, service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    service.failures = 1
    body = {"model": "gpt-4o", "messages": MESSAGES}
    with module.Client() as client:
        assert client.post(f"{service.url}/chat/completions", json=body).json()["choices"]


def test_other_requests_pass(service: OpenAIServer, throttling: Throttling) -> None:
    throttle = throttling()
    service.failures = 1
    assert httpx.post(f"{service.url}/search", json={}).status_code == 429
    assert throttle.usage.calls == 0


def test_a_permanent_refusal_ends_after_the_attempts_that_were_asked_for(
    service: OpenAIServer, throttling: Throttling
) -> None:
    throttling(retries=2)
    service.failures = 100
    with pytest.raises(openai.RateLimitError) as raised:
        ask(client_of(service))
    assert message_of(raised.value) == (
        "gave up after 3 attempts in 0 s: 429 slow down; raise --llmops-llm-retries or lower --llmops-concurrency"
    )
    assert len(service.requests) == 3


def test_a_permanent_fault_of_the_service_ends_as_well(service: OpenAIServer, throttling: Throttling) -> None:
    throttling(retries=1)
    service.failures, service.refusal = 100, (503, {"error": {"message": "overloaded"}}, TRY)
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client_of(service))
    assert raised.value.status_code == 424
    assert message_of(raised.value) == ("gave up after 2 attempts in 0 s: 503 overloaded; raise --llmops-llm-retries")
    assert len(service.requests) == 2


def test_a_service_that_hangs_up_is_tried_again(service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    service.failures, service.refusal = 1, (0, None, {})
    assert ask(client_of(service, max_retries=0)) == "answer 2 to Foo"


def test_a_service_that_is_not_there_ends_as_a_clear_error(throttling: Throttling) -> None:
    throttling(retries=0)
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none")
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client)
    assert message_of(raised.value) == (
        "gave up after 1 attempt in 0 s: no answer from 127.0.0.1: ConnectError: "
        f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}; raise --llmops-llm-retries"
    )


def test_a_used_up_quota_is_not_tried_again(service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    service.failures, service.refusal = 100, (429, QUOTA, TRY)
    with pytest.raises(openai.RateLimitError, match="429 You exceeded your current quota; the service rules out"):
        ask(client_of(service))
    assert len(service.requests) == 1


def test_a_mistake_of_the_request_comes_through_as_it_is(service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    service.failures, service.refusal = 100, (400, {"error": {"message": "no such parameter"}}, {})
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client_of(service))
    assert message_of(raised.value) == "no such parameter"
    assert len(service.requests) == 1


def test_streams_are_made_again_and_come_whole(service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    service.failures = 1
    with client_of(service).chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "answer 2 to Foo"


def test_async_streams_are_made_again_and_come_whole(service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    service.failures = 1

    async def text() -> str:
        async with async_client_of(service) as client:
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(text()) == "answer 2 to Foo"


def test_raw_streams_can_be_read_byte_by_byte(service: OpenAIServer, throttling: Throttling) -> None:
    throttling()
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    with httpx.stream("POST", f"{service.url}/chat/completions", json=body) as response:
        assert response.headers["x-request-id"] == "req_private"
        assert b"".join(response.iter_raw()).endswith(b"data: [DONE]\r\n\r\n")


def test_a_call_within_the_stream_of_another_needs_no_second_slot(
    service: OpenAIServer, throttling: Throttling
) -> None:
    throttling(limit=1)
    client = client_of(service)
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        assert all(ask(client) for _ in stream)
    assert service.peak == 1


def test_threads_and_tasks_share_one_limit(service: OpenAIServer, throttling: Throttling) -> None:
    throttling(limit=3)
    service.delay = 0.01

    async def ask_often() -> None:
        async with async_client_of(service) as client:
            await asyncio.gather(*(ask_async(client) for _ in range(10)))

    client = client_of(service)
    with ThreadPoolExecutor(10) as pool:
        tasks = pool.submit(asyncio.run, ask_often())
        assert all(pool.map(lambda _: ask(client), range(10)))
        tasks.result()
    assert len(service.requests) == 20
    assert service.peak == 3


def test_the_event_loop_runs_on_while_calls_wait_for_a_slot(service: OpenAIServer, throttling: Throttling) -> None:
    throttling(limit=1)
    service.gate.clear()

    async def ask_twice() -> list[str]:
        async with async_client_of(service) as client:
            calls = [asyncio.create_task(ask_async(client)) for _ in range(2)]
            while not service.requests:
                await asyncio.sleep(0.005)
            service.gate.set()  # Only a loop that is not blocked comes here.
            return await asyncio.gather(*calls)

    assert len(asyncio.run(ask_twice())) == 2
    assert service.peak == 1


def test_a_call_that_blocks_the_loop_does_not_wait_for_the_tasks_that_it_stops(
    service: OpenAIServer, throttling: Throttling
) -> None:
    throttling(limit=1)
    service.gate.clear()

    async def ask_both_ways() -> tuple[str, str]:
        async with async_client_of(service) as client:
            task = asyncio.create_task(ask_async(client))
            while not service.requests:
                await asyncio.sleep(0.005)
            service.gate.set()
            return ask(client_of(service)), await task

    assert all(asyncio.run(ask_both_ways()))


def test_a_cancelled_task_leaves_the_queue(service: OpenAIServer, throttling: Throttling) -> None:
    throttling(limit=1)
    service.gate.clear()

    async def cancel_one() -> list[str]:
        async with async_client_of(service) as client:
            first, second, third = [asyncio.create_task(ask_async(client)) for _ in range(3)]
            while not service.requests:
                await asyncio.sleep(0.005)
            second.cancel()
            service.gate.set()
            return [await first, await third]

    assert len(asyncio.run(cancel_one())) == 2
    assert len(service.requests) == 2


def test_a_storm_of_refusals_passes(service: OpenAIServer, throttling: Throttling) -> None:
    throttle = throttling(limit=16)
    service.capacity, service.delay = 2, 0.005
    service.refusal = (429, {"error": {"message": "slow down"}}, {"retry-after": "0.05"})
    client = client_of(service, max_retries=0)
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: ask(client), range(100)))
    assert service.peak == 2
    assert service.refused == throttle.usage.retries
    # 14 + 6 + 2 while the limit falls to 2, and the few probes of 3 since then.
    assert service.refused < 40


def test_a_retrying_call_holds_no_slot(service: OpenAIServer, throttling: Throttling) -> None:
    throttling(limit=1)
    service.failures, service.refusal = 1, (503, {"error": {"message": "busy"}}, {"retry-after": "0.2"})
    client = client_of(service)
    finished: list[str] = []
    slow = threading.Thread(target=lambda: finished.append(f"slow {ask(client)}"))
    slow.start()
    while not service.requests:
        time.sleep(0.001)
    finished.append(f"quick {ask(client)}")
    slow.join()
    assert finished == ["quick answer 2 to Foo", "slow answer 3 to Foo"]


def test_a_recording_holds_the_final_answer_and_a_replay_takes_no_slot(
    service: OpenAIServer, throttling: Throttling, tmp_path: Path, one_slot: LimitServer
) -> None:
    throttle = throttling(one_slot.address)
    path = tmp_path / "cassette.json"
    recorder = cassettes.install(LLM(mode="record", cassette=path))
    service.failures = 2
    assert ask(client_of(service)) == "answer 3 to Foo"
    recorder.close()
    assert len(json.loads(path.read_text(encoding="utf-8"))["entries"]) == 1
    recorder = cassettes.install(LLM(mode="replay", cassette=path))
    one_slot.close()
    assert ask(client_of(service)) == "answer 3 to Foo"
    recorder.close()
    assert (throttle.usage.calls, throttle.usage.retries) == (1, 2)


def test_nothing_is_left_behind(service: OpenAIServer, throttling: Throttling) -> None:
    sends = httpx.Client.send, httpx.AsyncClient.send, httpx2.Client.send, httpx2.AsyncClient.send
    throttle = throttling()
    assert sends[0] is not httpx.Client.send
    throttle.close()
    throttle.close()
    assert sends == (httpx.Client.send, httpx.AsyncClient.send, httpx2.Client.send, httpx2.AsyncClient.send)
    assert not [thread for thread in threading.enumerate() if "_serve" in thread.name or "_welcome" in thread.name]
