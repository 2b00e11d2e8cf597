"""Workflows in sessions: as candidates and as evaluators, reused, and resumed after a session was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from openai_server import OpenAIServer
from project import Project

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

WORKFLOW = """
from pathlib import Path
from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler
from typing_extensions import Never
from loudness import louder


class Shout(Executor):
    @handler
    async def shout(self, word: str, ctx: WorkflowContext[Never, str]) -> None:
        with (Path(__file__).parents[1] / "calls.txt").open("a") as calls:
            calls.write(word + "\\n")
        await ctx.yield_output(louder(word))


def create_workflow(id: str = "shout"):
    return WorkflowBuilder(start_executor=Shout(id=id)).build()
"""
LOUDNESS = "def louder(word):\n    return word.upper() + '!'\n"
EVALUATOR = """
from dataclasses import dataclass
from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler
from typing_extensions import Never


@dataclass
class Pair:
    answer: str
    gold: str


class Compare(Executor):
    @handler
    async def compare(self, pair: Pair, ctx: WorkflowContext[Never, dict]) -> None:
        await ctx.yield_output({"correct": float(pair.answer == pair.gold)})


def create_workflow():
    return WorkflowBuilder(start_executor=Compare(id="compare")).build()


def aggregate(rows):
    return {"accuracy": sum(row["correct"] for row in rows) / len(rows)}
"""
CANDIDATE = """
llmops:
  candidates:
  - name: agents
    flow: shout_agents
    engine: agent-framework
    init: {id: loud}
    parity: {margin: 0.05}
"""
ASK = """
import os
from agent_framework import Agent, WorkflowBuilder
from agent_framework.openai import OpenAIChatCompletionClient


def create_workflow():
    client = OpenAIChatCompletionClient(model="m", api_key="none", base_url=os.environ["LLM_URL"])
    return WorkflowBuilder(start_executor=Agent(client, name="shout")).build()
"""
ROWS = 60
AT_ONCE = 8


@pytest.fixture
def agents(project: Project) -> Project:
    """Give the use case with its flow as a workflow."""
    project.write("shout_agents/workflow.py", WORKFLOW)
    project.write("shout_agents/loudness.py", LOUDNESS)
    project.replace("experiment.yaml", "flow: shout:shout", "flow: shout_agents")
    project.replace("experiment.yaml", "run.outputs.loud", "run.outputs.output")
    return project


def outputs(project: Project, cell: int = 0) -> list[object]:
    return [row["output"] for row in project.report()["cells"][cell]["run"]["rows"]]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["plain", "xdist"])
def test_a_candidate_gives_the_outputs_of_the_flow_by_their_names(project: Project, arguments: tuple[str, ...]) -> None:
    project.write("shout_agents/workflow.py", WORKFLOW)
    project.write("shout_agents/loudness.py", LOUDNESS)
    flow = """
    inputs: {word: {type: string}}
    outputs: {loud: {type: string, reference: "${shout.output}"}}
    nodes:
    - {name: shout, type: python, source: {type: code, path: tool.py}, inputs: {word: "${inputs.word}"}}
    """
    project.write("shout_flow/flow.dag.yaml", flow)
    tool = "from promptflow.core import tool\n\n\n@tool\ndef shout(word: str) -> str:\n    return word.upper() + '!'\n"
    project.write("shout_flow/tool.py", tool)
    project.replace("experiment.yaml", "flow: shout:shout", "flow: shout_flow")
    project.write("experiment.yaml", (project.folder / "experiment.yaml").read_text(encoding="utf-8") + CANDIDATE)
    assert project.run(*arguments).ret == pytest.ExitCode.OK
    said = [{"loud": f"{word}!"} for word in ("ONE", "TWO", "THREE", "FOUR")]
    assert [outputs(project, cell) for cell in (0, 1)] == [said, said]


def test_what_is_known_is_not_run_again_until_a_file_of_the_folder_changes(agents: Project) -> None:
    assert agents.run().ret == pytest.ExitCode.OK
    assert agents.calls() == ["four", "one", "three", "two"]
    assert agents.run().ret == pytest.ExitCode.OK
    assert len(agents.calls()) == 4

    agents.replace("shout_agents/loudness.py", "upper() + '!'", "upper() + '?'")
    agents.run("--llmops-plan").stdout.fnmatch_lines(["*flow file loudness.py changed*"])
    assert agents.run().ret == pytest.ExitCode.TESTS_FAILED
    assert len(agents.calls()) == 8
    assert outputs(agents)[0] == {"output": "ONE?"}

    agents.replace("shout_agents/workflow.py", 'id: str = "shout"', 'id: str = "loud"')
    agents.run("--llmops-plan").stdout.fnmatch_lines(["*flow file workflow.py changed*"])


def test_a_workflow_may_evaluate(project: Project) -> None:
    project.write("compare_agents/workflow.py", EVALUATOR)
    project.replace("experiment.yaml", "flow: compare:compare", "flow: compare_agents")
    assert project.run().ret == pytest.ExitCode.OK
    (cell,) = project.report()["cells"]
    assert cell["evaluations"]["compare"]["result"]["metrics"] == {"accuracy": 0.75}


def test_what_does_not_fit_is_said_once(agents: Project) -> None:
    agents.replace("experiment.yaml", 'mappings: {word: "${data.word}"}', "mappings: {}")
    result = agents.run()
    result.stdout.fnmatch_lines(
        ["*start executor 'shout' takes str, and the mapping gives none; map one input, such as text: ${data.text}*"]
    )
    assert not (agents.folder / "calls.txt").exists()


def test_a_session_of_workflows_never_imports_prompt_flow(agents: Project) -> None:
    seen = "import sys\n\n\ndef louder(word):\n    return 'promptflow' in sys.modules\n"
    agents.write("shout_agents/loudness.py", seen)
    agents.run()
    assert outputs(agents) == [{"output": False}] * 4


def test_calls_are_priced(agents: Project, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_URL", server.url)
    agents.write("shout_agents/workflow.py", ASK)
    prices = "llmops:\n  prices: {m-2024: {prompt: 1000, completion: 10000}}\n  thresholds: {run.cost: '<= 1'}\n"
    agents.write("experiment.yaml", (agents.folder / "experiment.yaml").read_text(encoding="utf-8") + prices)
    agents.run("--llmops-llm", "live")
    (cost,) = [gate["value"] for gate in agents.report("gate.json")["gates"] if gate["item"].startswith("run.cost")]
    assert cost == pytest.approx(4 * (11 * 1000 + 7 * 10000) / 1e6)


@pytest.mark.slow
def test_a_killed_session_is_resumed(agents: Project, server: OpenAIServer) -> None:
    words = [f"word {number}" for number in range(ROWS)]
    agents.write("shout_agents/workflow.py", ASK)
    agents.write_rows("words.jsonl", [{"word": word, "gold": f"said {word}"} for word in words])
    server.answers = {word: f"said {word}" for word in words}
    server.delay = 0.05

    def session() -> subprocess.Popen[bytes]:
        options = ["--llmops-llm", "live", "--llmops-concurrency", str(AT_ONCE), "-q", "-p", "no:cacheprovider"]
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "evals", *options],
            cwd=agents.path,
            env={**os.environ, "LLM_URL": server.url},
            stdout=subprocess.DEVNULL,
        )

    killed = session()
    while len(server.requests) < ROWS // 2:
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert session().wait() == 0
    paid = Counter(body["messages"][-1]["content"] for _, body in server.requests)
    assert set(paid) == set(words)
    assert sum(paid.values()) - ROWS <= AT_ONCE
    assert outputs(agents) == [{"output": f"said {word}"} for word in words]
