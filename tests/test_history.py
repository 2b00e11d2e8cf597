"""Earlier sessions, and baselines, as the report page is given them: what can't be read is said and breaks nothing."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_case import change
from report_samples import EXPERIMENT, FEW_SHOT, cell, cell_result, metric_gate, report

from pytest_llmops.baselines import page_sources, read_results
from pytest_llmops.baselines.history import MOST, History, read_history
from pytest_llmops.cli import main
from pytest_llmops.records.gate import CellResult
from pytest_llmops.records.report import Report, Shard
from pytest_llmops.records.run import Row
from pytest_llmops.reports.page import Outcome
from pytest_llmops.reports.write import write_reports

LATER = "2027-01-01T00:00:00+00:00"
ITEM = f"{EXPERIMENT}::matcher.exact_match_rate[{cell().id}]"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def session(day: int, value: float = 0.5, commit: str = "abc") -> Report:
    created = f"2026-09-{day:02}T10:00:00+00:00"
    return replace(report(metric_gate(value=value)), created=created, versions={"commit": commit})


def write(folder: str, *sessions: Report) -> None:
    for made in sessions:
        write_reports(made, Path(folder) / made.created[:10] / "deep")


def test_sessions_are_found_at_any_depth_oldest_first() -> None:
    write("past", session(3, 0.75, "c"), session(1, 0.25, "a"), session(2, 0.5, "b"))
    history = read_history(Path("past"), LATER)
    assert history.troubles == ()
    assert [(point.created, point.commit, point.name, point.gates[ITEM]) for point in history.points] == [
        ("2026-09-01T10:00:00+00:00", "a", "2026-09-01/deep/results.json", Outcome(value=0.25, verdict="FAIL")),
        ("2026-09-02T10:00:00+00:00", "b", "2026-09-02/deep/results.json", Outcome(value=0.5, verdict="PASS")),
        ("2026-09-03T10:00:00+00:00", "c", "2026-09-03/deep/results.json", Outcome(value=0.75, verdict="PASS")),
    ]


def test_the_session_itself_and_later_ones_are_no_history() -> None:
    write("past", session(1), session(2), session(3))
    history = read_history(Path("past"), session(2).created)
    assert [point.created[8:10] for point in history.points] == ["01"]


def test_copies_of_a_session_are_one_point() -> None:
    write("past/a", session(1))
    write("past/b", session(1, value=0.75))
    (point,) = read_history(Path("past"), LATER).points
    assert point.name == "b/2026-09-01/deep/results.json"


def test_the_newest_sessions_are_shown() -> None:
    for number in range(MOST + 5):
        made = replace(session(1), created=f"2026-09-01T10:{number // 60:02}:{number % 60:02}+00:00", cells=())
        Path("past").mkdir(exist_ok=True)
        write_reports(made, Path("past") / str(number))
    history = read_history(Path("past"), LATER)
    assert (len(history.points), history.points[0].name) == (MOST, "5/results.json")


def test_shards_alone_are_left_out() -> None:
    write("past", replace(session(1), shard=Shard(index=1, count=2)), session(2))
    history = read_history(Path("past"), LATER)
    assert ([point.created[8:10] for point in history.points], history.troubles) == (["02"], ())


def test_results_of_any_name_and_layout_are_read() -> None:
    write("made", session(1), session(2))
    Path("past").mkdir()
    Path("made/2026-09-01/deep/results.json").rename("past/monday.json")
    document = json.loads(Path("made/2026-09-02/deep/results.json").read_bytes())
    Path("past/tuesday.json").write_text(json.dumps(document), encoding="utf-8")
    assert [point.name for point in read_history(Path("past"), LATER).points] == ["monday.json", "tuesday.json"]


def test_the_rows_of_a_session_are_not_looked_at() -> None:
    write("past", session(1))
    file = Path("past/2026-09-01/deep/results.json")
    head, cells, _ = file.read_text(encoding="utf-8").partition('"cells": [')
    file.write_text(head + cells + "no JSON at all\n  ]\n}\n", encoding="utf-8")
    assert len(read_history(Path("past"), LATER).points) == 1


def test_files_of_other_kinds_are_passed_over() -> None:
    write("past", session(1))
    folder = Path("past/2026-09-01/deep")
    (folder / "results.json").unlink()
    Path("past/package.json").write_text('{"name": "x"}', encoding="utf-8")
    Path("past/torn.json").write_text("{", encoding="utf-8")
    Path("past/empty.json").touch()
    Path("past/folder.json").mkdir()
    assert read_history(Path("past"), LATER) == History()


def damaged(how: str) -> str:
    write("made", session(1))
    text = Path("made/2026-09-01/deep/results.json").read_text(encoding="utf-8")
    if how == "torn":
        return text[: len(text) // 2]
    if how == "torn at the end":
        return text[:-3]
    if how == "empty":
        return ""
    if how == "other version":
        return text.replace('"schema_version": 1', '"schema_version": 2')
    if how == "no time":
        return text.replace("2026-09-01T10:00:00+00:00", "yesterday")
    return text.replace('"verdict": "PASS"', '"verdict": "GOOD"')


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("torn", "not the whole results of a session (Expecting "),
        ("torn at the end", "not the whole results of a session (Expecting ',' delimiter: line "),
        ("empty", "not the whole results of a session (Expecting value: line 1 column 1 (char 0)); it is left out"),
        ("other version", "schema_version is 2, this version of pytest-llmops reads 1; it is left out"),
        ("no time", "not the whole results of a session (Invalid isoformat string: 'yesterday'); it is left out"),
        ("verdict", "not a whole report ('GOOD' is none of 'PASS', 'FAIL', 'INCONCLUSIVE', 'ERROR'); it is left out"),
    ],
)
def test_results_that_are_damaged_are_named_and_left_out(how: str, message: str) -> None:
    write("past", session(2))
    text = damaged(how)
    Path("past/results.json").write_text(text, encoding="utf-8")
    history = read_history(Path("past"), LATER)
    (trouble,) = history.troubles
    assert trouble.startswith(f"history past/results.json: {message}")
    assert trouble.endswith("; it is left out")
    assert len(history.points) == 1


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    Path("past").mkdir()
    os.symlink(tmp_path / "nowhere", "past/results.json")
    assert read_history(Path("past"), LATER).troubles == (
        "history past/results.json: can't be read: No such file or directory; it is left out",
    )


def test_a_folder_that_is_not_there_is_named() -> None:
    assert page_sources(report(), Path.cwd(), "past").troubles == ("history past: there is no such folder",)


def test_a_folder_whose_name_is_no_name_is_named() -> None:
    name = "x" * 5000
    troubles = page_sources(report(), Path.cwd(), name).troubles
    assert troubles == (f"history {name}: can't be read: File name too long",)


def test_the_settings_of_the_session_name_the_history() -> None:
    write("root/past", session(1))
    recorded = replace(report(), created=LATER, settings={"history": "past"})
    assert len(page_sources(recorded, Path("root")).history) == 1
    assert page_sources(recorded, Path("root"), "other").history == ()


def with_texts(result: CellResult, *texts: str) -> CellResult:
    rows = tuple(Row(line_number=number, inputs={"text": text}, output={}) for number, text in enumerate(texts))
    return replace(result, run=replace(result.run, rows=rows))


def compared(baseline: Report | None = None, place: str = "kept") -> Report:
    if baseline is not None:
        write_reports(baseline, Path("kept"))
    return replace(report(), baselines={EXPERIMENT: place})


def test_a_baseline_is_read_with_the_cells_of_its_experiment() -> None:
    other = replace(cell_result(), cell=replace(cell(), experiment="other.yaml", use_case="other"))
    kept = replace(report(cells=(other, cell_result(FEW_SHOT), cell_result())), created="2026-08-01T10:00:00+00:00")
    sources = page_sources(compared(kept), Path.cwd())
    found = sources.baselines[EXPERIMENT]
    assert [result.cell.id for result in found.cells] == [cell().id, cell(FEW_SHOT).id]
    assert (found.created, sources.problems, sources.troubles) == (kept.created, {EXPERIMENT: ""}, ())


def test_a_cell_that_the_baseline_does_not_have_is_named() -> None:
    sources = page_sources(compared(report(cells=(cell_result(),))), Path.cwd())
    assert len(sources.baselines[EXPERIMENT].cells) == 1
    assert sources.problems[EXPERIMENT].startswith(
        f"baseline kept: no cell {cell(FEW_SHOT).id} (it has: {cell().id}); run pytest and save one with"
    )
    assert sources.troubles == ()


def test_a_baseline_of_another_dataset_is_named() -> None:
    sources = page_sources(compared(report(cells=(with_texts(cell_result(), "x", "y", "z"),))), Path.cwd())
    assert sources.baselines[EXPERIMENT].cells == ()
    first, _ = sources.problems[EXPERIMENT].split("\n")
    assert first.startswith(f"{cell().id}: another dataset: only 0 of this run's 2 rows are the same; save")


def test_a_baseline_that_can_not_be_read_is_named() -> None:
    sources = page_sources(compared(place="nowhere.json"), Path.cwd())
    message = "baseline nowhere.json: there is none; run pytest and save one with: llmops baseline save"
    assert (sources.baselines, sources.problems) == ({}, {EXPERIMENT: message})
    assert sources.troubles == (message,)


def test_a_baseline_that_is_torn_is_named() -> None:
    Path("kept.json").write_text('{"schema_version": 1,', encoding="utf-8")
    (trouble,) = page_sources(compared(place="kept.json"), Path.cwd()).troubles
    assert trouble.startswith("baseline kept.json: not valid JSON (")


def test_a_baseline_whose_name_is_no_name_is_named() -> None:
    (trouble,) = page_sources(compared(place="x" * 5000), Path.cwd()).troubles
    assert trouble.endswith("can't be read: File name too long")


def test_what_is_decided_again_is_shown_beside_the_baseline_of_now(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree("reports", "before")
    change(folder, "experiment.yaml", '{accuracy: ">= 0.6"}', "{accuracy: {max_drop: 0.4}}")
    assert main(["regate", "--baseline", "before"]) == 0
    assert read_results(Path("reports")).baselines == {"experiment.yaml": "before"}
    assert '"baseline":{"path":"before","created":"2' in Path("reports/index.html").read_text(encoding="utf-8")
    assert capsys.readouterr().err == ""


def test_deciding_again_names_a_history_that_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_results(folder / "reports")
    write_reports(replace(before, settings={**before.settings, "history": "past"}), Path("reports"))
    assert main(["regate"]) == 0
    assert capsys.readouterr().err == "history past: there is no such folder\n"
