"""LLM nodes, prompts, ``.prompty`` files and clients of flex flows, against an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_llmops.records.experiment import Connection
from pytest_llmops.records.run import LLM, RunResult, Tokens, Variant

Run = Callable[..., RunResult]
KEY = "key-of-test"
QUESTIONS = [{"question": "a?"}, {"question": "b?"}]


class LLMStub(Protocol):
    """The fixture's server; ``requests`` holds path, headers and body."""

    url: str
    requests: list[tuple[str, dict[str, str], dict[str, Any]]]


def openai(stub: LLMStub, name: str = "llm") -> Connection:
    return Connection(
        name=name, type="OpenAIConnection", values={"api_endpoint": f"{stub.url}/v1"}, secrets={"api_key": KEY}
    )


def azure(stub: LLMStub) -> Connection:
    return Connection(
        name="azure",
        type="AzureOpenAIConnection",
        values={"api_endpoint": stub.url, "api_version": "2024-06-01"},
        secrets={"api_key": "key-of-test"},
    )


def only_output(result: RunResult) -> object:
    assert (result.status, result.error, [row.error for row in result.rows]) == ("Completed", None, [None])
    return result.rows[0].output


def test_prompt_and_llm_nodes_with_tokens(run: Run, llm_stub: LLMStub) -> None:
    result = run("answer", data=QUESTIONS, connections=(openai(llm_stub),))
    assert [row.output for row in result.rows] == [
        {"answer": "echo: Question: a?", "prompt": "Question: a?"},
        {"answer": "echo: Question: b?", "prompt": "Question: b?"},
    ]
    used = Tokens(prompt=11, completion=7, total=18)
    assert [(row.tokens, row.usage) for row in result.rows] == [(used, {"tiny": used})] * 2
    assert result.llm_calls == 2
    path, headers, body = llm_stub.requests[0]
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer key-of-test")
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("tiny", 0, 16)


def test_overrides_of_an_llm_node(run: Run, llm_stub: LLMStub) -> None:
    variant = Variant(overrides={"ask.temperature": 0.7, "ask.model": "other", "ask.connection": "second"})
    only_output(run("answer", data=QUESTIONS[:1], connections=(openai(llm_stub, "second"),), variant=variant))
    _, _, body = llm_stub.requests[0]
    assert (body["model"], body["temperature"]) == ("other", 0.7)


def test_azure_openai(run: Run, llm_stub: LLMStub) -> None:
    result = run("answer_azure", data=QUESTIONS[:1], connections=(azure(llm_stub),))
    assert only_output(result) == {"answer": "echo: a?"}
    path, headers, _ = llm_stub.requests[0]
    assert path == "/openai/deployments/mini/chat/completions?api-version=2024-06-01"
    assert headers["api-key"] == "key-of-test"


