"""Files: all of them, each whole, and never an old decision beside new results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import HOSTILE, cell_result, metric_gate, report, run_gate

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.reports import write
from pytest_llmops.reports.results import ordered, read
from pytest_llmops.reports.write import remove_decision, render, write_reports


def test_files_in_the_order_in_which_they_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "reports"
    files = [file.relative_to(folder).as_posix() for file in write_reports(report(), folder)]
    assert files == [
        "results.json",
        "ner/matcher_result.csv",
        "ner/matcher_result.html",
        "ner/matcher_metrics.csv",
        "ner/matcher_metrics.html",
        "ner_result.csv",
        "ner_result.html",
        "ner_metrics.csv",
        "ner_metrics.html",
        "failures/ner_extract-general-terse-52bd1b8a-22898ebd.txt",
        "summary.md",
        "index.html",
        "gate.json",
    ]
    assert sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*")) == sorted(files)


def test_files_hold_what_was_rendered(tmp_path: Path) -> None:
    write_reports(report(), tmp_path)
    for name, text in render(report()).items():
        assert (tmp_path / name).read_bytes() == text.encode()


def test_results_are_read_back(tmp_path: Path) -> None:
    write_reports(report(), tmp_path)
    assert read(tmp_path / "results.json") == ordered(report())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_written_and_read_back(text: str, tmp_path: Path) -> None:
    session = report(metric_gate(), cells=(cell_result(output=text),))
    write_reports(session, tmp_path)
    assert read(tmp_path / "results.json") == ordered(session)


def test_a_second_session_replaces_the_first(tmp_path: Path) -> None:
    write_reports(report(), tmp_path)
    (tmp_path / "ner" / "kept.txt").touch()
    write_reports(replace(report(run_gate(), cells=()), experiments={"b.yaml": "b"}), tmp_path)
    assert json.loads((tmp_path / "gate.json").read_bytes())["state"] == "open"
    assert read(tmp_path / "results.json").experiments == {"b.yaml": "b"}
    assert (tmp_path / "ner" / "kept.txt").exists()
    assert (tmp_path / "ner" / "matcher_result.csv").exists()


def test_a_session_that_breaks_off_leaves_no_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(report(run_gate()), tmp_path)

    def out_of_space(file: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "replace_file", out_of_space)
    with pytest.raises(LLMOpsError) as raised:
        write_reports(report(), tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: reports can't be written: No space left on device; "
        "give a folder that can, with --llmops-report-dir"
    )
    assert not (tmp_path / "gate.json").exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.write_text("", encoding="utf-8")
    with pytest.raises(LLMOpsError) as raised:
        write_reports(report(), folder)
    assert str(raised.value) == (
        f"{folder}: reports can't be written: Not a directory; give a folder that can, with --llmops-report-dir"
    )


def test_no_temporary_file_is_left_where_a_file_can_not_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "summary.md").mkdir()
    with pytest.raises(LLMOpsError, match="Is a directory"):
        write_reports(report(), tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_remove_decision(tmp_path: Path) -> None:
    write_reports(report(), tmp_path)
    remove_decision(tmp_path)
    remove_decision(tmp_path / "missing")
    assert not (tmp_path / "gate.json").exists()
