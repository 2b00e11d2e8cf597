"""Two results side by side."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_case import X, Y
from report_samples import HOSTILE

from pytest_llmops.baselines import read_results
from pytest_llmops.cli import main
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, GateResult, Repeat
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import Row, RunResult, Tokens, Variant
from pytest_llmops.reports.compare import document, json_lines, markdown_lines, text_lines
from pytest_llmops.stats.comparing import CellComparison, MetricComparison, compare_cells, compare_reports
from pytest_llmops.stats.joining import Joined
from pytest_llmops.stats.pairs import mcnemar

ALL = "llmops compare --format json has all"


def cell(
    scores: Sequence[float | None],
    *,
    variant: str = "terse",
    experiment: str = "evals/ner/experiment.yaml",
    answer: str = "answer",
    metric: float | None = None,
    digest: str = "",
) -> CellResult:
    """A cell with a row for each score, None where the evaluator failed on it, scored by ``matcher.exact``."""
    rows = tuple(
        Row(
            line_number=number,
            inputs={"text": f"t{number}"},
            output={"answer": answer},
            duration=0.5 + number,
            tokens=Tokens(total=10),
        )
        for number in range(len(scores))
    )
    scored = tuple(
        Row(line_number=number, inputs={"gold": "g"}, output=None if score is None else {"exact": score})
        for number, score in enumerate(scores)
    )
    known = [score for score in scores if score is not None]
    value = sum(known) / len(known) if metric is None and known else metric
    matcher = RunResult(status="Completed", rows=scored, metrics={"exact": value, "model": "m"})
    return CellResult(
        cell=Cell(experiment=experiment, use_case="ner", flow="ner", dataset="general", variant=Variant(id=variant)),
        run=RunResult(status="Completed", rows=rows),
        evaluations={
            "matcher": Evaluation(
                evaluator="matcher", dataset="gold", expected_rows=len(scores), result=matcher, digest=digest
            )
        },
        expected_rows=len(scores),
    )


def report(*cells: CellResult, gates: tuple[GateResult, ...] = ()) -> Report:
    names = {result.cell.experiment: result.cell.use_case for result in cells}
    return Report(experiments=names, cells=cells, gates=gates, decision=Decision(state="open"))


def exact(comparison: CellComparison) -> MetricComparison:
    return next(metric for metric in comparison.metrics if metric.name == "matcher.exact")


def test_a_metric_is_compared_on_the_common_rows() -> None:
    found = exact(compare_cells(cell([1.0, 0.0, 1.0, 0.0]), cell([1.0, 1.0])))
    assert (found.baseline, found.candidate, found.delta, found.n) == (0.5, 1.0, 0.5, 2)
    assert (found.interval, found.p_value, found.test) == (None, None, "")


@pytest.mark.parametrize(("lost", "won"), [(6, 0), (0, 6), (4, 2), (3, 3)])
def test_the_p_value_is_two_sided(lost: int, won: int) -> None:
    before = [1.0] * lost + [0.0] * won + [1.0] * 10
    after = [0.0] * lost + [1.0] * won + [1.0] * 10
    found = exact(compare_cells(cell(before), cell(after)))
    assert found.p_value == pytest.approx(min(1.0, 2 * mcnemar(max(lost, won), min(lost, won))))
    assert found.test == "exact McNemar test"
    assert found.interval is not None
    assert found.interval.low < (won - lost) / 16 < found.interval.high


def test_rows_that_changed_come_with_their_outputs_the_most_first() -> None:
    comparison = compare_cells(cell([1.0, 0.5, 0.2], answer="old"), cell([1.0, 0.6, 0.9], answer="new"))
    assert [(row.label, dict(row.scores)) for row in comparison.changes] == [
        ("row 2", {"matcher.exact": (0.2, 0.9)}),
        ("row 1", {"matcher.exact": (0.5, 0.6)}),
    ]
    assert (comparison.changes[0].baseline, comparison.changes[0].candidate) == ({"answer": "old"}, {"answer": "new"})


def test_repeats_count_as_one_score_per_row() -> None:
    once, other = cell([1.0, 0.0]), cell([0.0, 0.0])
    twice = replace(once, repeats=(Repeat(run=other.run, evaluations=other.evaluations),))
    assert compare_cells(once, twice).changes[0].scores == {"matcher.exact": (1.0, 0.5)}


@pytest.mark.parametrize(
    ("baseline", "candidate", "note"),
    [
        (cell([1.0], metric=0.3), cell([1.0]), "no output has exact as its mean over the rows"),
        (
            cell([1.0], digest="1"),
            cell([1.0], digest="2"),
            "evaluator 'matcher' has changed since it scored the baseline",
        ),
        (replace(cell([1.0]), evaluations={}), cell([1.0]), "the baseline has no results of evaluator 'matcher'"),
        (cell([1.0]), replace(cell([1.0]), evaluations={}), "evaluator 'matcher' did not run, so there is nothing to"),
        (cell([None, 1.0]), cell([1.0, None]), "no row has a score on both sides"),
    ],
    ids=["no scores", "another version", "no baseline", "no candidate", "no pair"],
)
def test_where_no_rows_can_be_compared_the_reason_is_given(
    baseline: CellResult, candidate: CellResult, note: str
) -> None:
    found = exact(compare_cells(baseline, candidate))
    assert (found.problem or found.note).startswith(note)
    assert (found.n, found.interval, found.p_value) == (None, None, None)
    assert found.delta is None or not found.problem


def test_a_metric_that_is_no_number_is_left_out() -> None:
    names = [metric.name for metric in compare_cells(cell([1.0]), cell([1.0])).metrics]
    assert names == ["matcher.exact", "run.latency_p50", "run.latency_p95", "run.total_tokens", "run.error_rate"]


def test_what_the_runs_took_is_compared() -> None:
    figures = {metric.name: metric for metric in compare_cells(cell([1.0] * 2), cell([1.0] * 4)).metrics}
    assert (figures["run.latency_p95"].baseline, figures["run.latency_p95"].candidate) == (1.5, 3.5)
    assert figures["run.total_tokens"].delta == 20.0


def test_a_run_without_rows_has_no_figures() -> None:
    figures = {metric.name: metric.baseline for metric in compare_cells(cell([]), cell([1.0])).metrics}
    assert figures["run.error_rate"] is None


def test_times_of_recorded_answers_are_marked() -> None:
    replayed = replace(cell([1.0]), llm="replay", run=replace(cell([1.0]).run, llm_calls=1))
    figures = {metric.name: metric.note for metric in compare_cells(cell([1.0]), replayed).metrics}
    assert figures["run.latency_p50"] == "answers of the LLM are recorded: not the time that the service takes"
    assert not figures["run.total_tokens"]
    deltas = {metric.name: metric.delta for metric in compare_cells(cell([1.0]), replayed).metrics}
    assert (deltas["run.latency_p50"], deltas["run.latency_p95"], deltas["run.total_tokens"]) == (None, None, 0)


def test_another_dataset_is_refused_first_and_has_no_delta() -> None:
    after = cell([0.0] * 40)
    rows = tuple(replace(row, inputs={"text": f"new{n}"}) if n > 1 else row for n, row in enumerate(after.run.rows))
    after = replace(after, run=replace(after.run, rows=rows))
    comparison = compare_reports(report(cell([1.0] * 40)), report(after))
    others = f"{', '.join(f'row {number}' for number in range(2, 12))} and 28 more; {ALL}"
    assert list(text_lines(comparison))[:5] == [
        "ner (evals/ner/experiment.yaml): ner-general-terse",
        "  not comparable: another dataset: only 2 of this run's 40 rows are the same",
        "  2 rows in common, with the very same outputs",
        f"  added: {others}",
        f"  removed: {others}",
    ]
    (text,) = markdown_lines(comparison)
    assert "- not comparable: another dataset: only 2 of this run's 40 rows are the same\n- 2 rows" in text
    for metric in document(comparison)["cells"][0]["metrics"]:
        assert (metric["delta"], metric["interval"], metric["p_value"]) == (None, None, None)
        assert metric["problem"] == "another dataset: only 2 of this run's 40 rows are the same"


def test_another_version_of_an_evaluator_is_refused_first() -> None:
    comparison = compare_reports(report(cell([1.0] * 12, digest="1")), report(cell([0.0] * 12, digest="2")))
    assert list(text_lines(comparison))[1:5] == [
        "  not comparable (matcher.exact): evaluator 'matcher' has changed since it scored the baseline",
        "  12 rows in common, with the very same outputs",
        "  metric            baseline  candidate  delta",
        "  matcher.exact            1          0",
    ]


def test_lists_say_what_they_leave_out() -> None:
    before, after = cell([1.0] * 12), cell([1.0] * 24)
    assert list(text_lines(compare_reports(report(before), report(after))))[2] == (
        f"  added: {', '.join(f'row {number}' for number in range(12, 22))} and 2 more; {ALL}"
    )
    many = [cell([1.0], variant=f"a-variant-with-a-name-that-is-long-{number:02}") for number in range(12)]
    last = list(text_lines(compare_reports(report(before), report(before, *many))))[-1]
    ids = ", ".join(f"ner-general-a-variant-with-a-name-that-is-long-{number:02}" for number in range(10))
    assert last == f"only in the candidate: {ids} and 2 more; {ALL}"


def test_tokens_that_nobody_counted_are_not_compared() -> None:
    after = cell([1.0])
    after = replace(after, run=replace(after.run, rows=tuple(replace(row, uncounted=1) for row in after.run.rows)))
    figures = {metric.name: metric for metric in compare_cells(cell([1.0]), after).metrics}
    assert figures["run.total_tokens"] == MetricComparison(
        name="run.total_tokens",
        baseline=10.0,
        candidate=None,
        note="the service did not report the tokens of 1 LLM calls",
    )


def test_costs_are_known_from_gates() -> None:
    gate = GateResult(
        experiment="evals/ner/experiment.yaml", cell="ner-general-terse", name="run.cost", verdict="PASS", value=0.5
    )
    both = compare_reports(report(cell([1.0]), gates=(gate,)), report(cell([1.0]), gates=(replace(gate, value=0.7),)))
    one = compare_reports(report(cell([1.0]), gates=(gate,)), report(cell([1.0])))
    assert both.cells[0].metrics[-1].delta == pytest.approx(0.2)
    assert one.cells[0].metrics[-1] == MetricComparison(
        name="run.cost", baseline=0.5, candidate=None, note="known where the session had a threshold for it"
    )


def ids(before: Report, after: Report) -> list[tuple[str, str]]:
    return [(found.baseline.variant.id, found.candidate.variant.id) for found in compare_reports(before, after).cells]


def test_cells_of_the_same_name_belong_together() -> None:
    terse, long = cell([1.0]), cell([1.0], variant="long")
    assert ids(report(long, terse), report(terse, long)) == [("terse", "terse"), ("long", "long")]


def test_cells_of_a_file_that_was_moved_belong_together() -> None:
    assert ids(report(cell([1.0], experiment="old.yaml")), report(cell([1.0]))) == [("terse", "terse")]


def test_the_only_variant_of_each_side_belongs_together() -> None:
    assert ids(report(cell([1.0], variant="long")), report(cell([1.0]))) == [("long", "terse")]


def test_cells_without_a_counterpart_are_named() -> None:
    terse, long, cot = (cell([1.0], variant=name) for name in ("terse", "long", "cot"))
    found = compare_reports(report(terse, long), report(terse, cot))
    assert len(found.cells) == 1
    assert (found.only_baseline, found.only_candidate) == (("ner-general-long",), ("ner-general-cot",))


def test_an_unchanged_result_has_no_difference() -> None:
    scores = [float(random.Random(n).random() < 0.7) for n in range(30)]
    comparison = compare_cells(cell(scores), cell(scores))
    assert comparison.rows == replace(comparison.rows, added=(), removed=(), changed=(), same_outputs=True)
    assert (exact(comparison).delta, exact(comparison).p_value, comparison.changes) == (0.0, 1.0, ())


BEFORE = cell([1.0] * 10 + [0.0] * 2, answer="old")
AFTER = cell([1.0] * 8 + [0.0] * 2 + [0.0, 1.0, 1.0], answer="new")
TEXT = """\
ner (evals/ner/experiment.yaml): ner-general-terse
  12 rows in common
  added: row 12
  metric            baseline  candidate    delta  95 % interval  p   n
  matcher.exact       0.8333       0.75  -0.0833  -0.40 to 0.24  1  12
  run.latency_p50      5.5 s      6.5 s     +1 s
  run.latency_p95     11.5 s     12.5 s     +1 s
  run.total_tokens       120        130      +10
  run.error_rate           0          0        0
  matcher.exact: interval: Tango; p: exact McNemar test, two-sided
  3 rows with another score:
    row 8: matcher.exact 1 -> 0
      inputs:    {"text": "t8"}
      baseline:  {"answer": "old"}
      candidate: {"answer": "new"}
    row 9: matcher.exact 1 -> 0
      inputs:    {"text": "t9"}
      baseline:  {"answer": "old"}
      candidate: {"answer": "new"}
    row 11: matcher.exact 0 -> 1
      inputs:    {"text": "t11"}
      baseline:  {"answer": "old"}
      candidate: {"answer": "new"}

