"""Tokens of lines, as the service reports them, whichever way a flow asks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openai_server import serving

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.engines.tokens import read_tokens
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest, Tokens

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
STREAM = f'data: {{"choices": []}}\n\ndata: {{"usage": {json.dumps(CHAT)}}}\n\ndata: [DONE]\n'
EVENTS = 'event: response.completed\ndata: {"response": {"usage": {"input_tokens": 3, "output_tokens": 2}}}\n'


@pytest.mark.parametrize("content", [json.dumps({"usage": CHAT}), STREAM, EVENTS])
def test_responses(content: str) -> None:
    assert read_tokens(content.encode()) == Tokens(prompt=3, completion=2, total=5)


@pytest.mark.parametrize("content", ['{"usage": null}', "data: usage", "[1]", ""])
def test_responses_that_tell_nothing(content: str) -> None:
    assert read_tokens(content.encode()) == Tokens()


def test_each_line_has_its_own(engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asking.py").write_text(ASK, encoding="utf-8")
    flow = Flow(name="ask", kind="callable", file=tmp_path / "asking.py", folder=tmp_path, entry="asking:ask")
    hows = ["once", "tasks", "pool", "thread", "never"]
    with serving() as server:
        monkeypatch.setenv("LLM_URL", server.url)
        result = engine.run(RunRequest(flow=flow, data=[{"how": how} for how in hows]))
    assert [row.error for row in result.rows] == [None] * 5
    assert [row.tokens.total for row in result.rows] == [3, 6, 9, 3, 0]
    assert result.llm_calls == 7
