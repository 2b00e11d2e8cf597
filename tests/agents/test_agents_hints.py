"""Fields of a message are converted by their type hints, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunResult

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

Run = Callable[..., RunResult]

START = """
from collections.abc import Mapping, Sequence
from dataclasses import InitVar
from typing import TYPE_CHECKING, ClassVar, Optional
from pydantic import BaseModel

if TYPE_CHECKING:
    from decimal import Decimal

@dataclass
class Inner:
    n: int = 1

class Model(BaseModel):
    n: int

@dataclass
class In:
    {fields}

class Start(Executor):
    @handler
    async def go(self, message: In, ctx: WorkflowContext[Never, dict]) -> None:
        await ctx.yield_output({{"it": repr(message)}})

def create_workflow():
    return WorkflowBuilder(start_executor=Start(id="start")).build()
"""


@pytest.fixture
def convert(run: Run) -> Callable[..., str | None]:
    """Give a function that returns the message made of values for the fields of a dataclass, or the row's error."""

    def make(fields: str, *rows: dict[str, Any]) -> str | None:
        mapping = {name: f"${{data.{name}}}" for name in rows[0]}
        result = run(START.format(fields=fields), data=rows, column_mapping=mapping)
        assert result.error is None
        row = result.rows[-1]
        return row.error if row.output is None else str(row.output["it"])

    return make


@pytest.mark.parametrize(
    ("hint", "value", "made"),
    [
        ("list[str]", '["a", "b"]', "['a', 'b']"),
        ("list[int]", '["1", 2]', "[1, 2]"),
        ("Sequence[str]", '["a"]', "['a']"),
        ("dict[str, Any]", '{"a": 1}', "{'a': 1}"),
        ("Mapping[str, int]", '{"a": "1"}', "{'a': 1}"),
        ("int | None", "3", "3"),
        ("int | None", None, "None"),
        ("Optional[bool]", "true", "True"),
        ("int | str", "3", "'3'"),
        ("Decimal", "3", "'3'"),
        ("Inner", {"n": "2"}, "Inner(n=2)"),
        ("Inner", "{}", "Inner(n=1)"),
        ("Inner | None", None, "None"),
        ("Inner | None", '{"n": 2}', "Inner(n=2)"),
        ("Model", {"n": "2"}, "Model(n=2)"),
        ("list[Inner]", [{"n": 1}, {"n": "2"}], "[Inner(n=1), Inner(n=2)]"),
        ("dict[str, Model]", {"a": {"n": 1}}, "{'a': Model(n=1)}"),
        ("int = None", None, "None"),
        ("int = None", "3", "3"),
    ],
)
def test_a_value_becomes_what_its_hint_says(convert: Callable[..., str], hint: str, value: object, made: str) -> None:
    assert convert(f"it: {hint}", {"it": value}) == f"In(it={made})"


def test_a_hint_that_can_not_be_resolved_leaves_the_others_alone(convert: Callable[..., str]) -> None:
    made = convert("price: Decimal; n: int; tags: list[str]", {"price": "1.5", "n": "3", "tags": '["a"]'})
    assert made == "In(price='1.5', n=3, tags=['a'])"


def test_an_init_var_is_an_input(convert: Callable[..., str]) -> None:
    fields = """text: str
    n: InitVar[int]
    kind: ClassVar[int] = 3
    twice: int = field(init=False, default=0)

    def __post_init__(self, n):
        self.twice = 2 * n
"""
    assert convert(fields, {"text": "a", "n": 3}) == "In(text='a', twice=6)"


@pytest.mark.parametrize(
    ("fields", "value", "error"),
    [
        ("it: Inner", "a", "Inner: it is made of an object, not of str"),
        ("it: Inner", {"m": 1}, "Inner: (TypeError) Inner.__init__() got an unexpected keyword argument 'm'"),
        ("it: Model", {}, "Model: n: Field required"),
        (
            "it: list[int]",
            ["a"],
            "The value for flow input 'it' does not match the expected type 'int'. Please change flow input type or "
            "adjust the input value in your input data.",
        ),
        ("it: str\n    def __post_init__(self): raise ValueError('nope')", "a", "In: (ValueError) nope"),
    ],
)
def test_what_can_not_be_made_is_an_error_of_the_input(
    convert: Callable[..., str], fields: str, value: object, error: str
) -> None:
    assert convert(fields, {"it": value}) == f"The input for flow is incorrect. {error}"


def test_a_table_and_a_base_class_of_another_module(run: Run, write: Callable[..., Flow], tmp_path: Path) -> None:
    """Whose hints mean what that module says; its name is not taken for one of the framework's."""
    folder = write("").folder
    (folder / "agent_framework_mine.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import Optional as Maybe\n"
        "@dataclass\nclass Base:\n    n: Maybe[int]\n"
    )
    text = START.replace("class In:", "class In(Base):").replace("from typing", "from agent_framework_mine import Base\nfrom typing", 1)  # fmt: skip  # noqa: E501
    (tmp_path / "rows.csv").write_text('n,tags\n3,"[""a""]"\n', encoding="utf-8")
    mapping = {"n": "${data.n}", "tags": "${data.tags}"}
    result = run(text.format(fields="tags: list[str]"), data=tmp_path / "rows.csv", column_mapping=mapping)
    assert [(row.error, row.output) for row in result.rows] == [(None, {"it": "In(n=3, tags=['a'])"})]


def test_a_class_of_a_module_named_like_one_of_the_framework_is_an_input_and_an_output(
    run: Run, write: Callable[..., Flow]
) -> None:
    folder = write("").folder
    (folder / "agent_framework_ours.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Ours:\n    text: str\n"
    )
    text = "from agent_framework_ours import Ours\n" + START.format(fields="text: str")
    text = text.replace("message: In", "message: Ours").replace('{"it": repr(message)}', "message")
    result = run(text, data=[{"text": "a"}], column_mapping={"text": "${data.text}"})
    assert [(row.error, row.output) for row in result.rows] == [(None, {"text": "a"})]
