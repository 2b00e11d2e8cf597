"""Tokens of lines, as the service reports them, whichever way a flow asks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openai_server import serving

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.engines.tokens import read_usage
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import LLM, LLMMode, RunRequest, Tokens

ASK = """
import asyncio, os, threading
from concurrent.futures import ThreadPoolExecutor
from openai import AsyncOpenAI, OpenAI

PLACE = dict(base_url=os.environ["LLM_URL"], api_key="none")
client = OpenAI(**PLACE)
pool = ThreadPoolExecutor(2)


def embed(text):
    client.embeddings.create(model="m", input=text)


async def embed_soon(text):
    async with AsyncOpenAI(**PLACE) as soon:
        await asyncio.gather(*(soon.embeddings.create(model="m", input=text + str(n)) for n in range(2)))


def ask(how: str) -> str:
    if how == "once":
        embed(how)
    if how == "tasks":
        asyncio.run(embed_soon(how))
    if how == "pool":
        list(pool.map(embed, "abc"))
    if how == "thread":
        thread = threading.Thread(target=embed, args=(how,))
        thread.start()
        thread.join()
    return how
"""


CHAT = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
STREAM = f'data: {{"choices": []}}\n\ndata: {{"model": "m", "usage": {json.dumps(CHAT)}}}\n\ndata: [DONE]\n'
RESPONSE = '{"response": {"model": "m", "usage": {"input_tokens": 3, "output_tokens": 2}}}'
EVENTS = f"event: response.completed\ndata: {RESPONSE}\n"


@pytest.mark.parametrize("content", [json.dumps({"model": "m", "usage": CHAT}), STREAM, EVENTS])
def test_responses(content: str) -> None:
    assert read_usage(content.encode()) == ("m", Tokens(prompt=3, completion=2, total=5))


@pytest.mark.parametrize("content", ['{"usage": null}', "data: usage", "[1]", "", "data: {}", '{"response": null}'])
def test_responses_that_tell_nothing(content: str) -> None:
    assert read_usage(content.encode()) == ("", None)


def test_tokens_that_are_only_counted_in_all_are_those_of_the_prompt() -> None:
    content = b'{"model": "embedder", "usage": {"total_tokens": 3}}'
    assert read_usage(content) == ("embedder", Tokens(prompt=3, completion=0, total=3))


def test_each_line_has_its_own(engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asking.py").write_text(ASK, encoding="utf-8")
    flow = Flow(name="ask", kind="callable", file=tmp_path / "asking.py", folder=tmp_path, entry="asking:ask")
    hows = ["once", "tasks", "pool", "thread", "never"]
    with serving() as server:
        monkeypatch.setenv("LLM_URL", server.url)
        result = engine.run(RunRequest(flow=flow, data=[{"how": how} for how in hows]))
    assert [row.error for row in result.rows] == [None] * 5
    assert [row.tokens.total for row in result.rows] == [3, 6, 9, 3, 0]
    assert [dict(row.usage) for row in result.rows[3:]] == [{"m": Tokens(prompt=3, total=3)}, {}]
    assert result.llm_calls == 7


SERVE = """
import httpx

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ANSWERS = {
    "named": {"model": "served-1", "usage": USAGE},
    "nameless": {"usage": USAGE},
    "silent": {"model": "served-1"},
    "refusal": None,
}


def answer(request):
    body = ANSWERS[request.headers["kind"]]
    return httpx.Response(400, json={"error": "no"}) if body is None else httpx.Response(200, json=body)


client = httpx.Client(transport=httpx.MockTransport(answer))


def ask(calls: str) -> str:
    for call in calls.split():
        kind, _, model = call.partition(":")
        path = f"deployments/{model}/" if model.startswith("at-") else ""
        body = {} if path or not model else {"model": model}
        client.post(f"http://llm/{path}chat/completions", headers={"kind": kind}, json=body)
    return calls
"""


def test_tokens_are_split_by_model_as_served_or_else_as_asked(engine: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "serving.py").write_text(SERVE, encoding="utf-8")
    flow = Flow(name="ask", kind="callable", file=tmp_path / "serving.py", folder=tmp_path, entry="serving:ask")
    calls = ["named:a named:b nameless:a", "nameless:at-azure nameless", "silent:a refusal:a", "refusal:a"]
    result = engine.run(RunRequest(flow=flow, data=[{"calls": each} for each in calls], llm=LLM(retries=0)))
    once, twice = Tokens(prompt=3, completion=2, total=5), Tokens(prompt=6, completion=4, total=10)
    assert [dict(row.usage) for row in result.rows] == [
        {"served-1": twice, "a": once},
        {"at-azure": once, "": once},
        {},
        {},
    ]
    assert [row.tokens.total for row in result.rows] == [15, 10, 0, 0]
    assert [row.uncounted for row in result.rows] == [0, 0, 1, 0]


def test_recorded_answers_tell_the_model_again(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asking.py").write_text(ASK, encoding="utf-8")
    flow = Flow(name="ask", kind="callable", file=tmp_path / "asking.py", folder=tmp_path, entry="asking:ask")

    def usage(mode: LLMMode) -> list[dict[str, Tokens]]:
        llm = LLM(mode=mode, cassette=tmp_path / "ask.json")
        result = engine.run(RunRequest(flow=flow, data=[{"how": "once"}, {"how": "pool"}], llm=llm))
        return [dict(row.usage) for row in result.rows]

    with serving() as server:
        monkeypatch.setenv("LLM_URL", server.url)
        recorded = usage("record")
    assert recorded == [{"m": Tokens(prompt=3, total=3)}, {"m": Tokens(prompt=9, total=9)}]
    assert usage("replay") == recorded
