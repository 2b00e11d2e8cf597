"""What a workflow gives: exactly one output, which becomes an object."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_llmops.records.run import RunResult

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

Run = Callable[..., RunResult]

YIELD = """
from pydantic import BaseModel

@dataclass
class Entity:
    name: str

@dataclass
class Entities:
    found: list[Entity]

class Model(BaseModel):
    found: list[str]

@executor(id="first")
async def first(word: str, ctx: WorkflowContext[str, Any]) -> None:
    {first}
    await ctx.send_message(word)

class Second(Executor):
    @handler
    async def go(self, word: str, ctx: WorkflowContext[Never, Any]) -> None:
        {second}

def create_workflow():
    second = Second(id="second")
    return WorkflowBuilder(start_executor=first).add_edge(first, second).build()

def aggregate(rows):
    return {{"n": len(rows), "first": rows[0]["output"]}}
"""
DATA = [{"word": "a"}]
MAPPING = {"word": "${data.word}"}


def module(second: str, first: str = "pass") -> str:
    return YIELD.format(first=first, second=second)


def yielding(value: str) -> str:
    return module(f"await ctx.yield_output({value})")


@pytest.mark.parametrize(
    ("value", "output"),
    [
        ("word", {"output": "a"}),
        ("[word, 1]", {"output": ["a", 1]}),
        ("None", {"output": None}),
        ("{'loud': word}", {"loud": "a"}),
        ("{'found': [Entity(word)]}", {"found": [{"name": "a"}]}),
        ("Entities([Entity(word)])", {"found": [{"name": "a"}]}),
        ("[Entity(word)]", {"output": [{"name": "a"}]}),
        ("Model(found=[word])", {"found": ["a"]}),
        ("Message('assistant', [word])", {"output": "a"}),
    ],
)
def test_what_is_yielded_becomes_an_object(run: Run, value: str, output: object) -> None:
    (row,) = run(yielding(value), data=DATA, column_mapping=MAPPING).rows
    assert (row.error, row.output) == (None, output)


@pytest.mark.parametrize(
    ("value", "names", "output", "error"),
    [
        ("word", ("loud",), {"loud": "a"}, None),
        ("{'loud': word, 'more': 1}", ("loud",), {"loud": "a", "more": 1}, None),
        (
            "word",
            ("loud", "clear"),
            None,
            "The workflow gave a str, and the flow it stands for gives 'loud', 'clear': yield a dict",
        ),
        (
            "{'loud': word}",
            ("loud", "clear"),
            None,
            "The workflow's output has no 'clear', which the flow it stands for gives",
        ),
    ],
)
def test_a_candidate_gives_what_the_flow_gives(
    run: Run, value: str, names: tuple[str, ...], output: object, error: str | None
) -> None:
    (row,) = run(yielding(value), names, data=DATA, column_mapping=MAPPING).rows
    assert (row.output, row.error) == (output, error)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (module("pass"), "The workflow gave no output: an executor has to call ctx.yield_output"),
        (
            module("await ctx.yield_output(2)", first="await ctx.yield_output(1)"),
            "The workflow gave 2 outputs, from 'first', 'second', and a row has one: name the executor that gives it "
            "with WorkflowBuilder(output_from=[...])",
        ),
        (
            module("await ctx.request_info({}, str)"),
            "The workflow waits for an answer (request_info), and nobody answers while rows are run: have "
            "create_workflow leave out what asks",
        ),
        (module("raise ValueError('boom')"), "Execution failure in 'second': (ValueError) boom"),
        (module("pass", first="1 / 0"), "Execution failure in 'first': (ZeroDivisionError) division by zero"),
        (module("exit(3)"), "the flow called sys.exit(3)"),
        (
            module(
                "from agent_framework.exceptions import AgentFrameworkException as Problem\n"
                "        one, two = Problem('one'), Problem('two')\n"
                "        one.__cause__, two.__cause__ = two, one\n"
                "        raise one"
            ),
            "Execution failure in 'second': (AgentFrameworkException) two",
        ),
        (
            module("from agent_framework import AgentSession; await ctx.yield_output(AgentSession())"),
            "The workflow gave AgentSession, which is no answer: yield a str, a dict, a dataclass, a pydantic model, "
            "or an agent's response",
        ),
        (
            module(
                "from agent_framework import AgentExecutorRequest\n"
                "        await ctx.yield_output({'it': AgentExecutorRequest(messages=[])})"
            ),
            "The workflow gave AgentExecutorRequest, which is no answer: yield a str, a dict, a dataclass, a pydantic "
            "model, or an agent's response",
        ),
        (
            yielding("{'it': object()}"),
            "The output 'it' for flow is incorrect. The output value is not JSON serializable. JSON dump failed: "
            "(TypeError) Object of type object is not JSON serializable. Please verify your flow output and make sure "
            "the value serializable.",
        ),
    ],
)
def test_a_row_that_fails_says_where_and_why(run: Run, text: str, error: str) -> None:
    result = run(text, data=DATA, column_mapping=MAPPING)
    assert result.status == "Completed"
    assert [row.error for row in result.rows] == [error]


def test_a_row_that_fails_leaves_the_others_alone(run: Run) -> None:
    text = module("await ctx.yield_output(1 / (word != 'bad'))")
    result = run(text, data=[{"word": "a"}, {"word": "bad"}, {"word": "b"}], column_mapping=MAPPING)
    assert [row.output for row in result.rows] == [{"output": 1.0}, None, {"output": 1.0}]
    assert result.rows[1].error == "Execution failure in 'second': (ZeroDivisionError) division by zero"


def test_intermediate_outputs_are_none(run: Run) -> None:
    """As of a chain of agents, of which each yields what it says."""
    text = module("await ctx.yield_output(2)", first="await ctx.yield_output(1)")
    text = text.replace("start_executor=first", "start_executor=first, output_from=[second]")
    (row,) = run(text, data=DATA, column_mapping=MAPPING).rows
    assert row.output == {"output": 2}


def test_metrics_come_from_aggregate(run: Run) -> None:
    result = run(yielding("word"), data=[{"word": "a"}, {"word": "b"}], column_mapping=MAPPING)
    assert (result.metrics, result.aggregation_error) == ({"n": 2, "first": "a"}, None)


@pytest.mark.parametrize(
    ("aggregate", "metrics", "error"),
    [
        ("__import__('functools').partial(lambda name, rows: {name: len(rows)}, 'n')", {"n": 1}, None),
        ("3", {}, "Execution failure in 'aggregate': (TypeError) 'int' object is not callable"),
    ],
)
def test_aggregate_may_be_anything_that_can_be_called(
    run: Run, aggregate: str, metrics: dict[str, int], error: str | None
) -> None:
    result = run(f"{yielding('word')}\naggregate = {aggregate}", data=DATA, column_mapping=MAPPING)
    assert (result.metrics, result.aggregation_error) == (metrics, error)