"""


def test_a_comparison_as_text() -> None:
    assert "\n".join(text_lines(compare_reports(report(BEFORE), report(AFTER)))) + "\n" == TEXT


def test_a_comparison_as_markdown() -> None:
    (text,) = markdown_lines(compare_reports(report(BEFORE), report(AFTER, cell([1.0], variant="long"))))
    assert text.startswith(
        "## ner (evals/ner/experiment.yaml): ner-general-terse\n\n- 12 rows in common\n- added: row 12\n"
    )
    assert "\n| matcher.exact | 0.8333 | 0.75 | -0.0833 | -0.40 to 0.24 | 1 | 12 |\n" in text
    assert '\n| row 8 | matcher.exact 1 -> 0 | {"text": "t8"} | {"answer": "old"} | {"answer": "new"} |\n' in text
    assert text.endswith("\n\n- only in the candidate: ner-general-long")


def test_a_comparison_as_json() -> None:
    comparison = compare_reports(report(BEFORE), report(AFTER))
    (text,) = json_lines(comparison)
    assert json.loads(text) == document(comparison)
    (found,) = json.loads(text)["cells"]
    assert found["metrics"][0]["delta"] == pytest.approx(-1 / 12)
    assert found["rows"]["added"] == ["row 12"]


def test_many_rows_are_cut_short_but_in_json() -> None:
    comparison = compare_reports(report(cell([0.0] * 15)), report(cell([1.0] * 15)))
    lines = list(text_lines(comparison))
    assert "  15 rows with another score:" in lines
    assert "    and 5 more; llmops compare --format json has all" in lines
    assert len(document(comparison)["cells"][0]["changes"]) == 15


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_says_does_not_act_on_who_reads(text: str) -> None:
    comparison = compare_reports(report(cell([0.0])), report(cell([1.0], answer=text)))
    for lines in (text_lines, markdown_lines, json_lines):
        shown = "\n".join(lines(comparison))
        shown.encode("utf-8")
        assert not any(sign in shown for sign in ("##vso[", "##[", "\x1b", "\u202e", "\x00"))


def test_columns_without_values_are_left_out() -> None:
    lines = list(text_lines(compare_reports(report(cell([1.0])), report(cell([1.0])))))
    assert lines[2] == "  metric            baseline  candidate  delta  n"


def test_a_join_without_rows_is_told() -> None:
    comparison = compare_cells(cell([1.0]), replace(cell([1.0]), run=RunResult(status="Failed", error="no")))
    assert comparison.rows == Joined(removed=("row 0",))


# The command


def test_variants_of_one_session_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "reports::init.ending=x", "reports/results.json::init.ending=y"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"shouting (experiment.yaml): {X} -> {Y}"
    assert "  10 rows with another score:" in said


def test_sessions_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "reports", "reports", "--format", "json"]) == 0
    assert [len(found["changes"]) for found in json.loads(capsys.readouterr().out)["cells"]] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "reports"], "nowhere: there is none; run pytest, or name the folder of its reports"),
        (["reports::z", "reports"], "reports::z: no variant 'z' (it has: init.ending=x, init.ending=y)"),
        (["torn", "reports"], "torn: not valid JSON (Expecting value: line 1 column 1 (char 0)); run pytest, or name"),
        (["other", "reports"], f"nothing in common to compare: ner-general-terse and {X}, {Y}"),
    ],
)
def test_what_can_not_be_compared_is_exit_code_4(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from pytest_llmops.reports.write import write_reports

    Path("torn").write_text("", encoding="utf-8")
    write_reports(report(cell([1.0])), Path("other"))
    assert main(["compare", *arguments]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_a_report_is_compared_as_it_was_read(folder: Path) -> None:
    results = read_results(folder / "reports")
    assert [found.changes for found in compare_reports(results, results).cells] == [(), ()]
