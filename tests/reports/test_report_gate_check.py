"""Whatever is found in place of gate.json, it is an open gate only if it is a sound decision."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from gate_files import CONTENTS, ITEM, PASSED, RUN_ITEM, SHA, write
from hypothesis import HealthCheck, given, settings
from report_samples import metric_gate, report, run_gate, unsure_gate

from pytest_llmops.records.report import Shard
from pytest_llmops.reports.gate import document
from pytest_llmops.reports.gate_check import Expected, check_gate
from pytest_llmops.stats.gates import decide

FOLDER = Path("reports")
NOW = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
EXPECTED = Expected(now=NOW, max_age=86_400.0, commit=SHA, build="77", complete=True)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems() -> tuple[str, ...]:
    """Say why the gate is closed, beside what its file says."""
    check = check_gate(FOLDER, EXPECTED)
    assert not check.is_open
    return check.problems


def test_a_sound_decision_is_open() -> None:
    write(PASSED)
    check = check_gate(FOLDER, EXPECTED)
    assert (check.is_open, check.state, check.problems) == (True, "open", ())


def test_a_mark_of_the_byte_order_changes_nothing() -> None:
    write(PASSED)
    path = FOLDER / "gate.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert check_gate(FOLDER, EXPECTED).is_open


def test_an_error_of_a_candidate_that_need_not_pass_leaves_it_open() -> None:
    gates = (run_gate(), metric_gate(name="f1", verdict="ERROR", value=None, blocking=False, optional=True))
    write(replace(report(*gates), versions=PASSED.versions, decision=decide(gates)))
    assert check_gate(FOLDER, EXPECTED).is_open


def test_verdicts_that_do_not_close_leave_it_open() -> None:
    gates = (run_gate(), unsure_gate(), metric_gate(name="f1", verdict="FAIL", blocking=False))
    write(replace(report(*gates), versions=PASSED.versions))
    assert check_gate(FOLDER, EXPECTED).is_open


def test_verdicts_that_close_it_are_no_problem_of_the_file() -> None:
    write(replace(report(run_gate(), metric_gate(verdict="FAIL")), versions=PASSED.versions))
    assert problems() == ()


def test_every_problem_is_told() -> None:
    write(replace(PASSED, shard=Shard(index=1, count=2), versions={}, created="2026-01-01T00:00:00+00:00"))
    assert [problem.partition(";")[0] for problem in problems()] == [
        "it is the decision on shard 1/2 alone",
        "it is 243 days old, more than 1d",
        "it is of no known commit, this is 0123456789ab",
        "it is of no run of a pipeline, this is run 77",
    ]


def remove_folder(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_link(path: Path) -> None:
    path.rename(path.with_name("other.json"))
    path.symlink_to("other.json")


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


NOT_JSON = "it is not valid JSON, or only a part of it"
UNSOUND: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "there is none: nothing was decided here"),
    "no folder": (remove_folder, "there is none: nothing was decided here"),
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "blank": (lambda path: path.write_bytes(b" \n"), "it is empty"),
    "torn": (lambda path: path.write_bytes(path.read_bytes()[:200]), NOT_JSON),
    "written twice": (lambda path: path.write_bytes(path.read_bytes() * 2), NOT_JSON),
    "key twice": (lambda path: path.write_bytes(b'{"state": "closed", ' + path.read_bytes()[1:]), NOT_JSON),
    "NaN": (lambda path: path.write_bytes(b'{"schema_version": NaN}'), NOT_JSON),
    "too deep": (lambda path: path.write_bytes(b"[" * 100_000), NOT_JSON),
    "UTF-16": (lambda path: path.write_bytes(path.read_bytes().decode().encode("utf-16")), "it is not UTF-8"),
    "a list": (
        lambda path: path.write_bytes(b"[]"),
        "its schema_version is none, this version of pytest-llmops reads 1",
    ),
    "another version": (
        lambda path: path.write_bytes(b'{"schema_version": 2}'),
        "its schema_version is 2, this version of pytest-llmops reads 1",
    ),
    "true for 1": (
        lambda path: path.write_bytes(b'{"schema_version": true}'),
        "its schema_version is True, this version of pytest-llmops reads 1",
    ),
    "a folder": (make_folder, "it is no regular file"),
    "a link": (make_link, "it is no regular file"),
    "a pipe": (make_pipe, "it is no regular file"),
    "too large": (lambda path: os.truncate(path, 64 * 2**20 + 1), "it is larger than 64 MB"),
}


@pytest.mark.parametrize(("damage", "said"), UNSOUND.values(), ids=UNSOUND)
def test_a_file_that_is_no_decision_closes_the_gate(damage: Callable[[Path], object], said: str) -> None:
    damage(write(PASSED))
    assert problems() == (f"reports/gate.json: {said}; run the evaluation again",)


@pytest.mark.parametrize("key", list(document(report())))
def test_a_file_without_one_of_its_keys_closes_the_gate(key: str) -> None:
    path = write(PASSED)
    values = json.loads(path.read_text(encoding="utf-8"))
    del values[key]
    path.write_text(json.dumps(values), encoding="utf-8")
    (problem,) = problems()
    assert problem.startswith("reports/gate.json: it")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", "Open"),
        ("state", None),
        ("created", 5),
        ("reasons", "none"),
        ("counts", {"PASS": True}),
        ("counts", {"PASS": 2.0}),
        ("gates", {}),
        ("gates", [None]),
        ("settings", {"max-rows": 5}),
        ("shard", 1),
        ("extra", "key"),
    ],
)
def test_a_value_of_another_type_closes_the_gate(key: str, value: Any) -> None:
    write(PASSED, **{key: value})
    (problem,) = problems()
    assert problem.startswith("reports/gate.json: it is not a whole decision (")


def test_keys_that_are_missing_are_named() -> None:
    write(PASSED).write_text('{"schema_version": 1, "state": "open", "counts": {}, "gates": []}', encoding="utf-8")
    (problem,) = problems()
    missing = "created, commit, build, shard, reasons, settings, recorded, subjects"
    said = f"reports/gate.json: it is not a whole decision (without {missing}); run the evaluation again"
    assert problem == said


_ONE_FAILS = {"FAIL": 1, "PASS": 1}


def gate_lines(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [line | changed for line, changed in zip(document(PASSED)["gates"], changes, strict=True)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "open", "gates": [], "counts": {}}, "open without a gate"),
        ({"counts": {"PASS": 3}}, "counts are not those of its gates"),
        ({"reasons": ["something"]}, "open, and has reasons against it"),
        ({"gates": gate_lines({"item": RUN_ITEM}, {})}, "a gate is there twice"),
        ({"gates": gate_lines({"optional": True}, {})}, f"{ITEM} is PASS, and closes is false"),
        (
            {
                "gates": gate_lines({"verdict": "ERROR", "optional": True, "blocking": False, "closes": True}, {}),
                "counts": {"ERROR": 1, "PASS": 1},
            },
            f"{ITEM} is ERROR, and closes is true",
        ),
        (
            {"gates": gate_lines({"verdict": "FAIL"}, {}), "counts": {"FAIL": 1, "PASS": 1}},
            f"{ITEM} is FAIL, and closes is false",
        ),
        ({"gates": gate_lines({"closes": True}, {})}, f"{ITEM} is PASS, and closes is true"),
        (
            {"gates": gate_lines({"verdict": "ERROR", "blocking": False}, {}), "counts": {"ERROR": 1, "PASS": 1}},
            f"{ITEM} is ERROR, and closes is false",
        ),
        (
            {
                "gates": gate_lines({"verdict": "INCONCLUSIVE", "blocking": False, "closes": True}, {}),
                "counts": {"INCONCLUSIVE": 1, "PASS": 1},
            },
            f"{ITEM} is INCONCLUSIVE, and closes is true",
        ),
        (
            {"gates": gate_lines({"verdict": "FAIL", "closes": True, "bars": True}, {}), "counts": _ONE_FAILS},
            f"open, and {ITEM} closes it",
        ),
        (
            {"gates": gate_lines({"verdict": "FAIL", "closes": True}, {}), "counts": _ONE_FAILS},
            f"{ITEM} is FAIL, and bars is false",
        ),
        ({"gates": gate_lines({"bars": True}, {})}, f"{ITEM} is PASS, and bars is true"),
    ],
)
def test_a_file_at_odds_with_itself_closes_the_gate(changes: dict[str, Any], said: str) -> None:
    write(PASSED, **changes)
    assert problems() == (f"reports/gate.json: it contradicts itself: {said}; run the evaluation again",)


def is_a_sound_open_decision(values: Any) -> bool:
    """What an open gate has to be, said again in other words."""
    return (
        values["schema_version"] == 1
        and values["state"] == "open"
        and values["reasons"] == []
        and values["shard"] is None
        and values["build"] == "77"
        and values["commit"] == SHA
        and abs(datetime.fromisoformat(values["created"]) - NOW) < timedelta(days=1)
        and len(values["gates"]) > 0
        and not any(gate["closes"] for gate in values["gates"])
        and all(
            gate["verdict"] in ("PASS", "INCONCLUSIVE")
            or (gate["verdict"] == "FAIL" and not gate["blocking"])
            or (gate["verdict"] == "ERROR" and gate["optional"])
            for gate in values["gates"]
        )
        and sum(values["counts"].values()) == len(values["gates"])
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(content=CONTENTS)
def test_whatever_is_in_the_file_it_is_open_only_if_it_is_sound(content: bytes) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "gate.json").write_bytes(content)
    check = check_gate(FOLDER, EXPECTED)
    if check.is_open:
        assert is_a_sound_open_decision(json.loads(content))
    else:
        assert check.problems or (check.file is not None and check.file.state == "closed")


def test_the_check_is_quick() -> None:
    gates = (metric_gate(name=f"matcher.m{number}") for number in range(2000))
    write(replace(report(*gates), versions=PASSED.versions))
    began = time.perf_counter()
    assert check_gate(FOLDER, EXPECTED).is_open
    assert time.perf_counter() - began < 2
