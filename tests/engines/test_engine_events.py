"""What workers tell, how it becomes a result, and the texts that go into it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from pytest_llmops.engines import events
from pytest_llmops.engines.environment import placeholders, resolve_variables
from pytest_llmops.engines.exact import exact_json
from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.text import did_you_mean, first_line, headline, one_line
from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Connection
from pytest_llmops.records.run import Outcome, Reads, Row, Tokens
from pytest_llmops.secrets import redact


def test_an_outcome_comes_back_as_it_was() -> None:
    tokens = Tokens(prompt=1, completion=2, total=3)
    row = Row(line_number=3, inputs={"q": "ä"}, output={"a": [1, "\ud800"]}, duration=0.5, tokens=tokens)
    row = replace(row, usage={"m": tokens}, uncounted=1)
    reads = Reads(files={"../x.py": "ab", "gone": None}, variables={"MODEL": None})
    for outcome in (Outcome(row=row), Outcome(row=row, aggregation="[1]"), Outcome(row=row, aggregation=None)):
        event = events.decode(events.finished(outcome, reads))
        assert events.outcome_of(event, {3: row.inputs}) == outcome
        assert events.reads_of(event) == reads
    assert events.reads_of(events.decode(events.finished(Outcome(row=row)))) == Reads()


def test_metrics_that_json_lacks() -> None:
    class Scalar:
        def tolist(self) -> float:
            return 0.5

    metrics = {"nan": math.nan, "inf": math.inf, "scalar": Scalar(), "other": {1}}
    decoded = dict(events.decode(events.summary(aggregation=Aggregation(metrics=metrics)))["metrics"])
    assert math.isnan(decoded.pop("nan"))
    assert decoded == {"inf": math.inf, "scalar": 0.5, "other": "{1}"}


@pytest.mark.parametrize("output", [{"a": object()}, {("tuple",): 1}])
def test_output_that_json_can_not_hold(output: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        events.finished(Outcome(row=Row(line_number=0, inputs={}, output=output)))


def test_torn_line_before_the_news_of_a_death() -> None:
    torn = events.finished(Outcome(row=Row(line_number=1, inputs={}, output={})))[:20]
    heard = [events.decode(line) for line in (torn + events.died("died (signal 9)", "x", [1])).splitlines()]
    assert heard == [{}, {"event": "died", "how": "died (signal 9)", "last_output": "x", "under_way": [1]}]


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, "x", [], [1, [None]], {}, {"b": 1, "a": {"c": [0.1]}}, [math.nan, math.inf]]
)
def test_json_that_is_exact(value: object) -> None:
    text = exact_json(value)
    assert text is not None
    assert repr(json.loads(text)) == repr(value)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, {"a": {1}}, [Text("x")], object(), b"x", {"a": ()}])
def test_what_json_would_change(value: object) -> None:
    assert exact_json(value) is None


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("one\ntwo", "one"),
        ("\n\n  one  \ntwo", "one"),
        ("Failed, details:\n\n  why\nmore", "Failed, details: why"),
        ("only:", "only:"),
        ("", ""),
    ],
)
def test_headline(message: str, line: str) -> None:
    assert headline(message) == line


@pytest.mark.parametrize(("message", "line"), [("one \ntwo", "one "), ("\n \none:\ntwo", "one:"), ("\n", ""), ("", "")])
def test_first_line(message: str, line: str) -> None:
    assert first_line(message) == line


def test_short_texts() -> None:
    assert one_line(ValueError("a\nb")) == "(ValueError) a"
    assert one_line(ValueError()) == "(ValueError)"
    assert did_you_mean("nmae", ["name", "other"]) == "; did you mean 'name'?"
    assert did_you_mean("zzz", ["name"]) == ""
    assert redact("abcdefg abcd x", ["abcd", "abcdefg", "x"]) == "*** *** x"


def test_variables_that_refer_to_connections() -> None:
    connection = Connection(name="c", type="custom", values={"url": "http://x"}, secrets={"key": "k"})
    variables = {"A": "${c.key}", "B": " ${c.url} ", "C": "${c.none}", "D": "x ${c.key}", "E": "plain"}
    assert resolve_variables(variables, [connection]) == {
        "A": "k", "B": "http://x", "C": "${c.none}", "D": "x ${c.key}", "E": "plain",
    }  # fmt: skip
    assert resolve_variables(variables, [connection], "replay").keys() == {"A", "B", "D", "E"}
    with pytest.raises(RunError, match=r"^environment variable A refers to connection 'c', which is not configured$"):
        resolve_variables(variables, [])


def test_placeholders_only_where_answers_are_recorded() -> None:
    assert placeholders("live") == placeholders("record") == {}
    assert placeholders("auto") == placeholders("replay")
    assert placeholders("replay")["AZURE_OPENAI_ENDPOINT"] == "http://llm.invalid/v1"
