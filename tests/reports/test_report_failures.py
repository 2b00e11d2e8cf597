"""Transcripts: what is in them, what is left out, and which ones go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import (
    EXPERIMENT,
    FEW_SHOT,
    HOSTILE,
    cell,
    cell_result,
    comparison,
    metric_gate,
    report,
    run_gate,
    unsure_gate,
)

from pytest_llmops.records.gate import CellResult, Evaluation, Repeat
from pytest_llmops.records.run import Row, RunResult
from pytest_llmops.reports.failures import stale_transcripts, transcript_file, transcripts
from pytest_llmops.reports.write import write_reports

TERSE = transcript_file(EXPERIMENT, cell().id)
FAILED = metric_gate(verdict="FAIL", rule=">= 0.8", score="exact", reason="1 of 2 rows failed")


def scored_cell(scores: list[float], *, output: str = "o", repeats: tuple[Repeat, ...] = ()) -> CellResult:
    """A cell whose rows all ran, with the given scores, and keys k0, k1, ..."""
    ran, evaluated = rows_of(scores, output)
    return replace(
        cell_result(),
        run=ran,
        evaluations={"matcher": evaluated},
        columns={"id": tuple(f"k{number}" for number in range(len(scores)))},
        key="id",
        repeats=repeats,
    )


def rows_of(scores: list[float], output: str = "o") -> tuple[RunResult, Evaluation]:
    ran = [
        Row(line_number=n, inputs={"text": f"text {n}"}, output={"answer": f"{output} {n}"}) for n in range(len(scores))
    ]
    evaluated = [
        Row(line_number=n, inputs={"answer": f"{output} {n}", "gold": f"gold {n}"}, output={"exact": score})
        for n, score in enumerate(scores)
    ]
    return RunResult(status="Completed", rows=tuple(ran)), Evaluation(
        evaluator="matcher",
        dataset="general",
        expected_rows=len(scores),
        result=RunResult(status="Completed", rows=tuple(evaluated)),
        of_run=("answer",),
    )


def transcript(*gates: object, result: CellResult) -> str:
    (text,) = transcripts(report(*gates, cells=(result,))).values()  # type: ignore[arg-type]
    return text


def test_only_cells_that_closed_the_gate_have_one() -> None:
    assert list(transcripts(report())) == [TERSE]
    assert transcripts(report(run_gate(), unsure_gate())) == {}
    assert list(transcripts(report(run_gate(), unsure_gate(on_inconclusive="fail"), cells=()))) == [TERSE]


def test_a_whole_transcript() -> None:
    gates = (run_gate(), unsure_gate(on_inconclusive="warn"), replace(FAILED, details=("row 0: exact 0",)))
    assert transcript(*gates, result=scored_cell([1, 0, 1])) == (
        "evals/ner/experiment.yaml: ner_extract-general-terse\n"
        "2026-09-01T10:00:00+00:00\n"
        "\n"
        "FAIL matcher.exact_match_rate[ner_extract-general-terse]: 0.5, required >= 0.8 (n = 1)\n"
        "1 of 2 rows failed\n"
        "  row 0: exact 0\n"
        "\n"
        "INCONCLUSIVE matcher.exact_match_rate[ner_extract-general-terse]: 0.6, required >= 0.5, at most 0.05 worse, "
        "baseline 0.65, delta -0.05 (95 % bound -0.1537) (n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438)\n"
        "the loss may be as large as 0.1537; 4 rows got worse, 2 better\n"
        "  worse: row 3: 1 -> 0\n"
        "  better: row 5: 0 -> 1\n"
        "  slice language=de: 0.25 (n = 4)\n"
        "\n"
        "ROWS BEHIND THE VERDICTS: 1\n"
        "\n"
        "row 1 (k1)\n"
        "  inputs.text: text 1\n"
        "  outputs.answer: o 1\n"
        "  matcher.inputs.gold: gold 1\n"
        "  matcher.outputs.exact: 0\n"
    )


def test_failed_rows_come_first_with_their_whole_error() -> None:
    error = "ValueError: no entity\n" + "  at deep.py\n" * 99
    known = cell_result()
    run = replace(known.run, rows=(known.run.rows[0], replace(known.run.rows[1], error=error)))
    text = transcript(FAILED, result=replace(known, run=run))
    assert "FAILED ROWS: 1\n\nrow 1\n  inputs.text: Hm.\n  error:\n      ValueError: no entity\n" in text
    assert text.count("        at deep.py\n") == 99


def test_a_row_that_an_evaluator_failed_on_is_a_failed_row() -> None:
    result = scored_cell([1, 1])
    evaluation = result.evaluations["matcher"]
    lost = replace(evaluation.result.rows[1], output=None, error="TypeError: no gold")
    rows = (evaluation.result.rows[0], lost)
    evaluation = replace(evaluation, result=replace(evaluation.result, rows=rows))
    text = transcript(FAILED, result=replace(result, evaluations={"matcher": evaluation}))
    assert "FAILED ROWS: 1\n\nrow 1 (k1)\n" in text
    assert text.endswith("  matcher.inputs.gold: gold 1\n  matcher.error: TypeError: no gold\n")


def test_what_broke_a_whole_run() -> None:
    broken = RunResult(status="Failed", error="ImportError: no module\nnamed torch")
    evaluation = replace(rows_of([])[1], result=RunResult(status="Completed", aggregation_error="ZeroDivisionError"))
    result = replace(cell_result(), run=broken, evaluations={"matcher": evaluation})
    text = transcript(replace(run_gate(), verdict="ERROR"), result=result)
    assert text.endswith(
        "\n\nBROKEN RUNS\n\nerror of run:\n      ImportError: no module\n      named torch\n\n"
        "error of matcher: ZeroDivisionError\n"
    )


def test_rows_worse_than_in_the_baseline_come_before_the_worst_ones() -> None:
    gate = replace(FAILED, comparison=comparison(worse=("k5", "k4", "no longer there")))
    text = transcript(gate, result=scored_cell([0.1, 0.2, 1, 1, 0.9, 0.8]))
    assert headings(text) == ["row 5 (k5)", "row 4 (k4)", "row 0 (k0)", "row 1 (k1)"]


def test_the_worst_rows_are_the_highest_where_lower_is_better() -> None:
    text = transcript(replace(FAILED, better="lower"), result=scored_cell([1, 5, 3]))
    assert headings(text) == ["row 1 (k1)", "row 2 (k2)"]


def test_at_most_20_of_the_worst_rows() -> None:
    assert len(headings(transcript(FAILED, result=scored_cell([*[0.0] * 50, 1.0])))) == 20


def test_without_scores_the_first_rows_are_there() -> None:
    text = transcript(replace(FAILED, score=""), result=scored_cell([1.0] * 30))
    assert "FIRST ROWS, AS NOTHING TELLS WHICH ONES ARE BEHIND THE VERDICTS\n\nrow 0 (k0)\n" in text
    assert len(headings(text)) == 20


def test_every_repeat_of_a_row_is_shown() -> None:
    ran, evaluated = rows_of([1, 0], output="again")
    again = Repeat(run=ran, evaluations={"matcher": evaluated})
    text = transcript(FAILED, result=scored_cell([1, 1], repeats=(again,)))
    assert headings(text) == ["row 1 (k1), repeat 0", "row 1 (k1), repeat 1"]
    assert "  outputs.answer: again 1\n" in text


@pytest.mark.parametrize("text", [*HOSTILE, "FAILED ROWS: 9\n\nrow 7", "\x00<script>alert(1)</script>"])
def test_no_text_of_a_model_acts_or_passes_for_a_heading(text: str) -> None:
    shown = transcript(FAILED, result=scored_cell([0, 1], output=text))
    assert not any(mark in shown for mark in ("##vso[", "##[", "\x1b", "\x00", "\u202e", "\ud800"))
    assert headings(shown) == ["row 0 (k0)"]
    assert shown.count("\nROWS BEHIND THE VERDICTS: 1\n") == 1


def test_long_values_are_cut_and_say_so() -> None:
    text = transcript(FAILED, result=scored_cell([0, 1], output="x" * 1_000_000))
    assert f"  outputs.answer: {'x' * 20_000} … (cut: it has 1,000,002 characters)\n" in text


def test_a_transcript_is_less_than_a_megabyte() -> None:
    known = scored_cell([1.0] * 3000, output="ß" * 5000)
    rows = tuple(replace(row, output=None, error="ü" * 5000) for row in known.run.rows[:2000]) + known.run.rows[2000:]
    gate = replace(FAILED, comparison=comparison(worse=tuple(f"k{number}" for number in range(2000, 3000))))
    many = replace(gate, details=("€" * 2000,) * 500)
    text = transcript(many, result=replace(known, run=replace(known.run, rows=rows)))
    assert 600_000 < len(text.encode()) < 1_000_000
    assert text.count("(the rest is left out: this part holds at most 240,000 bytes)") == 2
    assert "FAILED ROWS: 2000\n" in text
    assert "ROWS BEHIND THE VERDICTS: 20\n" in text


def test_names_are_safe_and_stay_apart() -> None:
    assert TERSE == "failures/ner_extract-general-terse-52bd1b8a-22898ebd.txt"
    assert transcript_file("a", "x/../y:z") == "failures/x_.._y_z-ac8d8342-a45d5676.txt"
    names = {
        transcript_file(path, name).casefold() for path in ("a", "b") for name in ("x", "X", "x/", "x:", "x" * 300)
    }
    assert len(names) == 10
    assert max(map(len, names)) <= 120


def test_transcripts_of_earlier_sessions_go_where_the_experiment_was_run_again(tmp_path: Path) -> None:
    write_reports(report(FAILED, replace(FAILED, cell=cell(FEW_SHOT).id)), tmp_path)
    others = [
        tmp_path / "failures" / name for name in ("mine.txt", "x-12345678-12345678.txt", "notes-52bd1b8a-new.txt")
    ]
    for other in others:
        other.touch()
    assert len(stale_transcripts(report(run_gate()), tmp_path)) == 2
    write_reports(report(run_gate()), tmp_path)
    assert sorted((tmp_path / "failures").iterdir()) == sorted(others)


def headings(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith("row ")]
