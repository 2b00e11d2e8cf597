"""Baselines: saved from sessions, and found again."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded_case import X, Y, change, record
from report_samples import FEW_SHOT, cell, cell_result, metric_gate, report, reused, run_gate

import pytest_llmops as llmops
from pytest_llmops.baselines import (
    Baselines,
    commit_of,
    default_output,
    find_cell,
    read_baseline,
    read_results,
    save,
)
from pytest_llmops.cli import main
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.experiment import BaselineSource, Experiment
from pytest_llmops.records.report import COMMIT, Report
from pytest_llmops.records.run import Row, RunResult, Variant
from pytest_llmops.reports.results import document
from pytest_llmops.reports.write import write_reports

SAVE = "run pytest and save one with: llmops baseline save"
FILE = Path("baselines/shouting.json")


def loaded() -> Experiment:
    return llmops.load("experiment.yaml", root=Path.cwd())


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(LLMOpsError) as error:
        action()
    return str(error.value)


def run(*arguments: str) -> int:
    return main(["baseline", *arguments])


# Saving


def test_what_is_saved_comes_back(folder: Path) -> None:
    before = read_results(folder / "reports")
    saved = save(before, "experiment.yaml", loaded(), FILE)
    back = read_baseline(FILE)
    assert document(back) == document(saved)
    assert back.created == before.created
    assert [result.cell for result in back.cells] == [result.cell for result in before.cells]
    assert [result.digest for result in back.cells] == [result.digest for result in before.cells]
    assert [r.evaluations["check"].result.metrics for r in back.cells] == [
        r.evaluations["check"].result.metrics for r in before.cells
    ]


def test_a_baseline_is_small_and_has_a_line_for_each_row(folder: Path) -> None:
    save(read_results(folder / "reports"), "experiment.yaml", loaded(), FILE)
    text = FILE.read_text(encoding="utf-8")
    assert len(text) < 0.5 * len(Path("reports/results.json").read_text(encoding="utf-8"))
    rows = [json.loads(line.strip().rstrip(",")) for line in text.splitlines() if '"word": "w7"' in line]
    assert [(row["line_number"], row["inputs"]) for row in rows] == [(7, {"word": "w7"})] * 2
    assert text.endswith("}\n")


def test_saving_twice_gives_the_same_file(folder: Path) -> None:
    results = read_results(folder / "reports")
    save(results, "experiment.yaml", loaded(), FILE)
    first = FILE.read_bytes()
    save(results, "experiment.yaml", loaded(), FILE)
    assert FILE.read_bytes() == first
    assert list(FILE.parent.iterdir()) == [FILE]


def test_values_that_json_lacks_come_back_as_from_any_results(folder: Path) -> None:
    row = Row(line_number=0, inputs={"text": "\ud800"}, output={"x": math.nan, "y": [None, {"z": ()}], "w": {}})
    odd = replace(cell_result(), run=RunResult(status="Completed", rows=(row,)))
    saved = save(report(run_gate(), cells=(odd,)), odd.cell.experiment, loaded(), FILE, force=True)
    assert document(read_baseline(FILE)) == document(saved)
    assert saved.cells[0].run.rows[0].inputs == {"text": "\ud800"}


def test_times_of_reuse_and_details_of_gates_are_not_saved(folder: Path) -> None:
    gate = metric_gate(details=("row 0",), recorded=1.0)
    saved = save(report(gate, cells=(reused(cell_result()),)), gate.experiment, loaded(), FILE, force=True)
    assert saved.cells[0].run.oldest is None
    assert (saved.gates[0].details, saved.gates[0].recorded) == ((), None)
    assert '"recorded"' not in FILE.read_text(encoding="utf-8")


def test_only_what_the_experiment_is_about_is_saved(folder: Path) -> None:
    results = read_results(folder / "reports")
    other = replace(cell_result(), cell=replace(cell(), experiment="other.yaml"))
    failed = metric_gate(verdict="FAIL")
    both = replace(
        results,
        experiments={**results.experiments, "other.yaml": "other", failed.experiment: "ner"},
        cells=(*results.cells, other),
        gates=(*results.gates, failed),
        decision=replace(
            results.decision,
            state="closed",
            reasons=(f"FAIL {failed.item}", "other.yaml: only 1 of 2 items were decided"),
        ),
        settings={"llm": "replay", "concurrency": "16", "report-dir": "reports"},
    )
    saved = save(both, "experiment.yaml", loaded(), FILE)
    assert (saved.experiments, saved.settings) == ({"experiment.yaml": "shouting"}, {"llm": "replay"})
    assert (saved.decision.state, {result.cell.id for result in saved.cells}) == ("open", {X, Y})


def test_the_commit_is_noted(folder: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "experiment.yaml"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    before = record(folder)
    change(folder, "experiment.yaml", "0.6", "0.7")
    assert save(before, "experiment.yaml", loaded(), FILE).versions[COMMIT] == commit
    assert save(record(folder), "experiment.yaml", loaded(), FILE).versions[COMMIT] == f"{commit}-dirty"


def test_no_commit_is_noted_outside_of_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commit_of(folder) == {}
    assert COMMIT not in save(read_results(folder / "reports"), "experiment.yaml", loaded(), FILE).versions
    monkeypatch.setenv("PATH", "")
    assert commit_of(folder) == {}


REFUSED = "experiment.yaml: not good enough for a baseline; make it so, or save it with --force:\n  "


def closed(folder: Path, *reasons: str, **changes: Any) -> Report:
    results = replace(read_results(folder / "reports"), **changes)
    return replace(results, decision=replace(results.decision, state="closed", reasons=reasons))


def test_a_closed_gate_is_refused(folder: Path) -> None:
    results = read_results(folder / "reports")
    gates = tuple(replace(gate, blocking=True) for gate in results.gates)
    before = closed(folder, f"FAIL check.accuracy[{Y}]", gates=gates)
    message = refused(lambda: save(before, "experiment.yaml", loaded(), FILE))
    assert message == f"{REFUSED}FAIL check.accuracy[{Y}]: 0, required >= 0.6 (n = 12, 95 % CI 0.00 to 0.24)"
    assert not FILE.exists()
    forced = save(before, "experiment.yaml", loaded(), FILE, force=True)
    assert (forced.settings["forced"], forced.decision.state) == ("true", "closed")


@pytest.mark.parametrize(
    "reason", ["tests/test_words.py::test_words: test failed", "experiment.yaml: only 1 of 4 items were decided"]
)
def test_a_session_that_something_else_closed_is_refused(folder: Path, reason: str) -> None:
    before = closed(folder, reason)
    assert refused(lambda: save(before, "experiment.yaml", loaded(), FILE)) == REFUSED + reason


def test_a_part_of_the_rows_or_variants_is_refused(folder: Path) -> None:
    before = replace(read_results(folder / "reports"), settings={"max-rows": "5", "variants": "defaults"})
    assert refused(lambda: save(before, "experiment.yaml", loaded(), FILE)) == (
        f"{REFUSED}the session was limited to a part: max-rows 5\n"
        "  the session was limited to a part: variants defaults\n"
        "  dataset 'words' has 5 rows, not 12; run pytest again\n"
        f"  cell {Y} is no longer planned"
    )
    assert save(before, "experiment.yaml", loaded(), FILE, force=True).settings == {
        "max-rows": "5",
        "variants": "defaults",
        "forced": "true",
    }


def test_an_experiment_without_results_is_refused(folder: Path) -> None:
    before = read_results(folder / "reports")
    assert refused(lambda: save(before, "other.yaml", loaded(), FILE)) == (
        "other.yaml: the session has no results of it; run pytest on it"
    )


def test_a_file_that_can_not_be_written_is_named(folder: Path) -> None:
    before = read_results(folder / "reports")
    Path("baselines").write_text("in the way", encoding="utf-8")
    message = refused(lambda: save(before, "experiment.yaml", loaded(), FILE))
    assert message.startswith("baselines/shouting.json: can't be written: ")
    assert message.endswith("; name another file with --output")


def compare_with_a_baseline(folder: Path, threshold: str) -> None:
    change(folder, "experiment.yaml", '">= 0.6"', threshold)
    change(folder, "experiment.yaml", "llmops:\n", f"llmops:\n  baseline: {FILE.as_posix()}\n")


@pytest.mark.parametrize("threshold", ["{min: 0.6, max_drop: 0.1}", "{keep_passing: true}"])
def test_a_gate_that_only_lacks_its_baseline_can_become_one(folder: Path, threshold: str) -> None:
    compare_with_a_baseline(folder, threshold)
    before = record(folder)
    assert before.decision.reasons == (f"ERROR check.accuracy[{X}]", f"ERROR check.accuracy[{Y}]")
    change(folder, "experiment.yaml", "[x, y]", "[x]")
    before = record(folder)
    assert "forced" not in save(before, "experiment.yaml", loaded(), FILE).settings
    assert record(folder).decision.state == "open"


def test_a_gate_that_lacks_its_baseline_and_more_can_not(folder: Path) -> None:
    compare_with_a_baseline(folder, "{min: 0.9, max_drop: 0.1}")
    before = record(folder)
    message = refused(lambda: save(before, "experiment.yaml", loaded(), FILE))
    assert message.startswith(f"{REFUSED}ERROR check.accuracy[{X}]: 0.8333, required >= 0.9")


def test_results_of_a_version_that_changed_since_do_not_become_a_first_baseline(folder: Path) -> None:
    compare_with_a_baseline(folder, "{max_drop: 0.1}")
    before = record(folder)
    change(folder, "shout.py", "upper", "lower")
    assert refused(lambda: save(before, "experiment.yaml", loaded(), FILE)).startswith(REFUSED)


CHANGED = "since these results were recorded; run pytest again"


def test_results_of_a_version_that_changed_since_are_refused(folder: Path) -> None:
    before = read_results(folder / "reports")
    change(folder, "check.py", "==", "!=")
    reason = f"evaluator 'check' or its settings changed {CHANGED}"
    assert refused(lambda: save(before, "experiment.yaml", loaded(), FILE)) == f"{REFUSED}{reason}"
    change(folder, "shout.py", "upper", "lower")
    reason = f"flow 'Shout' or its settings changed {CHANGED}"
    assert refused(lambda: save(before, "experiment.yaml", loaded(), FILE)) == f"{REFUSED}{reason}"
    assert save(before, "experiment.yaml", loaded(), FILE, force=True).settings["forced"] == "true"


def test_thresholds_of_a_command_line_and_results_that_were_decided_again_are_refused(folder: Path) -> None:
    before = read_results(folder / "reports")
    given = replace(before, settings={"thresholds": "check.accuracy >= 0", "regated": "true"})
    assert refused(lambda: save(given, "experiment.yaml", loaded(), FILE)) == (
        f"{REFUSED}thresholds were given on the command line: check.accuracy >= 0\n"
        "  it was decided again since the session; run pytest again"
    )
    saved = save(given, "experiment.yaml", loaded(), FILE, force=True)
    assert saved.settings == {"thresholds": "check.accuracy >= 0", "regated": "true", "forced": "true"}


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 1, "cells": 3}', None])
def test_what_is_no_baseline_is_not_overwritten(folder: Path, content: str | None) -> None:
    target = Path("precious.json")
    if content is None:
        target.mkdir()
    else:
        target.write_text(content, encoding="utf-8")
    message = refused(lambda: save(read_results(folder / "reports"), "experiment.yaml", loaded(), target, force=True))
    assert message == (
        "precious.json: it is there and is no baseline, so it is not overwritten; name another file with --output"
    )
    assert content is None or target.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("name", ["experiment.yaml", "new.txt", "new"])
def test_a_baseline_is_a_json_file(folder: Path, name: str) -> None:
    before = read_results(folder / "reports")
    assert refused(lambda: save(before, "experiment.yaml", loaded(), Path(name))) == (
        f"{name}: a baseline is a file that ends in .json; name one with --output"
    )


def test_a_baseline_is_saved_where_it_is_looked_for(folder: Path) -> None:
    experiment = loaded()
    assert default_output(experiment) == folder / "baselines" / "shouting.json"
    here = replace(experiment, baseline=BaselineSource(path=folder / "elsewhere.json"))
    assert default_output(here) == folder / "elsewhere.json"
    variant = replace(experiment, baseline=BaselineSource(variant="a"))
    assert default_output(variant) == folder / "baselines" / "shouting.json"


@pytest.mark.parametrize("path", ["main", "main/results.json"])
def test_what_another_session_wrote_is_not_overwritten(folder: Path, path: str) -> None:
    experiment = replace(loaded(), baseline=BaselineSource(path=folder / path))
    assert refused(lambda: default_output(experiment)) == (
        f"{path}: this baseline is what another session wrote; name a file with --output"
    )


# Reading


def test_a_folder_of_reports_is_a_baseline(folder: Path) -> None:
    assert read_baseline(folder / "reports") == read_baseline(folder / "reports" / "results.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is none"),
        ("", "not valid JSON (Expecting value: line 1 column 1 (char 0))"),
        ('{"schema_version": 1, "cells": [', "not valid JSON (Expecting value: line 1 column 33 (char 32))"),
        ("[]", "not the results of a session: schema_version is missing"),
        ('{"gates": []}', "not the results of a session: schema_version is missing"),
        ('{"schema_version": 0}', "schema_version is 0, this version of pytest-llmops reads 1"),
        ('{"schema_version": 1, "cells": 3}', "not a whole report (3 is not a list)"),
    ],
    ids=["missing", "empty", "torn", "list", "foreign", "older", "misshapen"],
)
def test_what_is_no_baseline_is_refused_in_one_line(
    folder: Path, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("b.json").write_text(content, encoding="utf-8")
    message = f"baseline b.json: {message}; {SAVE}"
    assert refused(lambda: read_baseline(folder / "b.json")) == message
    for arguments in (["show", "b.json"], ["diff", "b.json"]):
        assert run(*arguments) == 4
        assert capsys.readouterr().err == f"{message}\n"


def test_a_folder_without_results_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert refused(lambda: read_baseline(folder / "empty")) == f"baseline empty: the folder has no results.json; {SAVE}"


def test_a_cell_is_found_by_its_file_or_by_its_name_where_that_was_moved() -> None:
    here = cell_result()
    moved = replace(here, cell=replace(here.cell, experiment="old/experiment.yaml"))
    assert find_cell(report(cells=(moved, here)), cell(), "b") == here
    assert find_cell(report(cells=(moved,)), cell(), "b") == moved


def test_a_cell_that_is_not_there_is_named() -> None:
    both = report()
    other = replace(cell(), variant=Variant(id="cot"))
    assert refused(lambda: find_cell(both, other, "b.json")) == (
        "baseline b.json: no cell ner_extract-general-cot "
        f"(it has: ner_extract-general-terse, ner_extract-general-few_shot); {SAVE}"
    )
    stranger = replace(cell(), experiment="x.yaml", use_case="x")
    assert refused(lambda: find_cell(both, stranger, "b.json")) == (
        f"baseline b.json: no results of 'x' (it has: ner); {SAVE}"
    )
    moved = [replace(r, cell=replace(r.cell, experiment=f"{n}.yaml")) for n, r in enumerate(both.cells)]
    assert refused(lambda: find_cell(report(cells=tuple(moved)), cell(), "b.json")) == (
        "baseline b.json: 0.yaml and 1.yaml are both named 'ner', and neither is evals/ner/experiment.yaml"
    )


def test_a_variant_or_nothing_needs_no_file(folder: Path) -> None:
    experiment = loaded()
    assert Baselines().finder(experiment) is None
    assert Baselines().finder(replace(experiment, baseline=BaselineSource(variant="a"))) is None
    assert Baselines(Path("b.json")).finder(experiment) is not None
    assert Baselines().source(replace(experiment, baseline=BaselineSource(path=Path("c.json")))) == Path("c.json")


# The command


def test_save_says_what_it_saved_and_how_to_use_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("save") == 0
    assert capsys.readouterr().out == (
        "saved: baselines/shouting.json (2 cells, 24 rows)\n"
        "to have it compared with, write in experiment.yaml: llmops: {baseline: baselines/shouting.json}\n"
    )
    change(folder, "experiment.yaml", "llmops:\n", "llmops:\n  baseline: kept.json\n")
    assert run("save", "--experiment", "./experiment.yaml") == 0
    assert capsys.readouterr().out == "saved: kept.json (2 cells, 24 rows)\n"
    assert run("save", "--output", "other/b.json") == 0
    assert Path("other/b.json").read_bytes() == Path("kept.json").read_bytes()


def test_save_goes_where_the_file_says_and_not_to_what_the_session_was_compared_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("save", "--output", "theirs.json") == 0
    theirs = Path("theirs.json").read_bytes()
    write_reports(replace(read_results(folder / "reports"), settings={"baseline": "theirs.json"}), folder / "reports")
    capsys.readouterr()
    assert run("save") == 0
    assert capsys.readouterr().out.startswith("saved: baselines/shouting.json (2 cells, 24 rows)\nto have it ")
    assert Path("theirs.json").read_bytes() == theirs


def test_save_finds_an_experiment_however_its_path_is_spelt(folder: Path) -> None:
    assert run("save", "--experiment", "a/../experiment.yaml") == 0
    assert run("save", "--experiment", str(folder / "experiment.yaml")) == 0


def test_save_of_a_folder_says_which_file_to_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("save", "--experiment", ".") == 4
    assert capsys.readouterr().err == "--experiment: . is a folder; name the file: experiment.yaml\n"
    assert run("save", "--experiment", "reports") == 4
    assert capsys.readouterr().err == (
        "--experiment: reports is a folder; name an experiment file that the session was on\n"
    )


def test_save_to_one_file_wants_one_experiment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = read_results(folder / "reports")
    write_reports(replace(results, experiments={**results.experiments, "other.yaml": "other"}), folder / "reports")
    assert run("save", "--output", "b.json") == 4
    assert capsys.readouterr().err == "--output: the session has 2 experiments; choose one with --experiment\n"


def test_save_wants_results(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("save", "--results", "nowhere") == 4
    assert capsys.readouterr().err == "nowhere: there is none; run pytest, or name the folder of its reports\n"


def test_show_says_what_a_baseline_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created = read_results(folder / "reports").created
    run("save")
    capsys.readouterr()
    assert run("show", FILE.as_posix()) == 0
    assert capsys.readouterr().out == (
        f"created: {created}\n"
        "commit: unknown\n"
        "settings: llm replay\n"
        f"experiment.yaml: {X}: 12 rows\n"
        "  check: accuracy 0.8333 (n = 12)\n"
        f"experiment.yaml: {Y}: 12 rows\n"
        "  check: accuracy 0 (n = 12)\n"
    )


def test_show_tells_what_was_forced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = replace(read_results(folder / "reports"), settings={"max-rows": "12"})
    save(part, "experiment.yaml", loaded(), FILE, force=True)
    assert run("show", FILE.as_posix()) == 0
    assert capsys.readouterr().out.splitlines()[2:4] == [
        "settings: forced true, max-rows 12",
        "saved with --force: its gate was closed, it is of a part of the rows or variants, its thresholds were given "
        "on a command line, it was decided again, or files had changed since",
    ]


def test_diff_compares_the_last_session(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("save")
    capsys.readouterr()
    assert run("diff", FILE.as_posix()) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"shouting (experiment.yaml): {X}", "  12 rows in common, with the very same outputs"]


def test_failed_rows_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_reports(report(run_gate(), metric_gate(FEW_SHOT)), Path("other"))
    assert run("show", "other") == 0
    assert "evals/ner/experiment.yaml: ner_extract-general-terse: 2 rows, 1 failed" in capsys.readouterr().out
