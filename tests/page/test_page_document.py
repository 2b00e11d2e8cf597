"""What the page holds: everything of a report, as text and numbers that nothing can act through."""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overview_samples import open_view
from playwright.sync_api import Page
from report_samples import (
    EXPERIMENT,
    FEW_SHOT,
    HOSTILE,
    cell_result,
    comparison,
    metric_gate,
    report,
    reused,
    run_gate,
    unsure_gate,
)

from pytest_llmops.records.experiment import Price
from pytest_llmops.records.gate import CellResult, Repeat
from pytest_llmops.records.report import Report, Shard
from pytest_llmops.records.run import Row, RunResult, Tokens
from pytest_llmops.reports.page import Outcome, Point, Sources, render_page
from pytest_llmops.reports.page.values import DEEPEST, LONGEST, MOST, shown
from pytest_llmops.reports.text import visible

BLOCK = re.compile(r'<script type="application/json" id="(.+?)">(.*?)</script>', re.DOTALL)


def blocks(session: Report, sources: Sources | None = None) -> dict[str, Any]:
    """The data in the page, by the id of its element."""
    found = BLOCK.findall(render_page(session, sources or Sources()))
    assert all("<" not in text for _, text in found)
    return {name: json.loads(text) for name, text in found}


def overview(session: Report, sources: Sources | None = None) -> Any:
    return blocks(session, sources)["llmops-overview"]


def rows(session: Report, sources: Sources | None = None) -> Any:
    return blocks(session, sources)["llmops-rows-0"]


def with_output(output: Any) -> CellResult:
    result = cell_result()
    first, second = result.run.rows
    return replace(result, run=replace(result.run, rows=(replace(first, output=output), second)))


def output_of(session: Report) -> Any:
    return rows(session)["runs"][0]["executions"][0][0][1]


def test_the_overview_has_the_decision_and_every_cell_and_gate() -> None:
    found = overview(report())
    (experiment,) = found["experiments"]
    assert found["line"] == "gate: closed: 1 of 4 gates failed"
    assert (found["shard"], found["reuse"], experiment["baseline"]) == (None, None, None)
    assert [cell["variant"] for cell in experiment["cells"]] == ["terse", "few_shot"]
    assert [(gate["item"], gate["verdict"], gate["closes"]) for gate in experiment["gates"]] == [
        ("run[ner_extract-general-terse]", "PASS", False),
        ("matcher.exact_match_rate[ner_extract-general-terse]", "FAIL", True),
        ("run[ner_extract-general-few_shot]", "PASS", False),
        ("matcher.exact_match_rate[ner_extract-general-few_shot]", "FAIL", False),
    ]


def test_a_cell_has_its_counts_and_distributions() -> None:
    cell = overview(report(cells=(reused(cell_result()),)))["experiments"][0]["cells"][0]
    assert (cell["rows"], cell["failed"], cell["expected"], cell["executions"]) == (2, 1, 2, 1)
    latency = cell["latency"]
    assert {name: latency[name] for name in ("n", "min", "q1", "median", "max", "mean", "sum")} == {
        "n": 2,
        "min": 0.25,
        "q1": 0.3125,
        "median": 0.375,
        "max": 0.5,
        "mean": 0.375,
        "sum": 0.75,
    }
    assert cell["tokens"]["n"] == 1
    assert (cell["cost"], cell["oldest"]) == (None, "2026-08-30T10:00:00+00:00")


@pytest.mark.parametrize(("model", "total"), [("small", 4.0), ("other", None)])
def test_costs_are_shown_where_every_model_has_a_price(model: str, total: float | None) -> None:
    result = cell_result()
    used = {"small": Tokens(prompt=1_000_000, total=1_000_000)}
    run = replace(result.run, rows=tuple(replace(row, usage=used) for row in result.run.rows))
    priced = replace(result, prices={model: Price(prompt=2.0, completion=4.0)}, run=run)
    cost = overview(report(cells=(priced,)))["experiments"][0]["cells"][0]["cost"]
    assert (cost and cost["sum"]) == total


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("run", ("run", "", "")),
        ("run.latency_p50", ("run", "latency_p50", "")),
        ("matcher.f1", ("matcher", "f1", "")),
        ("matcher.f1@language", ("matcher", "f1", "language")),
        ("matcher.recall@5", ("matcher", "recall@5", "")),
        ("matcher.recall@5@language", ("matcher", "recall@5", "language")),
        ("matcher.strict.f1", ("matcher.strict", "f1", "")),
        ("matcher", ("matcher", "", "")),
    ],
)
def test_the_name_of_a_gate_is_taken_apart(name: str, parts: tuple[str, str, str]) -> None:
    result = cell_result()
    matcher = result.evaluations["matcher"]
    result = replace(
        result,
        evaluations={"matcher": matcher, "matcher.strict": replace(matcher, evaluator="matcher.strict")},
        columns={"language": ("de", "en"), "age": ("1", "2")},
    )
    gate = overview(report(metric_gate(name=name), cells=(result,)))["experiments"][0]["gates"][0]
    assert (gate["evaluator"], gate["metric"], gate["by"]) == parts


