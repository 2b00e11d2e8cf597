"""LLM calls of agents over HTTP: recorded, replayed, counted, limited and repeated as those of any flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_server import TOKENS
from openai_server import OpenAIServer

from pytest_llmops.records.experiment import Connection
from pytest_llmops.records.run import LLM, RunResult, Tokens

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

Run = Callable[..., RunResult]

CLIENTS = pytest.mark.parametrize("client", ["OpenAIChatClient", "OpenAIChatCompletionClient"])
CLIENT = """
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient

def client():
    return {client}(model="m", api_key=os.environ["KEY"], base_url=os.environ["URL"])
"""
ASK = """
class Ask(Executor):
    @handler
    async def go(self, word: str, ctx: WorkflowContext[Never, Any]) -> None:
        await ctx.yield_output(await Agent(client()).run(word))

def create_workflow():
    return WorkflowBuilder(start_executor=Ask(id="ask")).build()
"""
STREAM = ASK.replace(
    "await Agent(client()).run(word)", "await Agent(client()).run(word, stream=True).get_final_response()"
)
SHARED = ASK.replace("class Ask", "SHARED = client()\n\nclass Ask").replace("Agent(client())", "Agent(SHARED)")
CHAIN = """
def create_workflow():
    first, last = Agent(client(), name="first"), Agent(client(), name="last")
    return WorkflowBuilder(start_executor=first{options}).add_edge(first, last).build()
"""
STRUCTURED = """
from pydantic import BaseModel

class Titles(BaseModel):
    titles: list[str]

def create_workflow():
    agent = Agent(client(), name="only", default_options={"response_format": Titles})
    return WorkflowBuilder(start_executor=agent).build()
"""
MANY = """
import asyncio

class Ask(Executor):
    @handler
    async def go(self, word: str, ctx: WorkflowContext[Never, int]) -> None:
        answers = await asyncio.gather(*(Agent(client()).run(f"{word} {n}") for n in range(4)))
        await ctx.yield_output(len(answers))

def create_workflow():
    return WorkflowBuilder(start_executor=Ask(id="ask")).build()
