"""results.json: complete, ordered, and read back."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import FEW_SHOT, cell_result, metric_gate, report, reused

from pytest_llmops.engines.depth import DEEPEST, is_too_deep
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.encoding import dumps
from pytest_llmops.records.estimates import Comparison, Interval, SliceScore
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, GateResult, Repeat
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import CassetteMiss, Row, RunResult, Tokens, Variant
from pytest_llmops.reports.results import document, ordered, parse, read

DIFFERENT = ("created", "duration", "recorded")

TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False, width=32)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 10**6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=2)
ROW = st.builds(
    Row,
    line_number=COUNT,
    inputs=OBJECT,
    output=st.none() | OBJECT,
    error=st.none() | TEXT,
    duration=NUMBER,
    tokens=st.builds(Tokens, prompt=COUNT, completion=COUNT, total=COUNT),
    recorded=st.none() | NUMBER,
)
INTERVAL = st.none() | st.builds(Interval, low=NUMBER, high=NUMBER, level=NUMBER, method=TEXT)
NAMES = st.lists(TEXT, max_size=2).map(tuple)
COMPARISON = st.builds(
    Comparison,
    name=TEXT,
    value=NUMBER,
    baseline=NUMBER,
    delta=NUMBER,
    n=COUNT,
    interval=INTERVAL,
    p_value=st.none() | NUMBER,
    adjusted_p=st.none() | NUMBER,
    test=TEXT,
    direction=st.sampled_from(["higher", "lower"]),
    worse=NAMES,
    better=NAMES,
    added=NAMES,
    removed=NAMES,
    changed=NAMES,
)
SLICE = st.builds(SliceScore, column=TEXT, value=TEXT, score=NUMBER, n=COUNT, interval=INTERVAL)
RUN = st.builds(
    RunResult,
    status=st.sampled_from(["Completed", "Failed"]),
    rows=st.lists(ROW, max_size=2).map(tuple),
    metrics=OBJECT,
    error=st.none() | TEXT,
    aggregation_error=st.none() | TEXT,
    duration=NUMBER,
    llm_calls=st.none() | COUNT,
    misses=st.lists(st.builds(CassetteMiss, cassette=TEXT, request=TEXT, nearest=TEXT), max_size=2).map(tuple),
    recorded=st.none() | NUMBER,
)
VARIANT = st.builds(
    Variant, id=TEXT, nodes=st.dictionaries(TEXT, TEXT), overrides=OBJECT, init=OBJECT, is_default=st.booleans()
)
EVALUATIONS = st.dictionaries(
    TEXT,
    st.builds(Evaluation, evaluator=TEXT, dataset=TEXT, expected_rows=COUNT, result=RUN, digest=TEXT, of_run=NAMES),
    max_size=2,
)
CELL = st.builds(
    CellResult,
    cell=st.builds(Cell, experiment=TEXT, use_case=TEXT, flow=TEXT, dataset=TEXT, variant=VARIANT),
    run=RUN,
    evaluations=EVALUATIONS,
    expected_rows=st.none() | COUNT,
    repeats=st.lists(st.builds(Repeat, run=RUN, evaluations=EVALUATIONS), max_size=1).map(tuple),
    columns=st.dictionaries(TEXT, NAMES, max_size=2),
    key=st.none() | TEXT,
    digest=TEXT,
)
GATE = st.builds(
    GateResult,
    experiment=TEXT,
    cell=TEXT,
    name=TEXT,
    verdict=st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE", "ERROR"]),
    value=st.none() | NUMBER,
    rule=TEXT,
    n=st.none() | COUNT,
    blocking=st.booleans(),
    reason=TEXT,
    details=st.lists(TEXT, max_size=2).map(tuple),
    recorded=st.none() | NUMBER,
    interval=INTERVAL,
    margin=st.none() | NUMBER,
    comparison=st.none() | COMPARISON,
    slices=st.lists(SLICE, max_size=2).map(tuple),
    on_inconclusive=st.sampled_from(["warn", "fail"]),
)
REPORT = st.builds(
    Report,
    experiments=st.dictionaries(TEXT, TEXT, max_size=2),
    cells=st.lists(CELL, max_size=2).map(tuple),
    gates=st.lists(GATE, max_size=3).map(tuple),
    decision=st.builds(
        Decision,
        state=st.sampled_from(["open", "closed"]),
        reasons=st.lists(TEXT, max_size=2).map(tuple),
        counts=st.dictionaries(TEXT, COUNT, max_size=2),
    ),
    settings=st.dictionaries(TEXT, TEXT, max_size=2),
    versions=st.dictionaries(TEXT, TEXT, max_size=2),
    created=TEXT,
)


@settings(max_examples=60, deadline=None)
@given(REPORT)
def test_every_report_comes_back_as_it_was(original: Report) -> None:
    assert parse(json.loads(dumps(document(original)))) == ordered(original)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_value_comes_back(value: float) -> None:
    (gate,) = parse(json.loads(dumps(document(report(metric_gate(value=value)))))).gates
    assert gate.value == value


def test_nan_as_a_value_comes_back_and_as_a_logged_metric_is_text() -> None:
    result = cell_result(exact=math.nan)
    again = parse(json.loads(dumps(document(report(metric_gate(value=math.nan), cells=(result,))))))
    assert again.gates[0].value is not None
    assert math.isnan(again.gates[0].value)
    assert again.cells[0].evaluations["matcher"].result.metrics["exact_match_rate"] == "NaN"


def test_order_does_not_depend_on_what_ran_first() -> None:
    rng = random.Random(7)
    original = replace(
        report(),
        cells=tuple(
            replace(cell, repeats=(Repeat(run=cell.run, evaluations=cell.evaluations),)) for cell in report().cells
        ),
        decision=Decision(state="closed", reasons=("FAIL b", "FAIL a", "FAIL c")),
    )

    def shuffled(items: Any) -> tuple[Any, ...]:
        return tuple(rng.sample(list(items), len(items)))

    def mixed(result: CellResult) -> CellResult:
        run = replace(result.run, rows=shuffled(result.run.rows))
        return replace(result, run=run, repeats=(replace(result.repeats[0], run=run),))

    for _ in range(5):
        cells = shuffled(tuple(map(mixed, original.cells)))
        decision = replace(original.decision, reasons=shuffled(original.decision.reasons))
        other = replace(original, cells=cells, gates=shuffled(original.gates), decision=decision)
        assert dumps(document(other)) == dumps(document(original))


def test_only_created_duration_and_recorded_differ_between_two_sessions() -> None:
    def session(created: str, factor: float) -> Report:
        def slower(run: RunResult) -> RunResult:
            rows = tuple(replace(row, duration=row.duration * factor) for row in run.rows)
            return replace(run, rows=rows, duration=run.duration * factor)

        cells = tuple(replace(result, run=slower(result.run)) for result in report().cells)
        return replace(report(), created=created, cells=tuple(reused(cell, factor) for cell in cells))

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(item) for key, item in value.items() if key not in DIFFERENT}
        return [stripped(item) for item in value] if isinstance(value, list) else value

    one, two = document(session("2026-09-01", 1)), document(session("2026-09-02", 3))
    assert one != two
    assert stripped(one) == stripped(two)


def test_keys_in_reading_order() -> None:
    assert list(document(report())) == [
        *(
            "schema_version",
            "created",
            "versions",
            "settings",
            "experiments",
            "subjects",
            "baselines",
            "shard",
            "decision",
            "gates",
            "cells",
        ),
    ]


def test_rows_keep_what_a_new_decision_needs() -> None:
    row = document(report(cells=(cell_result(FEW_SHOT),)))["cells"][0]["run"]["rows"][0]
    assert row == {
        "line_number": 0,
        "inputs": {"text": "She is a nurse."},
        "output": {"entities": "nurse"},
        "error": None,
        "duration": 0.25,
        "tokens": {"prompt": 10, "completion": 2, "total": 12},
        "usage": {},
        "uncounted": 0,
        "recorded": None,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "results.json: not the results of a session: schema_version is missing"),
        ({"gates": []}, "results.json: not the results of a session: schema_version is missing"),
        (
            {"schema_version": 2},
            "results.json: schema_version is 2, this version of pytest-llmops reads 1; run the evaluation again",
        ),
    ],
)
def test_what_is_not_ours_is_refused(given: object, message: str) -> None:
    with pytest.raises(LLMOpsError) as raised:
        parse(given)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("cells"),
        lambda d: d.update(gates=None),
        lambda d: d["gates"][0].update(verdict="MAYBE"),
        lambda d: d["cells"][0].update(run="x"),
        lambda d: d.update(extra=1),
    ],
)
def test_a_report_that_is_not_whole_is_refused(damage: Any) -> None:
    broken = document(report())
    damage(broken)
    with pytest.raises(LLMOpsError, match=r"^results\.json: not a whole report \(.*\); run the evaluation again$"):
        parse(broken)


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(dumps(document(report()))[:-20], encoding="utf-8")
    with pytest.raises(LLMOpsError) as raised:
        read(file)
    assert str(raised.value).startswith(f"{file}: not valid JSON (")
    assert str(raised.value).endswith("; run the evaluation again")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LLMOpsError) as raised:
        read(tmp_path / "results.json")
    assert str(raised.value) == f"{tmp_path / 'results.json'}: can't be read: No such file or directory"


def test_the_deepest_value_of_a_flow_is_read_again() -> None:
    deep: Any = {}
    for _ in range(DEEPEST):
        deep = {"x": deep}
    assert not is_too_deep(deep)
    row = Row(line_number=0, inputs=deep, output=deep, error=None, duration=1.0)
    result = cell_result()
    run = replace(result.run, rows=(row,))
    evaluations = {"matcher": replace(next(iter(result.evaluations.values())), result=run)}
    repeats = (Repeat(run=run, evaluations=evaluations),)
    known = ordered(report(cells=(replace(result, repeats=repeats),)))
    assert parse(json.loads(dumps(document(known), indent=2))) == known


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(LLMOpsError) as raised:
        read(file)
    assert str(raised.value) == f"{file}: not valid JSON (nested too deeply); run the evaluation again"
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    broken = document(report())
    broken["cells"][0]["run"]["metrics"]["deep"] = deep
    with pytest.raises(LLMOpsError) as raised:
        parse(broken)
    assert str(raised.value) == "results.json: not a whole report (nested too deeply); run the evaluation again"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("created",), 5, "5 is not text"),
        (("created",), None, "None is not text"),
        (("gates", 0, "n"), True, "True is not a whole number"),
        (("gates", 0, "n"), 1.5, "1.5 is not a whole number"),
        (("gates", 0, "blocking"), 1, "1 is not true or false"),
        (("gates", 0, "value"), "0.5", "'0.5' is not a number"),
        (("gates", 0, "value"), True, "True is not a number"),
        (("gates", 0, "value"), 10**400, "a number is too large"),
        (("gates", 0, "details"), "abc", "'abc' is not a list"),
        (("cells", 0, "run"), [], "[] is not an object"),
        (("settings",), [], "[] is not an object"),
    ],
)
def test_a_value_of_another_type_is_refused(path: tuple[str | int, ...], value: object, message: str) -> None:
    broken = document(report())
    inner: Any = broken
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    with pytest.raises(LLMOpsError) as raised:
        parse(broken)
    assert str(raised.value) == f"results.json: not a whole report ({message}); run the evaluation again"
