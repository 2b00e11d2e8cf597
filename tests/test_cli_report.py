"""``llmops report``: the reports of sessions anew, from their results."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_samples import EXPERIMENT, report, run_gate

from pytest_llmops.cli import main
from pytest_llmops.reports.results import ordered
from pytest_llmops.reports.write import write_reports


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reports of a session whose gate is closed, in the folder ``reports`` of the working directory."""
    monkeypatch.chdir(tmp_path)
    write_reports(ordered(report()), Path("reports"))
    return tmp_path / "reports"


def run(*arguments: str) -> int:
    return main(["report", *arguments])


def overview() -> Any:
    """What the page holds first."""
    text = Path("reports/index.html").read_text(encoding="utf-8")
    _, _, after = text.partition('id="llmops-overview">')
    return json.loads(after.partition("</script>")[0])


def test_what_shows_results_is_written_anew(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in reports.rglob("*") if file.is_file()}
    for file in before:
        if file.name not in ("results.json", "gate.json"):
            file.write_text("old", encoding="utf-8")
    assert run("reports") == 0
    assert capsys.readouterr().out == "written: reports/index.html (gate: closed: 1 of 4 gates failed)\n"
    assert {file: file.read_bytes() for file in reports.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("gate", ["{}", None])
def test_the_decision_is_not_touched(reports: Path, gate: str | None) -> None:
    (reports / "gate.json").unlink()
    if gate is not None:
        (reports / "gate.json").write_text(gate, encoding="utf-8")
    assert run("reports") == 0
    assert (reports / "gate.json").exists() == (gate is not None)
    assert gate is None or (reports / "gate.json").read_text(encoding="utf-8") == gate


def test_a_page_alone_is_written_elsewhere(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (reports / "index.html").read_bytes()
    (reports / "index.html").unlink()
    shutil.copy("reports/results.json", "kept.json")
    assert run("kept.json", "--output", "pages/kept.html") == 0
    assert capsys.readouterr().out == "written: pages/kept.html (gate: closed: 1 of 4 gates failed)\n"
    assert Path("pages/kept.html").read_bytes() == page
    assert not (reports / "index.html").exists()


def test_every_session_has_a_page(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_reports(report(run_gate()), Path("others"))
    Path("torn").mkdir()
    Path("torn/results.json").write_text('{"schema_version": 1, ', encoding="utf-8")
    (reports / "index.html").unlink()
    assert run("torn", "reports", "others/results.json") == 4
    said = capsys.readouterr()
    assert said.out == (
        "written: reports/index.html (gate: closed: 1 of 4 gates failed)\nwritten: others/index.html (gate: open)\n"
    )
    assert said.err.startswith("torn/results.json: not valid JSON (")
    assert not Path("torn/index.html").exists()


def test_earlier_sessions_are_shown(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_reports(replace(report(), created="2026-08-01T10:00:00+00:00"), Path("past/august"))
    Path("past/results.json").touch()
    assert run("reports", "--history", "past") == 0
    assert [point["name"] for point in overview()["history"]] == ["august/results.json", ""]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("history past/results.json: not the whole results of a session (")


@pytest.mark.parametrize("command", ["report", "merge"])
def test_there_is_one_folder_of_earlier_sessions(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "reports", "--history", "a", "--history", "b"])
    assert end.value.code == 4
    said = "argument --history: there are two; name one folder that has both below it"
    assert capsys.readouterr().err.splitlines()[-1] == f"llmops {command}: {said}"


def test_rows_are_shown_beside_a_baseline() -> None:
    shutil.copytree("reports", "before")
    assert run("reports", "--baseline", "before") == 0
    (experiment,) = overview()["experiments"]
    assert experiment["path"] == EXPERIMENT
    assert (experiment["baseline"]["path"], experiment["baseline"]["problem"]) == ("before", "")


def test_a_baseline_that_is_gone_is_a_line_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    write_reports(replace(report(), baselines={EXPERIMENT: "gone.json"}), Path("reports"))
    assert run("reports") == 0
    said = "baseline gone.json: there is none; run pytest and save one with: llmops baseline save"
    todo = "be in pytest's rootdir, or name the baseline with --baseline"
    assert capsys.readouterr().err == f"{said}\nit was looked for at {Path.cwd() / 'gone.json'}: {todo}\n"
    (experiment,) = overview()["experiments"]
    assert experiment["baseline"]["problem"] == said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: there is none; run pytest, or name the folder of its reports"),
        (["."], ".: the folder has no results.json; run pytest, or name the folder of its reports"),
        (["reports", "reports", "--output", "x"], "--output: 2 sessions have a page each; name one of them"),
        (["kept.json"], "kept.json: it is no results.json; say where the page goes with --output"),
        (
            ["reports", "--baseline", "x"],
            "baseline x: there is none; run pytest and save one with: llmops baseline save",
        ),
        (
            ["reports", "--output", "reports"],
            "reports: can't be written: Is a directory; name another file with --output",
        ),
        (["other"], "other/results.json: schema_version is 7, this version of pytest-llmops reads 1; run pytest, or"),
        (["empty"], "empty/results.json: not valid JSON (Expecting value: line 1 column 1 (char 0)); run pytest, or"),
    ],
)
def test_wrong_usage_is_exit_code_4(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("reports/results.json", "kept.json")
    for name, text in (("other", '{"schema_version": 7}'), ("empty", "")):
        Path(name).mkdir()
        Path(name, "results.json").write_text(text, encoding="utf-8")
    assert run(*arguments) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)