def test_a_metric_may_be_named_like_a_slice() -> None:
    result = cell_result()
    matcher = result.evaluations["matcher"]
    logged = replace(matcher, result=replace(matcher.result, metrics={"recall@5": 0.5}))
    result = replace(result, evaluations={"matcher": logged}, columns={"5": ("a", "b")})
    gate = overview(report(metric_gate(name="matcher.recall@5"), cells=(result,)))["experiments"][0]["gates"][0]
    assert (gate["metric"], gate["by"]) == ("recall@5", "")


def test_a_gate_has_its_evidence() -> None:
    gate = overview(report(unsure_gate()))["experiments"][0]["gates"][0]
    assert gate["comparison"]["worse"] == ["3", "7", "12", "31"]
    assert gate["bound"] == comparison().bound
    assert gate["interval"] == {"low": 0.4461, "high": 0.7365, "level": 0.95, "method": "Wilson"}
    assert gate["slices"] == [{"column": "language", "value": "de", "score": 0.25, "n": 4, "interval": None}]


def test_a_gate_without_a_cell_is_shown() -> None:
    experiment = overview(report(metric_gate(value=None, verdict="ERROR"), cells=()))["experiments"][0]
    assert experiment["cells"] == []
    assert (experiment["gates"][0]["evaluator"], experiment["gates"][0]["value"]) == ("matcher", None)


def test_a_cell_that_failed_whole_is_shown_with_its_error() -> None:
    broken = replace(cell_result(), run=RunResult(status="Failed", error="ImportError: x"), evaluations={})
    session = report(run_gate(), cells=(broken,))
    cell = overview(session)["experiments"][0]["cells"][0]
    assert (cell["error"], cell["rows"], cell["latency"], cell["metrics"]) == ("ImportError: x", 0, None, {})
    assert rows(session)["runs"][0]["executions"] == [[]]


def test_rows_of_a_dataset_are_known_from_any_run() -> None:
    broken = replace(cell_result(), run=RunResult(status="Failed", error="x"), columns={})
    named = replace(cell_result(FEW_SHOT), key="id", columns={"id": ("a", "b"), "language": ("de", "en")})
    dataset = rows(report(cells=(broken, named)))["datasets"]["general"]
    assert [(row["line"], row["name"], row["inputs"]) for row in dataset["rows"]] == [
        (0, "", {"text": "She is a nurse."}),
        (1, "", {"text": "Hm."}),
    ]
    named_first = rows(report(cells=(named, broken)))["datasets"]["general"]
    assert [row["name"] for row in named_first["rows"]] == ["a", "b"]
    assert named_first["columns"] == {"id": ["a", "b"], "language": ["de", "en"]}


def test_rows_have_their_answers_and_scores() -> None:
    result = cell_result()
    known = replace(result.evaluations["matcher"], of_run=("prediction",))
    run = rows(report(cells=(replace(result, evaluations={"matcher": known}),)))["runs"][0]
    assert (run["variant"], run["evaluators"]) == ("terse", ["matcher"])
    score = [{"gold": "nurse"}, {"exact": False}, None]
    assert run["executions"] == [
        [
            [0, {"entities": "nurse"}, None, 0.25, 12, "", [score]],
            [1, None, "ValueError: no entity", 0.5, 0, "", [None]],
        ]
    ]


def test_without_knowing_which_inputs_are_gold_there_is_none() -> None:
    assert rows(report())["runs"][0]["executions"][0][0][6] == [[{}, {"exact": False}, None]]


def test_every_execution_is_shown() -> None:
    again = cell_result(output="a nurse", exact=1)
    result = replace(
        cell_result(), repeats=(Repeat(run=again.run, evaluations=again.evaluations), Repeat(run=again.run))
    )
    session = report(cells=(result,))
    executions = rows(session)["runs"][0]["executions"]
    assert [execution[0][1]["entities"] for execution in executions] == ["nurse", "a nurse", "a nurse"]
    assert executions[2][0][6] == [None]
    assert overview(session)["experiments"][0]["cells"][0]["executions"] == 3


