"""Deciding again on recorded results."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded_case import ROWS, X, Y, change, record, write_case, write_rows

import pytest_llmops as llmops
from pytest_llmops.baselines import Baselines, read_results
from pytest_llmops.cli import main
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.gate import Cell, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Variant
from pytest_llmops.regating import regate, undecided
from pytest_llmops.reports.console import summary_lines
from pytest_llmops.reports.write import write_reports
from pytest_llmops.subjects import subject_of
from pytest_llmops.thresholds import parse_threshold

AGAIN = "run pytest again"


def again(folder: Path, *rules: str, report: Report | None = None, baseline: Path | None = None) -> Report:
    experiment = llmops.load("experiment.yaml", root=folder)
    thresholds = [parse_threshold(rule, "test") for rule in rules]
    report = report or read_results(folder / "reports")
    finder = Baselines(baseline).finder
    return regate(report, {"experiment.yaml": experiment}, thresholds=thresholds, baselines=finder)


def gate_of(report: Report, item: str) -> GateResult:
    return next(gate for gate in report.gates if gate.item == item)


def test_the_same_thresholds_give_the_same_verdicts(folder: Path) -> None:
    before = read_results(folder / "reports")
    after = again(folder)
    assert {gate.item: gate for gate in after.gates} == {gate.item: gate for gate in before.gates}
    assert (after.decision.state, after.created, after.settings["regated"]) == ("open", before.created, "true")
    assert {result.cell.id for result in after.cells} == {X, Y}


def test_what_was_decided_on_stays_what_was_evaluated(folder: Path) -> None:
    report = llmops.read("reports")
    assert report.subjects["experiment.yaml"].flow == "Shout"
    change(folder, "shout.py", "upper", "lower")
    assert report.regate(llmops.load("experiment.yaml")).subjects == report.subjects


def test_what_it_was_decided_by_is_what_the_file_says_now(folder: Path) -> None:
    before = llmops.read("reports").subjects["experiment.yaml"]
    change(folder, "experiment.yaml", ">= 0.6", ">= 0.7")
    after = again(folder).subjects["experiment.yaml"]
    assert (after.flow, after.digest, after.data) == (before.flow, before.digest, before.data)
    assert after.criteria == subject_of(llmops.load("experiment.yaml")).criteria != before.criteria


def test_a_new_threshold_of_the_file_is_decided_on(folder: Path) -> None:
    change(folder, "experiment.yaml", ">= 0.6", ">= 0.9")
    after = again(folder)
    assert gate_of(after, f"check.accuracy[{X}]").verdict == "FAIL"
    assert after.decision.reasons == (f"FAIL check.accuracy[{X}]",)


def test_a_threshold_that_is_given_replaces_that_of_the_file(folder: Path) -> None:
    after = again(folder, "check.accuracy=>= 0.9", "run.rows=>= 12")
    assert gate_of(after, f"check.accuracy[{X}]").verdict == "FAIL"
    assert gate_of(after, f"run.rows[{X}]").verdict == "PASS"


def test_another_requirement_of_variants_is_decided_on(folder: Path) -> None:
    change(folder, "experiment.yaml", "llmops:\n", "llmops:\n  gate: {require: all}\n")
    assert again(folder).decision.reasons == (f"FAIL check.accuracy[{Y}]",)


def test_a_threshold_per_slice_reads_a_column_that_was_not_recorded(folder: Path) -> None:
    slices = "llmops:\n  slices: {by: [half], thresholds: {check.accuracy: '>= 0.9'}}\n"
    change(folder, "experiment.yaml", "llmops:\n", slices)
    gate = gate_of(again(folder), f"check.accuracy@half[{X}]")
    assert {(part.value, part.score) for part in gate.slices} == {("first", 5 / 6), ("second", 5 / 6)}


@pytest.mark.parametrize(
    ("file", "old", "new", "item", "reason"),
    [
        ("shout.py", "upper", "lower", "check.accuracy", "flow 'Shout' or its settings changed since these results"),
        ("shout.py", "upper", "lower", "run", "flow 'Shout' or its settings changed since these results"),
        ("check.py", "==", "!=", "check.accuracy", "evaluator 'check' or its settings changed since these results"),
    ],
)
def test_what_another_version_gave_is_not_decided_on(
    folder: Path, file: str, old: str, new: str, item: str, reason: str
) -> None:
    change(folder, file, old, new)
    after = again(folder)
    gate = gate_of(after, f"{item}[{X}]")
    assert (gate.verdict, gate.reason) == ("ERROR", f"{reason} were recorded; {AGAIN}")
    assert after.decision.state == "closed"


def test_a_run_stands_although_its_evaluator_changed(folder: Path) -> None:
    change(folder, "check.py", "==", "!=")
    assert gate_of(again(folder), f"run[{X}]").verdict == "PASS"


def test_an_evaluator_whose_mapping_changed_is_another_one(folder: Path) -> None:
    change(folder, "experiment.yaml", 'gold: "${data.gold}"', 'gold: "${data.word}"')
    assert gate_of(again(folder), f"check.accuracy[{X}]").reason == (
        f"evaluator 'check' or its settings changed since these results were recorded; {AGAIN}"
    )


def test_a_cell_that_was_not_recorded_is_an_error(folder: Path) -> None:
    change(folder, "experiment.yaml", "[x, y]", "[x, y, z]")
    after = again(folder)
    gate = gate_of(after, "check.accuracy[Shout-words-init.ending=z]")
    assert (gate.verdict, gate.reason) == ("ERROR", f"no result of this cell was recorded; {AGAIN}")
    assert {result.cell.id for result in after.cells} == {X, Y}


def test_an_evaluator_that_was_not_recorded_is_an_error(folder: Path) -> None:
    before = read_results(folder / "reports")
    bare = replace(before, cells=tuple(replace(result, evaluations={}) for result in before.cells))
    gate = gate_of(again(folder, report=bare), f"check.accuracy[{X}]")
    assert (gate.verdict, gate.reason) == ("ERROR", f"no result of evaluator 'check' was recorded; {AGAIN}")


def test_data_of_another_length_is_an_error(folder: Path) -> None:
    write_rows(folder, ROWS[:11])
    assert gate_of(again(folder), f"run[{X}]").reason == f"dataset 'words' has 11 rows, not 12; {AGAIN}"


def test_data_with_other_values_in_a_column_that_was_recorded_is_an_error(folder: Path) -> None:
    before = read_results(folder / "reports")
    cells = tuple(replace(result, columns={"half": ("a",) * 12}) for result in before.cells)
    write_rows(folder, [{**row, "half": "b"} for row in ROWS])
    change(folder, "experiment.yaml", "llmops:\n", "llmops:\n  slices: {by: [half]}\n")
    after = again(folder, report=replace(before, cells=cells))
    assert gate_of(after, f"run[{X}]").reason == (
        f"column 'half' of the data changed since these results were recorded; {AGAIN}"
    )


def test_another_number_of_repeats_is_an_error(folder: Path) -> None:
    change(folder, "experiment.yaml", "llmops:\n", "llmops:\n  gate: {repeat: 3}\n")
    assert gate_of(again(folder), f"run[{X}]").reason == f"rows are run 3 times, not 1; {AGAIN}"


def test_a_variant_without_trusted_results_can_not_be_the_best(folder: Path) -> None:
    change(folder, "experiment.yaml", "llmops:\n", "llmops:\n  gate: {require: best}\n")
    change(folder, "experiment.yaml", "[x, y]", "[y, z]")
    after = again(folder)
    assert f"FAIL check.accuracy[{Y}]" in after.decision.reasons


def test_cells_that_are_no_longer_planned_are_kept_and_not_decided_on(folder: Path) -> None:
    before = read_results(folder / "reports")
    change(folder, "experiment.yaml", "[x, y]", "[x]")
    after = again(folder)
    assert after.cells == before.cells
    assert {gate.cell for gate in after.gates} == {X}
    assert (undecided(before), undecided(after)) == ([], [f"experiment.yaml::{Y}"])


def test_a_baseline_is_compared_with(folder: Path) -> None:
    shutil.copytree("reports", "before")
    change(folder, "experiment.yaml", '{accuracy: ">= 0.6"}', "{accuracy: {max_drop: 0.4}}")
    change(folder, "experiment.yaml", "llmops:\n", "llmops:\n  baseline: before\n")
    gate = gate_of(again(folder), f"check.accuracy[{X}]")
    assert (gate.verdict, gate.reason) == ("PASS", "all 12 outputs are the same as in the baseline")


def test_what_closed_the_gate_beside_verdicts_still_does(folder: Path) -> None:
    before = read_results(folder / "reports")
    reasons = (
        "experiment.yaml: only 3 of 4 items were decided",
        f"FAIL check.accuracy[{X}]",
        "other.yaml: only 1 of 2 items were decided",
        "other.yaml::run[a]: test failed",
        "tests/test_words.py::test_words: test failed",
    )
    gates = tuple(replace(gate, verdict="FAIL") for gate in before.gates)
    closed = replace(before, gates=gates, decision=replace(before.decision, state="closed", reasons=reasons))
    assert again(folder, report=closed).decision.reasons == reasons[2:]


def test_verdicts_on_other_experiments_stay(folder: Path) -> None:
    before = read_results(folder / "reports")
    cell = Cell(experiment="other.yaml", use_case="other", flow="f", dataset="d", variant=Variant())
    gate = GateResult(experiment="other.yaml", cell=cell.id, name="run", verdict="ERROR")
    more = replace(
        before,
        experiments={"other.yaml": "other", **before.experiments},
        cells=(*before.cells, replace(before.cells[0], cell=cell)),
        gates=(*before.gates, gate),
    )
    after = again(folder, report=more)
    assert (after.experiments, after.gates[0], len(after.gates)) == (more.experiments, gate, 5)
    assert after.decision.reasons == ("ERROR run[f-d-default]",)
    assert undecided(after) == []


def test_nothing_to_decide_on_is_no_open_gate(folder: Path) -> None:
    before = read_results(folder / "reports")
    assert regate(replace(before, experiments={}), {}).decision.reasons == ("nothing was evaluated",)


def test_the_settings_of_the_session_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_case(tmp_path)
    monkeypatch.chdir(tmp_path)
    report = record(tmp_path, max_rows=3, variants="defaults", repeat=2)
    after = again(tmp_path, report=report)
    assert [(gate.item, gate.verdict, gate.n) for gate in after.gates] == [
        (f"run[{X}]", "PASS", 3),
        (f"check.accuracy[{X}]", "PASS", 3),
    ]


def test_settings_that_are_damaged_are_refused(folder: Path) -> None:
    before = read_results(folder / "reports")
    with pytest.raises(LLMOpsError, match=f"^results: setting max-rows is 'few', not a number; {AGAIN}$"):
        again(folder, report=replace(before, settings={"max-rows": "few"}))


def run(*arguments: str) -> int:
    return main(["regate", *arguments])


def test_the_command_shows_what_a_session_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = replace(again(folder), settings={"report-dir": "reports", "regated": "true"})
    assert run() == 0
    last = f"0 LLM calls: decided on the results of {expected.created}"
    assert capsys.readouterr().out.splitlines() == [*summary_lines(expected), last]


def test_a_closed_gate_is_exit_code_1_and_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("experiment.yaml", "--threshold", "check.accuracy=>= 0.9", "--report-dir", "strict") == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "decided with: thresholds check.accuracy >= 0.9\n"
        f"FAIL check.accuracy[{X}]: 0.8333, required >= 0.9 (n = 12, 95 % CI 0.55 to 0.95)\n  row 5: "
    )
    assert "\ngate: closed: 1 of 4 gates failed\n0 LLM calls: decided on the results of " in said
    assert json.loads(Path("strict/gate.json").read_text(encoding="utf-8"))["state"] == "closed"
    assert json.loads(Path("reports/gate.json").read_text(encoding="utf-8"))["state"] == "open"
    assert run("--results", "strict/results.json") == 0
    assert json.loads(Path("strict/gate.json").read_text(encoding="utf-8"))["state"] == "open"


def test_cells_that_are_not_decided_on_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "experiment.yaml", "[x, y]", "[x]")
    assert run() == 0
    assert capsys.readouterr().out.startswith(f"experiment.yaml::{Y}: no longer planned, not decided on\n")
    assert {result.cell.id for result in read_results(folder / "reports").cells} == {X, Y}


def test_results_of_another_environment_are_not_decided_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "experiment.strict.yaml").write_text("llmops: {thresholds: {check.accuracy: '>= 0.9'}}\n", "utf-8")
    todo = "run pytest with --llmops-env strict, or leave --env out"
    assert run("--env", "strict") == 4
    assert capsys.readouterr().err == f"--env strict: the results are of no environment; {todo}\n"
    write_reports(replace(read_results(folder / "reports"), settings={"env": "dev"}), folder / "reports")
    assert run("--env", "strict") == 4
    assert capsys.readouterr().err == f"--env strict: the results are of environment 'dev'; {todo}\n"
    assert run("--env", "dev") == 4
    assert capsys.readouterr().err == "--env dev: there is no experiment.dev.yaml; add it, or leave --env out\n"


def test_the_overlay_of_the_recorded_environment_is_read(folder: Path) -> None:
    (folder / "experiment.strict.yaml").write_text("llmops: {thresholds: {check.accuracy: '>= 0.9'}}\n", "utf-8")
    write_reports(replace(read_results(folder / "reports"), settings={"env": "strict"}), folder / "reports")
    assert (run(), run("--env", "strict")) == (1, 1)
    assert read_results(folder / "reports").settings["env"] == "strict"


def test_a_baseline_that_is_given_has_to_be_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--baseline", "nowhere.json") == 4
    assert capsys.readouterr().err == (
        "baseline nowhere.json: there is none; run pytest and save one with: llmops baseline save\n"
    )


@pytest.mark.parametrize("arguments", [["--env", "strict"], ["--threshold", "accuracy"], ["--baseline", "nowhere"]])
def test_a_decision_that_could_not_be_made_leaves_none(folder: Path, arguments: list[str]) -> None:
    assert Path("reports/gate.json").exists()
    assert run(*arguments) == 4
    assert not Path("reports/gate.json").exists()


def test_results_that_are_not_there_take_no_decision_away(folder: Path) -> None:
    Path("gate.json").write_text("mine", encoding="utf-8")
    assert run("--results", "nowhere") == 4
    assert Path("gate.json").exists()


def test_a_file_of_another_name_wants_a_folder_for_the_reports(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("reports/results.json", "kept.json")
    assert run("--results", "kept.json") == 4
    assert capsys.readouterr().err == "kept.json: it is no results.json; say where the reports go with --report-dir\n"
    assert run("--results", "kept.json", "--report-dir", "again") == 0
    assert Path("again/gate.json").exists()


def test_a_folder_that_can_not_be_written_is_named_with_its_option(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").write_text("", encoding="utf-8")
    assert run("--report-dir", "taken") == 4
    assert capsys.readouterr().err == (
        "taken: reports can't be written: Not a directory; give a folder that can, with --report-dir\n"
    )


def test_experiments_are_found_however_their_path_is_spelt(folder: Path) -> None:
    assert run("a/../experiment.yaml", str(folder / "experiment.yaml")) == 0


def test_what_was_given_in_place_of_the_file_is_told(folder: Path) -> None:
    shutil.copytree("reports", "before")
    assert run("--threshold", "check.accuracy=>= 0.7", "--threshold", "run.rows=> 1", "--baseline", "before") == 0
    said = "check.accuracy >= 0.7; run.rows > 1"
    settings = json.loads(Path("reports/gate.json").read_text(encoding="utf-8"))["settings"]
    assert settings == {"baseline": "before", "llm": "replay", "regated": "true", "thresholds": said}
    summary = Path("reports/summary.md").read_text(encoding="utf-8")
    assert f"Settings: llm replay, thresholds {said}, regated true, baseline before\n" in summary.replace("\\", "")
    assert run() == 0
    assert "thresholds" not in read_results(folder / "reports").settings


def test_thresholds_that_were_given_before_hold_for_what_is_not_decided_again(folder: Path) -> None:
    before = read_results(folder / "reports")
    more = replace(
        before,
        experiments={"other.yaml": "other", **before.experiments},
        settings={"thresholds": "check.accuracy >= 0.5"},
    )
    after = again(folder, "run.rows=> 1", report=more)
    assert after.settings["thresholds"] == "check.accuracy >= 0.5; run.rows > 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "nowhere"], "nowhere: there is none; run pytest, or name the folder of its reports"),
        (["--results", "."], ".: the folder has no results.json; run pytest, or name the folder of its reports"),
        (["evals/x"], "evals/x: the results have no such experiment (they have: experiment.yaml)"),
        (["--threshold", "accuracy"], "--threshold: 'accuracy' is not EVALUATOR.METRIC=RULE, such as"),
        (["--threshold", "chekc.accuracy=> 1"], "--threshold: chekc.accuracy: no experiment has this evaluator; check"),
        (["--threshold", "run.nothing=> 1"], "--threshold: a run has no metric 'nothing'; it has error_rate, "),
        (["--threshold", "check.accuracy=high"], "--threshold: 'high' is not a rule; write "),
        (["--threshold", "check.accuracy=< 3 s"], "--threshold: '< 3 s' is a duration, but 'check.accuracy' is none; "),
    ],
)
def test_wrong_usage_is_exit_code_4(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_an_experiment_file_that_is_elsewhere_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder / "reports")
    assert run("--results", ".") == 4
    assert capsys.readouterr().err == (
        "experiment.yaml: there is no such file here; be in pytest's rootdir, which the results name it from\n"
    )


def test_data_that_changed_is_an_error(folder: Path) -> None:
    change(folder, "words.jsonl", '"gold": "wrong"', '"gold": "W5x"')
    gate = gate_of(again(folder), f"check.accuracy[{X}]")
    assert (gate.verdict, gate.reason) == (
        "ERROR",
        f"dataset 'words' or its gold changed since these results were recorded; {AGAIN}",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digest": ""}, f"the version that gave these results is not known; {AGAIN}"),
        ({"data": ""}, f"the data that gave these results is not known; {AGAIN}"),
    ],
)
def test_results_of_an_unknown_version_are_not_trusted(folder: Path, changes: dict[str, Any], reason: str) -> None:
    before = read_results(folder / "reports")
    bare = replace(before, cells=tuple(replace(result, **changes) for result in before.cells))
    gate = gate_of(again(folder, report=bare), f"check.accuracy[{X}]")
    assert (gate.verdict, gate.reason) == ("ERROR", reason)


def test_results_of_an_unknown_version_of_an_evaluator_are_not_trusted(folder: Path) -> None:
    before = read_results(folder / "reports")
    cells = []
    for result in before.cells:
        evaluations = {name: replace(found, digest="") for name, found in result.evaluations.items()}
        cells.append(replace(result, evaluations=evaluations))
    after = again(folder, report=replace(before, cells=tuple(cells)))
    gate = gate_of(after, f"check.accuracy[{X}]")
    assert (gate.verdict, gate.reason) == ("ERROR", f"the version that gave these results is not known; {AGAIN}")
    assert gate_of(after, f"run[{X}]").verdict == "PASS"


def test_a_run_whose_mapping_changed_is_another_one(folder: Path) -> None:
    change(folder, "experiment.yaml", 'word: "${data.word}"', 'word: "${data.half}"')
    assert gate_of(again(folder), f"run[{X}]").reason == (
        f"flow 'Shout' or its settings changed since these results were recorded; {AGAIN}"
    )
