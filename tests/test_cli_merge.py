"""``llmops merge`` as a pipeline calls it: what it reads, says and leaves, whatever the shards left."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_samples import EXPERIMENT, FEW_SHOT, cell_result, metric_gate, report, run_gate
from sharded import shards

from pytest_llmops.cli import main
from pytest_llmops.records.report import Report
from pytest_llmops.reports.write import write_reports
from pytest_llmops.stats.gates import decide

JUNIT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="1" failures="0" errors="0"
skipped="0" time="1.0" timestamp="2026-09-01T10:00:00+00:00" hostname="agent{0}"><testcase classname="evals.ner"
name="run[{0}]" time="0.5" /></testsuite></testsuites>"""
TODO = "run the evaluation again"


@pytest.fixture(autouse=True)
def two_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards, ``shards/1`` and ``shards/2``, of a session with an open gate, and a decision of an earlier one."""
    monkeypatch.chdir(tmp_path)
    put(session())
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "gate.json").write_text('{"state": "open"}', encoding="utf-8")


def session(*, exact: float = 0.75) -> Report:
    gates = (run_gate(), metric_gate(value=0.75), run_gate(FEW_SHOT), metric_gate(FEW_SHOT, value=exact))
    made = report(*gates, cells=(cell_result(), cell_result(FEW_SHOT)))
    return replace(made, decision=decide(gates), versions={"commit": "c0ffee", "build": "12"})


def put(made: Report, **changes: Any) -> None:
    """Write the reports of both shards of a session."""
    for index, shard in enumerate(shards(made, 2), 1):
        write_reports(replace(shard, **changes), Path(f"shards/{index}"))


def read(name: str = "gate.json", folder: str = "reports") -> Any:
    return json.loads(Path(folder, name).read_text(encoding="utf-8"))


def put_junit(*indexes: int, name: str = "junit.xml") -> None:
    for index in indexes:
        Path(f"shards/{index}", name).write_text(JUNIT.format(index), encoding="utf-8")


def is_closed_because(*reasons: str) -> bool:
    gate = read()
    return gate["state"] == "closed" and set(reasons) <= set(gate["reasons"])


@pytest.mark.parametrize("folders", [["shards"], ["shards/1", "shards/2"], ["shards/2", "shards/1"], ["."]])
def test_folders_of_shards_or_one_that_holds_them(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *folders]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["reports: reports/index.html", "gate: open"]
    gate = read()
    assert (gate["state"], gate["shard"], gate["commit"], gate["build"]) == ("open", None, "c0ffee", "12")
    assert len(gate["gates"]) == len(read("results.json")["gates"]) == 4
    assert (read("results.json")["settings"], read("results.json")["shard"]) == (
        {"env": "dev", "llm": "replay", "report-dir": "reports"},
        None,
    )


def test_a_failed_gate_is_told_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    put(session(exact=0.25))
    assert main(["merge", "shards"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == (
        "FAIL matcher.exact_match_rate[ner_extract-general-few_shot]: 0.25, required >= 0.5 (n = 1)"
    )
    assert said.out.splitlines()[-1] == "gate: closed: 1 of 4 gates failed"
    assert said.err == ""
    assert is_closed_because("FAIL matcher.exact_match_rate[ner_extract-general-few_shot]")


def test_the_merged_reports_go_where_they_are_wanted() -> None:
    assert main(["merge", "shards", "--report-dir", "out/merged", "--history", "earlier"]) == 0
    assert read("results.json", "out/merged")["settings"] == {
        "env": "dev",
        "llm": "replay",
        "report-dir": "out/merged",
        "history": "earlier",
    }


def test_merging_again_does_not_read_what_was_merged() -> None:
    assert main(["merge", ".", "--report-dir", "."]) == 0
    assert main(["merge", ".", "--report-dir", "."]) == 0
    assert len(read(folder=".")["gates"]) == 4


def everything(folder: str) -> dict[str, bytes]:
    return {file.as_posix(): file.read_bytes() for file in Path(folder).rglob("*") if file.is_file()}


@pytest.mark.parametrize("folders", [["shards"], ["shards/1", "shards/2"], ["nowhere"]])
def test_a_shard_is_not_overwritten(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    put_junit(1, 2)
    before = everything("shards")
    assert main(["merge", *folders, "--report-dir", "shards/1"]) == 4
    assert capsys.readouterr().err == (
        "shards/1: shard 1/2 is there, which what is merged would replace; name another folder with --report-dir\n"
    )
    assert everything("shards") == before


def test_a_shard_below_merged_results_is_not_overwritten_either() -> None:
    assert main(["merge", "shards", "--report-dir", "shards"]) == 0
    before = everything("shards")
    assert main(["merge", "shards", "--report-dir", "shards/1"]) == 4
    assert everything("shards") == before


@pytest.mark.parametrize("folders", [["nowhere"], ["reports"], ["whole"], ["shards/1/junit.xml"]])
def test_where_no_shard_is_found_earlier_results_stay(folders: list[str]) -> None:
    put_junit(1)
    write_reports(session(), Path("reports"))
    write_reports(session(), Path("whole"))
    before = everything("reports")
    assert main(["merge", *folders]) == 1
    assert read()["state"] == "closed"
    assert "closed" in Path("reports/summary.md").read_text(encoding="utf-8")
    after = everything("reports")
    assert {name for name in before if after[name] != before[name]} == {"reports/gate.json", "reports/summary.md"}


def test_the_results_of_shards_may_be_named_themselves() -> None:
    assert main(["merge", "shards/1/results.json", "shards/2/results.json"]) == 0
    assert len(read()["gates"]) == 4


def test_results_below_those_of_a_shard_are_none_of_it() -> None:
    write_reports(session(), Path("shards/1/history/main"))
    assert main(["merge", "shards"]) == 0


def test_a_missing_shard_closes_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("shards/2")
    assert main(["merge", "shards"]) == 1
    line = "of 2 shards, 2 is missing (there are: 1 in shards/1)"
    said = capsys.readouterr()
    assert said.err == f"ERROR: {line}\n"
    assert "ner (evals/ner/experiment.yaml)" in said.out
    assert is_closed_because(line)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_results_closes_the_gate(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["merge", "shards", name]) == 1
    line = f"{name}: there is no results.json of a shard in it, or below; name the reports of shards"
    assert capsys.readouterr().err == f"ERROR: {line}\n"
    assert is_closed_because(line)
    assert main(["merge", name]) == 1
    assert is_closed_because(line)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", f"not valid JSON (Expecting value: line 1 column 1 (char 0)); {TODO}"),
        ('{"schema_version": 1, "cre', "not valid JSON (Unterminated string starting at: *"),
        ('{"schema_version": 7}', f"schema_version is 7, this version of pytest-llmops reads 1; {TODO}"),
        ('{"schema_version": 1}', f"not a whole report (*); {TODO}"),
        ("[]", "not the results of a session: schema_version is missing"),
    ],
    ids=["empty", "torn", "other schema", "not whole", "a list"],
)
def test_results_that_can_not_be_read_close_the_gate(
    content: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("shards/2/results.json").write_text(content, encoding="utf-8")
    assert main(["merge", "shards"]) == 1
    first, *others = capsys.readouterr().err.splitlines()
    start, _, end = f"ERROR: shards/2/results.json: {why}".partition("*")
    assert first.startswith(start)
    assert first.endswith(end)
    assert others == ["ERROR: of 2 shards, 2 is missing (there are: 1 in shards/1)"]
    assert read()["state"] == "closed"


def test_shards_of_different_commits_close_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = shards(session(), 2)
    write_reports(replace(two, versions={**one.versions, "commit": "beef"}), Path("shards/2"))
    assert main(["merge", "shards"]) == 1
    line = "shards/2: not of the same session as shards/1: commit is beef, not c0ffee"
    said = capsys.readouterr()
    assert said.err == f"ERROR: {line}\n"
    assert said.out.splitlines() == [
        "reports: reports/index.html",
        "gate: closed: shards/2: not of the same session as shards/1: commit is beef, not c0ff… (and 1 more)",
    ]
    assert is_closed_because(line)
    assert read()["gates"] == []


def test_a_duplicate_and_a_whole_session_close_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("shards/2", "shards/2-again")
    write_reports(session(), Path("shards/whole"))
    assert main(["merge", "shards"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "ERROR: shards/whole: no shard, but a whole session; "
        "shards are made with --llmops-shard, a single one with 1/1",
        "ERROR: shards/2 and shards/2-again are both attempt 1 of shard 2/2; keep one",
    ]


def test_the_last_attempt_replaces_others(capsys: pytest.CaptureFixture[str]) -> None:
    put_junit(1, 2)
    again = shards(session(), 2)[1]
    assert again.shard is not None
    write_reports(replace(again, shard=replace(again.shard, attempt=2)), Path("shards/2-2"))
    shutil.copy("shards/2/junit.xml", "shards/2-2/junit.xml")
    put(session(exact=0.25))
    assert main(["merge", "shards"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "shards/2: attempt 1, replaced by attempt 2 of shard 2/2 in shards/2-2"
    assert said.err == ""
    assert Path("reports/junit.xml").read_text(encoding="utf-8").count("<testcase") == 2


@pytest.mark.parametrize(("options", "name"), [([], "junit.xml"), (["--junit", "tests/all.xml"], "tests/all.xml")])
def test_junit_files_are_merged(options: list[str], name: str) -> None:
    for index in (1, 2):
        Path(f"shards/{index}/tests").mkdir()
    put_junit(1, 2, name=name)
    assert main(["merge", "shards", *options]) == 0
    merged = Path("reports", name).read_text(encoding="utf-8")
    assert 'name="run[1]"' in merged
    assert 'name="run[2]"' in merged
    assert 'tests="2"' in merged


def test_without_junit_files_none_is_made() -> None:
    assert main(["merge", "shards"]) == 0
    assert not Path("reports/junit.xml").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "shards/2/junit.xml: there is none, and other shards have one"),
        ("<testsui", "shards/2/junit.xml: not a JUnit file (unclosed token: line 1, column 0)"),
        (JUNIT.format(1), "junit.xml: tests that more than one shard ran: evals.ner.run[1]"),
    ],
    ids=["missing", "torn", "twice"],
)
def test_junit_files_that_do_not_add_up_close_the_gate(
    content: str | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_junit(1)
    if content is not None:
        Path("shards/2/junit.xml").write_text(content, encoding="utf-8")
    assert main(["merge", "shards"]) == 1
    assert capsys.readouterr().err == f"ERROR: {line}\n"
    assert is_closed_because(line)
    assert len(read()["gates"]) == 4
    assert not Path("reports/junit.xml").exists()


def test_no_junit_file_of_an_earlier_merge_stays() -> None:
    put_junit(1, 2)
    assert main(["merge", "shards"]) == 0
    Path("shards/2/junit.xml").unlink()
    assert main(["merge", "shards"]) == 1
    assert not Path("reports/junit.xml").exists()


def test_what_shards_found_out_comes_before_their_junit_files(capsys: pytest.CaptureFixture[str]) -> None:
    put_junit(1)
    for index, made in enumerate(shards(session(), 2), 1):
        why = ["evals/test_x.py: collection failed"]
        write_reports(replace(made, decision=decide(made.gates, why)), Path(f"shards/{index}"))
    assert main(["merge", "shards"]) == 1
    assert "gate: closed: evals/test_x.py: collection failed (and 1 more)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../junit.xml", "/nowhere/junit.xml"])
def test_a_junit_file_is_one_of_the_shards(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "shards", "--junit", name]) == 4
    assert capsys.readouterr().err == (
        f"--junit: {name} is not a file in the folders of the shards; name one from there\n"
    )
    assert read() == {"state": "open"}


def test_a_junit_file_that_can_not_be_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    Path("reports/junit.xml").mkdir()
    assert main(["merge", "shards"]) == 4
    assert capsys.readouterr().err == (
        "reports/junit.xml: can't be removed: Is a directory; name another folder with --report-dir\n"
    )
    assert not Path("reports/gate.json").exists()


@pytest.mark.parametrize("arguments", [[], ["--shards", "shards"], ["shards", "--junit"]])
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["merge", *arguments])
    assert ended.value.code == 4


def test_a_folder_that_can_not_be_written_leaves_no_decision(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("", encoding="utf-8")
    assert main(["merge", "shards", "--report-dir", "file"]) == 4
    assert capsys.readouterr().err == (
        "file: reports can't be written: Not a directory; give a folder that can, with --report-dir\n"
    )


def test_a_folder_that_can_not_be_read_closes_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 300
    assert main(["merge", "shards", name]) == 1
    assert capsys.readouterr().err == f"ERROR: {name}: can't be read: File name too long\n"
    assert read()["state"] == "closed"


def test_in_a_pipeline_the_decision_is_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    put(session(exact=0.25))
    assert main(["merge", "shards"]) == 1
    commands = [line for line in capsys.readouterr().out.splitlines() if line.startswith("##vso[")]
    assert commands[-1] == "##vso[build.addbuildtag]llmops-gate-closed"
    assert f"##vso[task.uploadsummary]{Path('reports/summary.md').absolute()}" in commands


def test_names_from_files_are_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = shards(session(), 2)
    put(session())
    write_reports(
        replace(two, versions={**one.versions, "commit": "##vso[task.complete]\x1b[31m\nx"}), Path("shards/2")
    )
    assert main(["merge", "shards"]) == 1
    said = capsys.readouterr()
    assert "##vso[" not in said.err + said.out
    assert "\x1b" not in said.err + said.out
    assert len(said.err.splitlines()) == 1
    assert "##vso[" not in Path("reports/gate.json").read_text(encoding="utf-8")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([1, 2, 10**18, 10**30]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just(EXPERIMENT) | st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(key=st.sampled_from(["index", "count", "planned", "own", "attempt", "digests", "tests"]), value=JSON)
def test_no_record_of_a_shard_makes_a_traceback(key: str, value: Any) -> None:
    put(session())
    document = read("results.json", "shards/2")
    document["shard"][key] = value
    Path("shards/2/results.json").write_text(json.dumps(document), encoding="utf-8")
    assert main(["merge", "shards"]) == (0 if read()["state"] == "open" else 1)