def baseline(*cells: CellResult, problem: str = "") -> tuple[Report, Sources]:
    session = replace(report(), baselines={EXPERIMENT: "kept.json"})
    earlier = replace(report(cells=cells), created="2026-08-01T10:00:00+00:00", versions={"commit": "abc"})
    return session, Sources(baselines={EXPERIMENT: earlier}, problems={EXPERIMENT: problem})


def test_a_baseline_is_a_run_on_the_rows_of_the_session() -> None:
    other = cell_result(output="a doctor")
    first, second = other.run.rows
    moved = replace(other, run=replace(other.run, rows=(replace(first, line_number=7), second)))
    session, sources = baseline(moved)
    assert overview(session, sources)["experiments"][0]["baseline"] == {
        "path": "kept.json",
        "created": "2026-08-01T10:00:00+00:00",
        "commit": "abc",
        "problem": "",
    }
    *_, run = rows(session, sources)["runs"]
    assert (run["variant"], run["cell"]) == ("baseline", "ner_extract-general-terse")
    assert sorted((row[0], row[1]) for row in run["executions"][0]) == [(0, {"entities": "a doctor"}), (1, None)]


def test_a_baseline_without_the_cell_leaves_the_report_as_it_is() -> None:
    session, sources = baseline(problem="no cell")
    assert overview(session, sources)["experiments"][0]["baseline"]["problem"] == "no cell"
    assert len(rows(session, sources)["runs"]) == 2


def test_a_baseline_that_could_not_be_read_is_named() -> None:
    session, _ = baseline()
    sources = Sources(problems={EXPERIMENT: "baseline kept.json: there is none"})
    assert overview(session, sources)["experiments"][0]["baseline"] == {
        "path": "kept.json",
        "created": None,
        "commit": None,
        "problem": "baseline kept.json: there is none",
    }


def test_the_session_is_the_last_point_of_its_history() -> None:
    past = Point(created="2026-08-01", commit="abc", name="old", gates={"a::b": Outcome(value=0.5, verdict="PASS")})
    limited = {"env": "dev", "max-rows": "5"}
    session = replace(report(metric_gate(value=math.nan)), versions={"commit": "def"}, settings=limited)
    assert overview(session, Sources(history=(past,)))["history"] == [
        {
            "created": "2026-08-01",
            "commit": "abc",
            "name": "old",
            "limits": "",
            "gates": {"a::b": {"value": 0.5, "verdict": "PASS"}},
        },
        {
            "created": "2026-09-01T10:00:00+00:00",
            "commit": "def",
            "name": "",
            "limits": "max-rows 5",
            "gates": {
                f"{EXPERIMENT}::matcher.exact_match_rate[ner_extract-general-terse]": {"value": None, "verdict": "FAIL"}
            },
        },
    ]


def test_a_shard_is_named() -> None:
    assert overview(replace(report(), shard=Shard(index=2, count=5)))["shard"] == "2/5"


def test_numbers_that_json_lacks_are_text() -> None:
    result = cell_result()
    slow = replace(result.run, rows=(replace(result.run.rows[0], duration=math.inf),))
    matcher = result.evaluations["matcher"]
    logged = replace(matcher, result=replace(matcher.result, metrics={"f1": math.nan, "loss": -math.inf}))
    session = report(metric_gate(value=math.nan), cells=(replace(result, run=slow, evaluations={"matcher": logged}),))
    experiment = overview(session)["experiments"][0]
    assert experiment["gates"][0]["value"] == "NaN"
    assert experiment["cells"][0]["metrics"] == {"matcher": {"f1": "NaN", "loss": "-Infinity"}}
    assert experiment["cells"][0]["latency"] is None
    assert rows(session)["runs"][0]["executions"][0][0][3] == "Infinity"


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


def test_what_is_nested_too_deeply_is_cut() -> None:
    shallow, deep = output_of(report(cells=(with_output({"a": nested(DEEPEST - 1), "b": nested(5000)}),))).values()
    assert shallow == nested(DEEPEST - 1)
    for _ in range(DEEPEST - 1):
        (deep,) = deep
    assert deep == "… (what is nested more deeply is in results.json)"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert output_of(report(cells=(with_output({"a": "x" * LONGEST, "b": "y" * 1_000_000}),))) == {
        "a": "x" * LONGEST,
        "b": "y" * LONGEST + "… (1,000,000 characters, SHA-256 2f6558ff…; all of them are in results.json)",
    }


