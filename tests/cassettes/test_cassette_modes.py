"""What each mode asks of the server, and what it answers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import openai
import pytest

from pytest_llmops import cassettes
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.run import LLM, CassetteMiss

if TYPE_CHECKING:
    from openai_server import OpenAIServer

    from tests.cassettes.conftest import Recording

API_KEY = "sk-secret-0123456789abcdef"
NOWHERE = "http://127.0.0.1:9/v1"


def client_of(base_url: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=API_KEY, **options)


def ask(client: openai.OpenAI, text: str = "Foo", **options: Any) -> str:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.0, **options)
    return str(answer.choices[0].message.content)


def message_of(error: openai.APIError) -> str:
    body: Any = error.body
    return str(body["message"])


def chat(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Foo"}]).to_dict()


def chat_stream(client: openai.OpenAI) -> Any:
    messages = [{"role": "user", "content": "Foo \u2028 \U0001f600"}]
    with client.chat.completions.create(model="gpt-4o", messages=messages, stream=True) as stream:
        return [chunk.to_dict() for chunk in stream]


def raw_chat_stream(client: openai.OpenAI) -> Any:
    messages = [{"role": "user", "content": "Foo"}]
    create = client.chat.completions.with_streaming_response.create
    with create(model="gpt-4o", messages=messages, stream=True) as response:
        return list(response.iter_lines())


def completion(client: openai.OpenAI) -> Any:
    return client.completions.create(model="babbage", prompt="Foo").to_dict()


def embedding(client: openai.OpenAI) -> Any:
    return client.embeddings.create(model="ada", input=["Foo"]).to_dict()


def float_embedding(client: openai.OpenAI) -> Any:
    return client.embeddings.create(model="ada", input="Foo", encoding_format="float").to_dict()


def response(client: openai.OpenAI) -> Any:
    return client.responses.create(model="gpt-4o", input="Foo").to_dict()


def response_stream(client: openai.OpenAI) -> Any:
    with client.responses.create(model="gpt-4o", input="Foo", stream=True) as stream:
        return [event.to_dict() for event in stream]


OPERATIONS = [
    chat,
    chat_stream,
    raw_chat_stream,
    completion,
    embedding,
    float_embedding,
    response,
    response_stream,
]
HTTP_CLIENTS: dict[str, Callable[[], Any]] = {"own": lambda: None, "httpx": httpx.Client, "httpx2": httpx2.Client}


@pytest.mark.parametrize("http_client", HTTP_CLIENTS.values(), ids=HTTP_CLIENTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_replay_gives_what_the_recorded_run_gave(
    server: OpenAIServer,
    recording: Recording,
    operation: Callable[[openai.OpenAI], Any],
    http_client: Callable[[], Any],
) -> None:
    with client_of(server.url, http_client=http_client()) as client, recording("record") as recorder:
        recorded = operation(client)
        assert (recorder.calls, recorder.misses) == (1, [])
    with recording("replay") as recorder, client_of(NOWHERE, http_client=http_client()) as client:
        assert operation(client) == recorded
        assert (recorder.calls, recorder.misses) == (1, [])
    assert len(server.requests) == 1


def test_async_clients_record_and_replay(server: OpenAIServer, recording: Recording) -> None:
    async def run(base_url: str, **options: Any) -> Any:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=API_KEY, **options) as client:
            messages: Any = [{"role": "user", "content": "Foo"}]
            create: Any = client.chat.completions.create
            whole = await asyncio.gather(*(create(model="gpt-4o", messages=messages) for _ in range(8)))
            stream = await create(model="gpt-4o", messages=messages, stream=True)
            return [answer.to_dict() for answer in whole], [chunk.to_dict() async for chunk in stream]

    with recording("auto"):
        recorded = asyncio.run(run(server.url))
    assert len(server.requests) == 2
    with recording("replay") as recorder:
        assert asyncio.run(run(NOWHERE)) == recorded
        assert asyncio.run(run(NOWHERE, http_client=httpx.AsyncClient())) == recorded
        assert recorder.calls == 18


def test_azure_deployments_are_part_of_the_request(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    def azure(endpoint: str, deployment: str) -> openai.AzureOpenAI:
        return openai.AzureOpenAI(
            azure_endpoint=endpoint, azure_deployment=deployment, api_key=API_KEY, api_version="2024-06-01"
        )

    with recording("record"), azure(server.url, "east") as client:
        recorded = ask(client)
    assert server.requests[0][0] == "/v1/openai/deployments/east/chat/completions?api-version=2024-06-01"
    (entry,) = json.loads(cassette.read_text(encoding="utf-8"))["entries"].values()
    assert (entry["operation"], entry["deployment"]) == ("chat/completions", "east")
    with recording("replay") as recorder, azure("http://127.0.0.1:9", "east") as client:
        assert ask(client) == recorded
        with pytest.raises(openai.NotFoundError):
            ask(azure("http://127.0.0.1:9", "west"))
        assert recorder.misses[0].nearest == "deployment: 'east' recorded, 'west' asked"


def test_live_only_counts(server: OpenAIServer) -> None:
    recorder = cassettes.install(LLM(mode="live"))
    with client_of(server.url) as client:
        assert ask(client) != ask(client)
        client.models.list()
    recorder.close()
    assert (recorder.calls, recorder.misses) == (2, [])


def test_auto_asks_for_what_is_not_there(server: OpenAIServer, recording: Recording) -> None:
    with client_of(server.url) as client:
        with recording("auto"):
            first = ask(client, "one")
        with recording("auto"):
            assert ask(client, "one") == first
            second = ask(client, "two")
        with recording("replay"):
            assert [ask(client, "one"), ask(client, "two")] == [first, second]
    assert len(server.requests) == 2


def test_record_asks_again_and_keeps_other_entries(server: OpenAIServer, recording: Recording) -> None:
    with client_of(server.url) as client:
        with recording("auto"):
            old, other = ask(client, "one"), ask(client, "other")
        with recording("record"):
            new = ask(client, "one")
            assert ask(client, "one") == new
        assert new != old
        with recording("replay"):
            assert [ask(client, "one"), ask(client, "other")] == [new, other]
    assert len(server.requests) == 3


def test_processes_of_one_recording_ask_once(server: OpenAIServer, recording: Recording) -> None:
    with client_of(server.url) as client:
        with recording("record", session="monday"):
            first = ask(client)
        with recording("record", session="monday"):
            assert ask(client) == first
        with recording("record", session="tuesday"):
            assert ask(client) != first
    assert len(server.requests) == 2


def test_refusals_pass_through_and_are_not_recorded(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    server.failures = 1
    with recording("auto") as recorder, client_of(server.url) as client:
        assert ask(client).startswith("answer 2")
        assert recorder.calls == 2
    assert len(json.loads(cassette.read_text(encoding="utf-8"))["entries"]) == 1


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("error in disguise", "it is an error with a status of success"),
        ("not JSON", "Expecting value: line 1 column 1 (char 0)"),
        ("early end", "its stream ended early"),
        ("what is my key?", "its events spell a credential in pieces"),
    ],
)
def test_what_is_no_answer_is_not_recorded(
    server: OpenAIServer,
    recording: Recording,
    cassette: Path,
    caplog: pytest.LogCaptureFixture,
    prompt: str,
    reason: str,
) -> None:
    stream = prompt in ("early end", "what is my key?")
    with recording("record"), client_of(server.url) as client:
        client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=stream
        )
    assert not cassette.exists()
    assert caplog.messages == [f"{cassette}: an answer is not recorded: {reason}"]


def test_a_miss_says_what_is_nearest(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    with recording("record"), client_of(server.url) as client:
        for text in ("Foo", "Something else", "a b c"):
            ask(client, text)
    with recording("replay") as recorder, client_of(server.url) as client, pytest.raises(openai.NotFoundError) as miss:
        ask(client, "Foo bar")
    line = (
        f"{cassette}: no recorded answer to chat/completions gpt-4o 'Foo bar'; the nearest recorded request differs in "
        "messages[1].content: 'Foo' recorded, 'Foo bar' asked; record it with --llmops-llm auto"
    )
    assert miss.value.body == {"message": line, "type": "cassette_miss", "param": None, "code": "cassette_miss"}
    assert recorder.misses == [
        CassetteMiss(
            cassette=str(cassette),
            request="chat/completions gpt-4o 'Foo bar'",
            nearest="messages[1].content: 'Foo' recorded, 'Foo bar' asked",
        )
    ]
    assert len(server.requests) == 3


def test_only_the_first_misses_are_explained(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    with recording("record"), client_of(server.url) as client:
        ask(client)
    with recording("replay") as recorder, client_of(NOWHERE) as client:
        for number in range(5):
            with pytest.raises(openai.NotFoundError) as miss:
                ask(client, f"Bar {number}")
    assert [bool(miss.nearest) for miss in recorder.misses] == [True, True, True, False, False]
    assert message_of(miss.value) == (
        f"{cassette}: no recorded answer to chat/completions gpt-4o 'Bar 4'; record it with --llmops-llm auto"
    )


def test_without_a_cassette_every_call_is_a_miss(recording: Recording, cassette: Path) -> None:
    with recording("replay") as recorder, client_of(NOWHERE) as client:
        started = time.perf_counter()
        with pytest.raises(openai.NotFoundError) as miss:
            ask(client)
        assert time.perf_counter() - started < 1
    assert message_of(miss.value) == (
        f"{cassette}: no such file, so there is no recorded answer to chat/completions gpt-4o 'Foo'; "
        "record it with --llmops-llm auto"
    )
    assert len(recorder.misses) == 1
    assert not cassette.parent.exists()


def test_replay_refuses_what_else_the_openai_client_asks_for(
    server: OpenAIServer, recording: Recording, cassette: Path
) -> None:
    with recording("replay") as recorder, client_of(server.url) as client, pytest.raises(openai.NotFoundError) as error:
        client.models.list()
    assert message_of(error.value) == (
        f"{cassette}: GET /v1/models can't be replayed, only chat/completions, completions, embeddings, responses can; "
        "leave it out of the flow, or run with --llmops-llm live"
    )
    assert recorder.misses == [CassetteMiss(cassette=str(cassette), request="GET /v1/models, which can't be replayed")]
    assert recorder.calls == 1


def test_replay_holds_whatever_transport_a_client_has(recording: Recording) -> None:
    def leave_the_machine(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    http_client = httpx.Client(transport=httpx.MockTransport(leave_the_machine))
    with (
        recording("replay"),
        client_of(NOWHERE, http_client=http_client) as client,
        pytest.raises(openai.NotFoundError),
    ):
        ask(client)


@pytest.mark.parametrize("mode", ["live", "replay", "record", "auto"])
def test_other_http_traffic_is_left_alone(server: OpenAIServer, recording: Recording, mode: str) -> None:
    with recording(mode) as recorder, httpx.Client() as old, httpx2.Client() as new:
        assert old.post(f"{server.url}/search", json={"query": "x"}).json() == {"path": "/v1/search"}
        assert new.get(f"{server.url}/anything").status_code == 200
        assert (recorder.calls, recorder.misses) == (0, [])


def test_a_client_that_is_older_than_the_recorder_is_seen_and_released(
    server: OpenAIServer, recording: Recording
) -> None:
    with client_of(server.url) as client:
        with recording("replay"), pytest.raises(openai.NotFoundError):
            ask(client)
        assert ask(client).startswith("answer 1")


def test_a_mode_without_cassette_is_an_error() -> None:
    with pytest.raises(
        LLMOpsError, match=r"^--llmops-llm replay: there is no cassette; give the path of one, or use live$"
    ):
        cassettes.install(LLM(mode="replay"))


PROMPTFLOW_MISS = """
import sys, time
from pathlib import Path
from promptflow.connections import OpenAIConnection
from promptflow.tools.openai import OpenAI
from pytest_llmops import cassettes
from pytest_llmops.records.run import LLM

recorder = cassettes.install(LLM(mode="replay", cassette=Path("ner.json")))
tool = OpenAI(OpenAIConnection(api_key="none", base_url="http://127.0.0.1:9/v1"))
started = time.perf_counter()
try:
    tool.chat(prompt="# user:\\nFoo", model="gpt-4o")
except Exception as error:
    print(time.perf_counter() - started < 1, len(recorder.misses), error)
"""


def test_promptflow_tools_fail_at_once_on_a_miss(tmp_path: Path) -> None:
    quiet = {"APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true", "PF_HOME_DIRECTORY": str(tmp_path)}
    (tmp_path / "pf.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-c", PROMPTFLOW_MISS],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, **quiet, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.startswith(
        f"True 1 OpenAI API hits NotFoundError: Error code: 404 - {tmp_path / 'ner.json'}: no such file, "
        "so there is no recorded answer to chat/completions gpt-4o 'Foo'; record it with --llmops-llm auto"
    )
