"""Rows share no executor: what one was told in a row must not reach another row."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

from pytest_llmops.engines.agentframework.workflow import SeenBefore
from pytest_llmops.records.run import RunResult

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

Run = Callable[..., RunResult]

NOTES = """
from agent_framework import AgentExecutor, AgentResponse, BaseAgent, WorkflowExecutor

class Notes(Executor):
    def __init__(self, id):
        super().__init__(id=id)
        self.heard = []

    @handler
    async def go(self, word: str, ctx: WorkflowContext[Never, Any]) -> None:
        self.heard.append(word)
        await ctx.yield_output(self.heard)

@executor(id="shout")
async def shout(word: str, ctx: WorkflowContext[str]) -> None:
    await ctx.send_message(word.upper())

class Parrot(BaseAgent):
    async def run(self, messages=None, *, stream=False, session=None, **options):
        return AgentResponse(messages=[Message("assistant", [messages[-1].text])])

def build(start):
    return WorkflowBuilder(start_executor=start).build()

def around(inner):
    sub = WorkflowExecutor(inner, id="sub", allow_direct_output=True)
    return WorkflowBuilder(start_executor=shout).add_edge(shout, sub).build()
"""
ROWS = [{"word": word} for word in "abcd"]
MAPPING = {"word": "${data.word}"}


def shared(what: str) -> str:
    return (
        f"'create_workflow' returned a workflow with the {what} of an earlier one, and each row needs new ones: make "
        "it there"
    )


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ("SHARED = Notes('notes')\ndef create_workflow(): return build(SHARED)", "executor 'notes'"),
        ("SHARED = AgentExecutor(Parrot(name='parrot'))\ndef create_workflow(): return build(SHARED)",
         "executor 'parrot'"),
        ("SHARED = Notes('notes')\ndef create_workflow(): return around(build(SHARED))", "executor 'notes'"),
        ("SHARED = build(Notes('notes'))\ndef create_workflow(): return around(SHARED)",
         "sub-workflow of executor 'sub'"),
        ("SHARED = build(AgentExecutor(Parrot(name='inner'))).as_agent('whole')\n"
         "def create_workflow(): return build(AgentExecutor(SHARED))", "sub-workflow of executor 'whole'"),
        ("SHARED = Parrot(name='parrot').create_session()\ndef create_workflow():\n"
         "    return build(AgentExecutor(Parrot(name='parrot'), session=SHARED))", "session of executor 'parrot'"),
    ],
)  # fmt: skip
def test_a_row_with_something_of_an_earlier_workflow_fails_before_it_runs(run: Run, made: str, what: str) -> None:
    result = run(NOTES + made, data=ROWS, column_mapping=MAPPING)
    assert [row.error for row in result.rows] == [shared(what)] * 4


def test_workflows_that_are_handed_out_in_turn_serve_once(run: Run) -> None:
    text = """
from itertools import cycle
pool = cycle([build(Notes("one")), build(Notes("two"))])

def create_workflow():
    return next(pool)
"""
    result = run(NOTES + text, data=ROWS, column_mapping=MAPPING, concurrency=1)
    error = "'create_workflow' returned the same workflow again, and each row needs a new one: build it there"
    assert [row.error for row in result.rows] == [None, error, error, error]
    assert result.rows[0].output == {"output": ["a"]}


@pytest.mark.parametrize(
    "made",
    [
        "def create_workflow(): return build(Notes('notes'))",
        "def create_workflow(): return around(build(Notes('notes')))",
    ],
)
def test_functions_are_shared_and_new_executors_remember_nothing(run: Run, made: str) -> None:
    result = run(NOTES + made, data=ROWS, column_mapping=MAPPING)
    heard = [row["word"].upper() if "around" in made else row["word"] for row in ROWS]
    assert [(row.error, row.output) for row in result.rows] == [(None, {"output": [word]}) for word in heard]


def test_an_agent_may_be_shared(run: Run) -> None:
    text = "PARROT = Parrot(name='parrot')\ndef create_workflow(): return build(PARROT)"
    result = run(NOTES + text, data=ROWS, column_mapping=MAPPING)
    assert [(row.error, row.output) for row in result.rows] == [(None, {"output": word}) for word in "abcd"]


def test_what_was_seen_is_not_kept_alive() -> None:
    framework = pytest.importorskip("agent_framework")

    class Mute(framework.Executor):  # type: ignore[name-defined, misc]
        @framework.handler(input=str)
        async def go(self, word, ctx):  # type: ignore[no-untyped-def]
            """Say nothing."""

    seen, gone = SeenBefore(), []
    for _ in range(3):
        workflow = framework.WorkflowBuilder(start_executor=Mute(id="mute")).build()
        assert seen.add(workflow) is None
        assert seen.add(workflow) == "workflow"
        gone.append(weakref.ref(workflow))
    del workflow
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3
