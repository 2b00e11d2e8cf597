"""What a workflow takes: mapped inputs become the message of its start executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_llmops.records.run import RunResult

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

Run = Callable[..., RunResult]

START = """
@dataclass
class Sentence:
    text: str
    times: int = 1
    tags: list = field(default_factory=list)

@dataclass
class Pair:
    text: str
    gold: str

class Typed(TypedDict):
    text: str

class Odd:
    pass

from pydantic import BaseModel

class Model(BaseModel):
    text: str
    times: int = 1

class Start(Executor):
    @handler
    async def go(self, message: {kind}, ctx: WorkflowContext[Never, dict]) -> None:
        await ctx.yield_output({{"kind": type(message).__name__, "message": str(message)}})

def create_workflow():
    return WorkflowBuilder(start_executor=Start(id="start")).build()
"""
SEVERAL = """
class Also(Start):
    @handler
    async def text(self, message: str, ctx: WorkflowContext[Never, dict]) -> None:
        await ctx.yield_output({"kind": "str", "message": message})

def create_workflow():
    return WorkflowBuilder(start_executor=Also(id="start")).build()
"""
DATA = [{"text": "a", "times": "2", "gold": "b"}]
TEXT = {"text": "${data.text}"}
BOTH = {**TEXT, "times": "${data.times}"}


@pytest.mark.parametrize(
    ("kind", "mapping", "said"),
    [
        ("Sentence", BOTH, ("Sentence", "Sentence(text='a', times=2, tags=[])")),
        ("Sentence", {}, ("Sentence", "Sentence(text='a', times=1, tags=[])")),
        ("Model", BOTH, ("Model", "text='a' times=2")),
        ("dict", BOTH, ("dict", "{'text': 'a', 'times': '2'}")),
        ("dict[str, int]", {"times": "${data.times}"}, ("dict", "{'times': 2}")),
        ("Any", BOTH, ("dict", "{'text': 'a', 'times': '2'}")),
        ("str", {"question": "${data.text}"}, ("str", "a")),
        ("str | None", TEXT, ("str", "a")),
        ("int", {"n": "${data.times}"}, ("int", "2")),
        ("list", {"words": '["a", "b"]'}, ("list", "['a', 'b']")),
    ],
)
def test_mapped_inputs_become_what_the_start_executor_takes(
    run: Run, kind: str, mapping: dict[str, Any], said: tuple[str, str]
) -> None:
    result = run(START.format(kind=kind), data=DATA, column_mapping=mapping)
    assert (result.error, [row.error for row in result.rows]) == (None, [None])
    assert result.rows[0].output == dict(zip(("kind", "message"), said, strict=True))


@pytest.mark.parametrize(
    ("mapping", "kind"), [(TEXT, "Sentence"), (BOTH, "Sentence"), ({"word": "${data.text}"}, "str")]
)
def test_of_several_handlers_the_one_that_fits_is_chosen(run: Run, mapping: dict[str, str], kind: str) -> None:
    result = run(START.format(kind="Sentence") + SEVERAL, data=DATA, column_mapping=mapping)
    assert result.error is None
    assert result.rows[0].output is not None
    assert result.rows[0].output["kind"] == kind


@pytest.mark.parametrize(
    ("kind", "mapping", "error"),
    [
        (
            "Sentence",
            {"txt": "${data.text}"},
            "start executor 'start' takes Sentence(text, times, tags), and that has no field 'txt'; "
            "did you mean 'text'?",
        ),
        (
            "Sentence",
            {"quite": "${data.text}"},
            "start executor 'start' takes Sentence(text, times, tags), and that has no field 'quite'",
        ),
        ("str", BOTH, "start executor 'start' takes str, and the mapping gives 'text', 'times'; map one input, such as "
        "text: ${data.text}"),
        ("str", {}, "start executor 'start' takes str, and the mapping gives none; map one input, such as "
        "text: ${data.text}"),
        ("dict", {}, "start executor 'start' takes dict, and the mapping gives none; map at least one input"),
        (
            "Sentence | str",
            {"a": 1, "b": 2},
            "start executor 'start' takes Sentence(text, times, tags) or str, and the mapping gives 'a', 'b'; "
            "map what one of them needs",
        ),
        (
            "Odd",
            TEXT,
            "start executor 'start' takes Odd, which no row can be made into; have it take a dataclass, a pydantic "
            "model, dict or str",
        ),
        (
            "Typed",
            TEXT,
            "start executor 'start' takes Typed, which no row can be made into; have it take a dataclass, a pydantic "
            "model, dict or str",
        ),
        ("Sentence", {"text": "${data.words}"}, "the column mapping reads what the data does not have: ${data.words}"),
    ],
)  # fmt: skip
def test_what_does_not_fit_fails_the_run_before_any_row(
    run: Run, kind: str, mapping: dict[str, Any], error: str
) -> None:
    result = run(START.format(kind=kind), data=DATA, column_mapping=mapping)
    assert (result.status, result.error, result.rows) == ("Failed", error, ())


def test_a_required_field_that_nothing_gives_fails_the_run(run: Run) -> None:
    result = run(START.format(kind="Pair"), data=[{"text": "a"}], column_mapping=TEXT)
    assert result.error == (
        "start executor 'start' takes Pair(text, gold), and nothing gives 'gold'; map it, or give the field a default"
    )


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (
            "Sentence",
            "The input for flow is incorrect. The value for flow input 'times' does not match the expected type 'int'. "
            "Please change flow input type or adjust the input value in your input data.",
        ),
        (
            "Model",
            "The input for flow is incorrect. Model: times: Input should be a valid integer, unable to parse string as "
            "an integer",
        ),
    ],
)
def test_a_value_that_does_not_fit_fails_its_row_alone(run: Run, kind: str, error: str) -> None:
    data = [*DATA, {"text": "b", "times": "many"}]
    result = run(START.format(kind=kind), data=data, column_mapping=BOTH)
    assert [row.error for row in result.rows] == [None, error]
