"""What workers tell, how it becomes a result, and the texts that go into it."""

from __future__ import annotations

import math

import pytest

from pytest_llmops.engines import events
from pytest_llmops.engines.environment import placeholders, resolve_variables
from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.text import did_you_mean, first_line, headline, one_line
from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Connection
from pytest_llmops.records.run import CassetteMiss, Row, RunResult, Tokens
from pytest_llmops.secrets import redact


def collect(stream: bytes) -> RunResult:
    collector = events.Collector()
    for line in stream.split(b"\n"):
        collector.add(events.decode(line))
    return collector.result(1.5)


def test_complete_run() -> None:
    tokens = Tokens(prompt=1, completion=2, total=3)
    rows = (
        Row(line_number=3, inputs={"q": "ä"}, output={"a": [1, "\ud800"]}, duration=0.5, tokens=tokens),
        Row(line_number=7, inputs={"q": 2}, error="no"),
    )
    miss = CassetteMiss(cassette="c.json", request="r", nearest="n")
    stream = (
        events.started([(7, rows[1].inputs), (3, rows[0].inputs)])
        + events.finished(rows[1])
        + events.finished(rows[0])
        + events.summary(aggregation=Aggregation(metrics={"m": 1, "t": "x"}), llm_calls=4, misses=[miss])
    )
    assert collect(stream) == RunResult(
        status="Completed", rows=rows, metrics={"m": 1, "t": "x"}, duration=1.5, llm_calls=4, misses=(miss,)
    )


def test_run_that_failed() -> None:
    assert collect(events.summary(error="no data")) == RunResult(status="Failed", error="no data", duration=1.5)


def test_metrics_that_json_lacks() -> None:
    class Scalar:
        def item(self) -> float:
            return 0.5

    metrics = {"nan": math.nan, "inf": math.inf, "scalar": Scalar(), "other": {1}}
    result = collect(events.summary(aggregation=Aggregation(metrics=metrics)))
    assert math.isnan(result.metrics.pop("nan"))  # type: ignore[attr-defined]
    assert result.metrics == {"inf": math.inf, "scalar": 0.5, "other": "{1}"}


@pytest.mark.parametrize("output", [{"a": object()}, {("tuple",): 1}])
def test_output_that_json_can_not_hold(output: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        events.finished(Row(line_number=0, inputs={}, output=output))


def test_torn_last_line() -> None:
    stream = events.started([(0, {}), (1, {})]) + events.finished(Row(line_number=0, inputs={}, output={}))
    torn = stream + events.finished(Row(line_number=1, inputs={}, output={}))[:20]
    result = collect(torn + events.died("died (signal 9)"))
    assert [row.error for row in result.rows] == [None, "worker process died (signal 9) before line 1 finished"]
    assert result.aggregation_error == "worker process died (signal 9) before all lines finished"


def test_worker_that_said_nothing() -> None:
    assert collect(b"").error == "worker process died before the flow was loaded"
    assert collect(events.died("died (exit code 1)", "NameError: x")).error == (
        "worker process died (exit code 1) before the flow was loaded; last output: NameError: x"
    )


def test_worker_that_died_while_aggregating() -> None:
    stream = events.started([(0, {})]) + events.finished(Row(line_number=0, inputs={}, output={}))
    result = collect(stream + events.died("died (signal 11)"))
    assert result.failed == ()
    assert result.aggregation_error == "worker process died (signal 11) while it computed the metrics"


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
    with pytest.raises(RunError, match=r"^environment variable A refers to connection 'c', which is not configured$"):
        resolve_variables(variables, [])


def test_placeholders_only_where_answers_are_recorded() -> None:
    assert placeholders("live") == placeholders("record") == {}
    assert placeholders("auto") == placeholders("replay")
    assert placeholders("replay")["AZURE_OPENAI_ENDPOINT"] == "http://llm.invalid/v1"
