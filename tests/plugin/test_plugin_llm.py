"""LLM answers in a session: recorded once, replayed without a key or a network, and what a miss says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai_server import OpenAIServer, serving
from project import Project

FLOW = """
inputs:
  word: {type: string}
outputs:
  loud: {type: string, reference: "${ask.output}"}
nodes:
- name: ask
  type: llm
  source: {type: code, path: ask.jinja2}
  inputs: {model: tiny, temperature: 0, word: "${inputs.word}"}
  connection: stub
  provider: OpenAI
  api: chat
  module: promptflow.tools.openai
"""
PROMPT = "# user:\nSay {{word}}\n"
CONNECTIONS = """
connections:
- {name: stub, connection_type: OpenAIConnection, base_url: "${url}", api_key: "${key}"}
"""
CASSETTE = "cassettes/asked.json"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with serving() as running:
        running.answers = {f"Say {word}": f"{word.upper()}!" for word in ("one", "two", "three", "four", "five")}
        monkeypatch.setenv("STUB_URL", running.url)
        monkeypatch.setenv("STUB_KEY", "sk-very-secret-key")
        yield running


@pytest.fixture
def asking(project: Project) -> Project:
    project.write("flows/asked/flow.dag.yaml", FLOW)
    project.write("flows/asked/ask.jinja2", PROMPT)
    project.replace("experiment.yaml", "flow: shout:shout", "flow: asked")
    project.write("experiment.yaml", (project.folder / "experiment.yaml").read_text(encoding="utf-8") + CONNECTIONS)
    return project


@pytest.mark.slow
def test_what_was_recorded_is_replayed_without_key_or_server(
    asking: Project, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking.run("--llmops-llm", "record").assert_outcomes(passed=2)
    assert len(server.requests) == 4
    assert "sk-very-secret-key" not in (asking.folder / CASSETTE).read_text(encoding="utf-8")
    recorded = asking.report()["cells"][0]["run"]["rows"]

    monkeypatch.delenv("STUB_URL")
    monkeypatch.delenv("STUB_KEY")
    asking.run().assert_outcomes(passed=2)
    replayed = asking.report()["cells"][0]["run"]["rows"]
    assert len(server.requests) == 4
    assert [row["output"] for row in replayed] == [row["output"] for row in recorded]


@pytest.mark.slow
def test_a_miss_is_an_error_that_says_what_to_do(asking: Project, server: OpenAIServer) -> None:
    asking.run("--llmops-llm", "record")
    asking.replace("words.jsonl", '"one"', '"five"')
    result = asking.run()
    result.stdout.fnmatch_lines(
        [
            "ERROR run[[]asked-words-default] (n = 4)",
            "1 of 4 LLM calls are not in cassettes/asked.json; record them with --llmops-llm auto. First miss: *"
            "Nearest recorded request: *'Say *",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED

    result = asking.run("--llmops-llm", "auto", "--llmops-threshold", "compare.accuracy=>= 0.5")
    assert result.ret == pytest.ExitCode.OK
    assert len(server.requests) == 5


def test_without_a_cassette_every_call_is_a_miss(asking: Project) -> None:
    result = asking.run()
    result.stdout.fnmatch_lines(["4 of 4 LLM calls are not in cassettes/asked.json; record them with *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_live_run_without_a_key_stops_before_anything_runs(asking: Project) -> None:
    result = asking.run("--llmops-llm", "live")
    result.stdout.fnmatch_lines(
        [
            "evals/shouting/experiment.yaml:*: connections.stub.base_url: needs the environment variable stub_url or "
            "STUB_URL, which is not set; set it, or use recorded answers: --llmops-llm replay",
        ]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