"""
WORDS = [{"word": word} for word in ("a", "b", "c")]


def module(client: str, text: str = ASK) -> str:
    return CLIENT.replace("{client}", client) + text


def request(server: OpenAIServer, **fields: Any) -> dict[str, Any]:
    """Return the fields of a run whose key comes from a connection."""
    connection = Connection(
        name="llm", type="OpenAIConnection", values={"base_url": server.url}, secrets={"api_key": "sk-very-secret-key"}
    )
    return {
        "data": WORDS,
        "column_mapping": {"word": "${data.word}"},
        "connections": (connection,),
        "environment_variables": {"KEY": "${llm.api_key}", "URL": "${llm.base_url}"},
        **fields,
    }


def outputs(result: RunResult) -> list[object]:
    assert (result.error, [row.error for row in result.rows]) == (None, [None] * len(result.rows))
    return [row.output for row in result.rows]


@CLIENTS
@pytest.mark.parametrize("text", [ASK, STREAM], ids=["whole", "streamed"])
def test_answers_are_recorded_and_replayed_with_nothing_listening(
    run: Run, server: OpenAIServer, tmp_path: Path, client: str, text: str
) -> None:
    server.answers = {word: f"said {word}" for word in "abc"}
    cassette = tmp_path / "asked.json"
    recorded = run(module(client, text), **request(server, llm=LLM(mode="record", cassette=cassette)))
    assert outputs(recorded) == [{"output": f"said {word}"} for word in "abc"]
    assert (recorded.llm_calls, len(server.requests)) == (3, 3)
    assert "sk-very-secret-key" not in cassette.read_text(encoding="utf-8")

    elsewhere = {"KEY": "none", "URL": "http://127.0.0.1:9/v1"}
    replayed = run(
        module(client, text),
        **request(server, llm=LLM(mode="replay", cassette=cassette), environment_variables=elsewhere, connections=()),
    )
    assert outputs(replayed) == outputs(recorded)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("client", "arguments"),
    [
        ("OpenAIChatClient", "'m'"),
        ("OpenAIChatCompletionClient", "'m'"),
        ("OpenAIChatClient", "'m', azure_endpoint=os.environ['AZURE_OPENAI_ENDPOINT']"),
        ("OpenAIChatCompletionClient", "'m', azure_endpoint=os.environ['AZURE_OPENAI_ENDPOINT']"),
    ],
)
def test_a_replay_needs_neither_keys_nor_addresses(
    run: Run, server: OpenAIServer, tmp_path: Path, client: str, arguments: str
) -> None:
    text = f"from agent_framework.openai import {client}\n\ndef client():\n    return {client}({arguments})\n" + ASK
    keys = {"OPENAI_API_KEY": "none", "AZURE_OPENAI_API_KEY": "none"}
    keys |= (
        {"AZURE_OPENAI_ENDPOINT": server.url.removesuffix("/v1")}
        if "azure" in arguments
        else {"OPENAI_BASE_URL": server.url}
    )
    fields: dict[str, Any] = {"data": WORDS, "column_mapping": {"word": "${data.word}"}}
    asked, cassette = len(WORDS), tmp_path / "asked.json"
    recorded = run(text, llm=LLM(mode="record", cassette=cassette), environment_variables=keys, **fields)
    replayed = run(text, llm=LLM(mode="replay", cassette=cassette), **fields)
    assert outputs(replayed) == outputs(recorded)
    assert len(server.requests) == asked


@CLIENTS
def test_tokens_are_counted_by_model(run: Run, server: OpenAIServer, client: str) -> None:
    result = run(module(client), **request(server))
    model = "m" if client == "OpenAIChatClient" else "m-2024"
    used = Tokens(prompt=11, completion=7, total=TOKENS)
    assert [(row.error, row.tokens, row.usage) for row in result.rows] == [(None, used, {model: used})] * 3


@CLIENTS
def test_a_call_that_is_refused_is_made_again(run: Run, server: OpenAIServer, client: str) -> None:
    """More often than the client does by itself."""
    server.failures = 5
    server.refusal = (429, {"error": {"message": "slow down"}}, {"retry-after": "0.01"})
    assert len(outputs(run(module(client), **request(server, data=WORDS[:1])))) == 1
    assert len(server.requests) == 6


def test_calls_of_all_rows_keep_to_the_limit(run: Run, server: OpenAIServer) -> None:
    server.delay = 0.03
    result = run(module("OpenAIChatClient", MANY), **request(server, concurrency=3))
    assert outputs(result) == [{"output": 4}] * 3
    assert (len(server.requests), server.peak) == (12, 3)


@CLIENTS
def test_rows_may_share_a_client(run: Run, server: OpenAIServer, client: str) -> None:
    """One that the module makes when it is imported, though each row has an event loop of its own."""
    server.delay = 0.01
    data = [{"word": f"word {number}"} for number in range(40)]
    result = run(module(client, SHARED), **request(server, data=data, concurrency=8, line_timeout=20))
    assert len(outputs(result)) == 40
    assert len(server.requests) == 40


@CLIENTS
def test_of_a_chain_of_agents_one_gives_the_output(run: Run, server: OpenAIServer, client: str) -> None:
    server.answers = {"a": "first words", "first words": "last words"}
    chained = module(client, CHAIN)
    whole = run(chained.replace("{options}", ""), **request(server, data=WORDS[:1]))
    assert [row.error for row in whole.rows] == [
        "The workflow gave 2 outputs, from 'first', 'last', and a row has one: name the executor that gives it with "
        "WorkflowBuilder(output_from=[...])"
    ]
    last = run(chained.replace("{options}", ", output_from=[last]"), **request(server, data=WORDS[:1]))
    assert outputs(last) == [{"output": "last words"}]
    assert last.rows[0].tokens.total == 2 * TOKENS


@CLIENTS
def test_a_structured_answer_is_an_object(run: Run, server: OpenAIServer, client: str) -> None:
    server.answers = {"a": '{"titles": ["baker"]}'}
    result = run(module(client, STRUCTURED), **request(server, data=WORDS[:1]))
    assert outputs(result) == [{"titles": ["baker"]}]


@CLIENTS
def test_an_error_of_the_service_names_the_executor_and_no_key(run: Run, server: OpenAIServer, client: str) -> None:
    server.failures = 1
    server.refusal = (401, {"error": {"message": "wrong key sk-very-secret-key"}}, {})
    result = run(module(client), **request(server, data=WORDS[:1]))
    assert [row.error for row in result.rows] == [
        "Execution failure in 'ask': (AuthenticationError) Error code: 401 - wrong key ***"
    ]


@CLIENTS
def test_a_miss_fails_its_row(run: Run, server: OpenAIServer, tmp_path: Path, client: str) -> None:
    replay = LLM(mode="replay", cassette=tmp_path / "empty.json")
    result = run(module(client), **request(server, llm=replay, data=WORDS[:1]))
    assert (len(result.failed), len(result.misses), len(server.requests)) == (1, 1, 0)
    assert result.rows[0].error is not None
    assert result.rows[0].error.startswith("Execution failure in 'ask': (")


def test_a_connection_that_can_not_be_closed_costs_no_row_and_keeps_no_other_open(run: Run) -> None:
    text = """
import httpx2
from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler
from typing_extensions import Never

closed = []

class Stubborn(httpx2.AsyncHTTPTransport):
    async def aclose(self):
        closed.append(self)
        raise RuntimeError("stuck")

class Ask(Executor):
    @handler
    async def go(self, word: str, ctx: WorkflowContext[Never, int]) -> None:
        before = len(closed)
        for transport in (Stubborn(), Stubborn()):
            try:
                await httpx2.AsyncClient(transport=transport).get("http://127.0.0.1:9")
            except httpx2.ConnectError:
                pass
        await ctx.yield_output(before)

def create_workflow():
    return WorkflowBuilder(start_executor=Ask(id="ask")).build()
"""
    result = run(text, data=WORDS, column_mapping={"word": "${data.word}"}, concurrency=1)
    assert outputs(result) == [{"output": 2 * row} for row in range(len(WORDS))]
