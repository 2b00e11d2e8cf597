"""Deciding again on recorded results."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_case import ROWS, X, Y, change, record, write_case, write_rows

import pytest_llmops as llmops
from pytest_llmops.baselines import Baselines, read_results
from pytest_llmops.cli import main
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.gate import Cell, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Variant
from pytest_llmops.regating import left_out, regate
from pytest_llmops.reports.console import summary_lines
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


def test_cells_that_are_no_longer_planned_are_left_out(folder: Path) -> None:
    before = read_results(folder / "reports")
    change(folder, "experiment.yaml", "[x, y]", "[x]")
    after = again(folder)
    assert [result.cell.id for result in after.cells] == [X]
    assert left_out(before, after) == [f"experiment.yaml::{Y}"]


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
    assert left_out(more, after) == []


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
    expected = replace(again(folder), settings={"report-dir": "reports"})
    assert run() == 0
    last = f"0 LLM calls: decided on the results of {expected.created}"
    assert capsys.readouterr().out.splitlines() == [*summary_lines(expected), last]


def test_a_closed_gate_is_exit_code_1_and_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("experiment.yaml", "--threshold", "check.accuracy=>= 0.9", "--report-dir", "strict") == 1
    said = capsys.readouterr().out
    assert said.startswith(
        f"FAIL check.accuracy[{X}]: 0.8333, required >= 0.9 (n = 12, 95 % CI 0.55 to 0.95)\n  row 5: "
    )
    assert "\ngate: closed: 1 of 4 gates failed\n0 LLM calls: decided on the results of " in said
    assert json.loads(Path("strict/gate.json").read_text(encoding="utf-8"))["state"] == "closed"
    assert json.loads(Path("reports/gate.json").read_text(encoding="utf-8"))["state"] == "open"
    assert run("--results", "strict/results.json") == 0
    assert json.loads(Path("strict/gate.json").read_text(encoding="utf-8"))["state"] == "open"


def test_cells_that_are_left_out_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "experiment.yaml", "[x, y]", "[x]")
    assert run() == 0
    assert capsys.readouterr().out.startswith(f"experiment.yaml::{Y}: no longer planned, left out\n")


def test_an_overlay_is_read_if_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "experiment.strict.yaml").write_text("llmops: {thresholds: {check.accuracy: '>= 0.9'}}\n", "utf-8")
    assert (run(), run("--env", "strict"), run()) == (0, 1, 1)
    assert read_results(folder / "reports").settings["env"] == "strict"


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