def test_a_long_list_is_cut_and_says_so() -> None:
    many = {str(number): number for number in range(MOST + 1)}
    found = output_of(report(cells=(with_output({"a": [*range(1536)], "b": many}),)))
    assert found["a"] == [*range(MOST), "… (1,536 items, SHA-256 c07ac339…; all of them are in results.json)"]
    assert found["b"] == {
        **dict(list(many.items())[:MOST]),
        "…": "(201 items, SHA-256 67852e76…; all of them are in results.json)",
    }


def test_texts_are_shorter_where_there_would_be_too_much_of_them() -> None:
    result = cell_result()
    long = Row(line_number=0, inputs={"text": "i"}, output={"answer": "word " * 4000})
    many = tuple(replace(long, line_number=number) for number in range(3000))
    (execution,) = rows(report(cells=(replace(result, run=replace(result.run, rows=many)),)))["runs"][0]["executions"]
    (cut,) = {row[1]["answer"] for row in execution}
    assert cut == ("word " * 800) + "… (20,000 characters, SHA-256 6d824d6b…; all of them are in results.json)"


class Name(str):
    """A text of a type of its own, as libraries return them."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53, 2**53),
        (-(2**53) - 1, "-9007199254740993"),
        (12345678901234567890, "12345678901234567890"),
        (True, True),
        (1e308, 1e308),
        (Name("a\x00"), "a\\x00"),
        ((1, (2,)), [1, [2]]),
        (MappingProxyType({1: {None: 2}}), {"1": {"None": 2}}),
        (OrderedDict(a=nested(2)), {"a": [["deep"]]}),
        ({1}, "{1}"),
        (Tokens(prompt=1), {"prompt": 1, "completion": 0, "total": 0}),
        (b"\x00", "b'\\x00'"),
        ("\u202eabc\u200f", "\\u202eabc\\u200f"),
        ("a\r\nb\tc\rd", "a\nb\tc\\rd"),
        ("\ud800", "\\ud800"),
        ("👩‍🚀 é", "👩‍🚀 é"),
    ],
)
def test_unusual_values(value: object, expected: object) -> None:
    assert shown(value) == expected


TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=8) | st.sampled_from(
    [*HOSTILE, "</script>", "<!--", "<script>", "]]>", "\u2028", "\x00", "</SCRIPT >", "\u200fRTL"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def expected(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list):
        return [expected(item) for item in value]
    if isinstance(value, dict):
        return {visible(name): expected(item) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return str(value)
    return value


@given(output=st.dictionaries(TEXTS, VALUES, max_size=3), text=TEXTS)
@settings(max_examples=60, deadline=None)
def test_whatever_values_are_the_page_holds_them_as_text(output: dict[str, Any], text: str) -> None:
    result = with_output(output)
    first, second = result.run.rows
    result = replace(
        result,
        run=replace(result.run, rows=(replace(first, inputs={text: text}), replace(second, error=text))),
        columns={text: (text, text)},
        key=text,
    )
    session = report(metric_gate(reason=text, details=(text,)), cells=(result,))
    found = rows(session)
    execution = found["runs"][0]["executions"][0]
    assert (execution[0][1], execution[1][2]) == (expected(output), visible(text))
    asked = found["datasets"]["general"]["rows"][0]
    assert (asked["name"], asked["inputs"]) == (visible(text), {visible(text): visible(text)})
    assert overview(session)["experiments"][0]["gates"][0]["details"] == [visible(text)]


def test_the_browser_reads_what_was_written(page: Page, tmp_path: Path) -> None:
    output = {str(number): text for number, text in enumerate([*HOSTILE, "</script><script>alert(1)</script>", "<!--"])}
    session = report(cells=(with_output({**output, "n": [1.5, -0.1, 1e-300, 2**53, 2**60, math.nan]}),))
    open_view(page, tmp_path, session)
    for name, values in blocks(session).items():
        assert page.evaluate("id => JSON.parse(document.getElementById(id).textContent)", name) == values


def test_the_title_is_text(page: Page, tmp_path: Path) -> None:
    closed = report(cells=())
    reason = "</title><script>alert(1)</script>"
    session = replace(closed, gates=(), decision=replace(closed.decision, reasons=(reason,)))
    open_view(page, tmp_path, session)
    assert page.title() == f"gate: closed: {reason} - pytest-llmops"