def test_prompty_finds_its_connection(run: Run, llm_stub: LLMStub) -> None:
    result = run("prompty/ask.prompty", data=QUESTIONS[:1], connections=(openai(llm_stub),))
    assert only_output(result) == {"output": "echo: a?"}
    assert result.rows[0].inputs == {"question": "a?", "tone": "kind"}
    assert result.rows[0].usage == {"tiny": Tokens(prompt=11, completion=7, total=18)}
    _, _, body = llm_stub.requests[0]
    assert body["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "a?"}]


def test_prompty_with_its_model_in_the_environment(run: Run, llm_stub: LLMStub) -> None:
    variables = {"LLMOPS_TEST_ENDPOINT": llm_stub.url, "LLMOPS_TEST_API_KEY": "key-of-test"}
    result = run("prompty/from_environment.prompty", data=QUESTIONS[:1], environment_variables=variables)
    assert only_output(result) == {"output": "echo: a?"}


def test_model_configuration_of_a_flex_class_finds_its_connection(run: Run, llm_stub: LLMStub) -> None:
    init = {"model_config": {"connection": "llm", "model": "tiny"}}
    result = run("flex_model", data=QUESTIONS[:1], connections=(openai(llm_stub),), variant=Variant(init=init))
    assert only_output(result) == {"answer": "echo: a?"}
    assert result.rows[0].usage == {"tiny": Tokens(prompt=11, completion=7, total=18)}


def test_client_of_promptflow_finds_connections(run: Run) -> None:
    known = Connection(name="llm", type="OpenAIConnection", values={"base_url": "http://x"}, secrets={"api_key": KEY})
    result = run("flex_model/by_client.flex.yaml", data=[{"question": "llm"}, {"question": "lm"}], connections=(known,))
    assert [row.output for row in result.rows] == [
        {"type": "OpenAIConnection", "base_url": "http://x", "key": KEY},
        None,
    ]
    assert result.rows[1].error == (
        "Execution failure in 'ask_client': (RunError) connection 'lm' is not configured; did you mean 'llm'?"
    )


@pytest.mark.parametrize(
    ("connections", "error"),
    [
        ((), "connection 'azure' is not configured; add it to 'connections:'"),
        (
            (Connection(name="azur", type="AzureOpenAIConnection", values={}),),
            "connection 'azure' is not configured; did you mean 'azur'?",
        ),
        (
            (Connection(name="azure", type="azure_open_ai", values={"api_base": "https://x"}),),
            "connection 'azure' has no api_key; set AZURE_API_KEY",
        ),
        (
            (Connection(name="azure", type="AzureOpenAIConnection", values={}),),
            "connection 'azure' has no api_key and no api_base; set AZURE_API_KEY, AZURE_API_BASE",
        ),
    ],
)
def test_connection_that_can_not_be_used(run: Run, connections: tuple[Connection, ...], error: str) -> None:
    result = run("answer_azure", data=QUESTIONS[:1], connections=connections)
    assert result.status == "Failed"
    prefix = "Tool load failed in 'ask': (GetConnectionError) Get connection 'azure' for node 'ask' error: "
    assert result.error == prefix + error


def test_connection_of_unknown_type(run: Run) -> None:
    result = run("answer_azure", data=QUESTIONS[:1], connections=(Connection(name="azure", type="Azur", values={}),))
    assert result.error is not None
    assert "connection 'azure' has the unknown type 'Azur'; use AzureAIServicesConnection, " in result.error


def test_connection_that_nobody_uses_may_be_incomplete(run: Run) -> None:
    unused = Connection(name="other", type="no type at all", values={})
    assert run("triage", data=[{"text": "invoice", "gold": "billing"}], connections=(unused,)).status == "Completed"


def test_record_then_replay_without_keys(run: Run, llm_stub: LLMStub, tmp_path: Path) -> None:
    cassette = tmp_path / "answer.json"
    recorded = run("answer", data=QUESTIONS, connections=(openai(llm_stub),), llm=LLM(mode="record", cassette=cassette))
    assert (recorded.error, len(llm_stub.requests)) == (None, 2)
    assert "key-of-test" not in cassette.read_text(encoding="utf-8")
    bare = Connection(name="llm", type="OpenAIConnection", values={})
    replayed = run("answer", data=QUESTIONS, connections=(bare,), llm=LLM(mode="replay", cassette=cassette))
    assert [row.output for row in replayed.rows] == [row.output for row in recorded.rows]
    assert len(llm_stub.requests) == 2


@pytest.mark.parametrize(
    "source", ["answer", "answer_azure", "prompty/ask.prompty", "prompty/from_environment.prompty"]
)
def test_replay_miss_fails_the_row_and_is_listed(run: Run, tmp_path: Path, source: str) -> None:
    cassette = tmp_path / "empty.json"
    connections = (
        Connection(name="llm", type="OpenAIConnection", values={}),
        Connection(name="azure", type="AzureOpenAIConnection", values={"auth_mode": "meid_token"}),
    )
    result = run(source, data=QUESTIONS[:1], connections=connections, llm=LLM(mode="replay", cassette=cassette))
    assert (result.status, len(result.failed), len(result.misses)) == ("Completed", 1, 1)
