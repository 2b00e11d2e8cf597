"""The template's tables: names, columns, every row, and no text that acts."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_samples import CREATED, FEW_SHOT, HOSTILE, cell_result, metric_gate, report, reused

from pytest_llmops.records.gate import CellResult, Repeat
from pytest_llmops.records.run import Row, RunResult
from pytest_llmops.reports.tables import Table, render_tables, to_csv, to_html


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def rendered(*cells: CellResult) -> dict[str, str]:
    return render_tables(report(metric_gate(), cells=cells))


class Page(HTMLParser):
    """Tags, attributes and cell texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_files() -> None:
    assert list(rendered(cell_result())) == [
        "ner/matcher_result.csv",
        "ner/matcher_result.html",
        "ner/matcher_metrics.csv",
        "ner/matcher_metrics.html",
        "ner_result.csv",
        "ner_result.html",
        "ner_metrics.csv",
        "ner_metrics.html",
    ]


def test_result_csv() -> None:
    assert rendered(cell_result(), cell_result(FEW_SHOT))["ner/matcher_result.csv"] == (
        "flow,dataset,variant,line_number,inputs.gold,inputs.prediction,outputs.exact,"
        "run.inputs.text,run.outputs.entities,extract,error,reused,flow_name,exp_run\n"
        "ner_extract,general,few_shot,0,nurse,nurse,false,"
        "She is a nurse.,nurse,few_shot,,,matcher,ner_extract-general-few_shot\n"
        "ner_extract,general,few_shot,1,,,,Hm.,,few_shot,ValueError: no entity,,matcher,ner_extract-general-few_shot\n"
        "ner_extract,general,terse,0,nurse,nurse,false,"
        "She is a nurse.,nurse,terse,,,matcher,ner_extract-general-terse\n"
        "ner_extract,general,terse,1,,,,Hm.,,terse,ValueError: no entity,,matcher,ner_extract-general-terse\n"
    )


def test_metrics_csv() -> None:
    assert rendered(cell_result())["ner/matcher_metrics.csv"] == (
        "flow,dataset,variant,exact_match_rate,f1,extract,n,error,reused,flow_name,exp_run\n"
        "ner_extract,general,terse,0.5,0.6666666666666666,terse,1,,,matcher,ner_extract-general-terse\n"
    )


def test_lines_say_from_when_the_oldest_outcome_is_that_they_rest_on() -> None:
    result = reused(cell_result())
    matcher = result.evaluations["matcher"]
    scored = tuple(replace(row, recorded=CREATED - 3 * 86_400) for row in matcher.result.rows)
    older = replace(matcher, evaluator="older", result=replace(matcher.result, rows=scored))
    texts = rendered(replace(result, evaluations={"matcher": matcher, "older": older}))
    for kind, fresh in (("result", [""]), ("metrics", [])):
        assert [line["reused"] for line in lines_of(texts[f"ner_{kind}.csv"])] == [
            *("2026-08-30T10:00:00+00:00", *fresh),
            *("2026-08-29T10:00:00+00:00", *fresh),
        ]
    assert "<th>reused</th>" in texts["ner_result.html"]


def test_tables_of_the_experiment_hold_every_evaluator() -> None:
    result = cell_result()
    judge = replace(result.evaluations["matcher"], evaluator="judge")
    both = replace(result, evaluations={**result.evaluations, "judge": judge})
    lines = lines_of(rendered(both)["ner_metrics.csv"])
    assert [line["flow_name"] for line in lines] == ["judge", "matcher"]
    assert {(line["stage"], line["experiment_name"]) for line in lines} == {("dev", "ner")}


def test_a_row_that_was_not_scored_says_so() -> None:
    result = cell_result()
    rows = (*result.run.rows, Row(line_number=2, inputs={"text": "x"}, output={"entities": ""}))
    lines = lines_of(rendered(replace(result, run=replace(result.run, rows=rows)))["ner/matcher_result.csv"])
    assert [line["error"] for line in lines] == ["", "ValueError: no entity", "matcher did not score this row"]


def test_a_run_without_rows_is_one_line_with_its_error() -> None:
    result = cell_result()
    nothing = RunResult(status="Failed", error="the flow does not load")
    matcher = replace(result.evaluations["matcher"], result=nothing)
    lines = lines_of(rendered(replace(result, run=nothing, evaluations={"matcher": matcher}))["ner/matcher_result.csv"])
    assert [(line["line_number"], line["error"]) for line in lines] == [("", "the flow does not load")]


def test_an_evaluation_that_failed_is_on_every_row() -> None:
    result = cell_result()
    broken = RunResult(status="Failed", error="gold.jsonl is empty")
    matcher = replace(result.evaluations["matcher"], result=broken)
    lines = lines_of(rendered(replace(result, evaluations={"matcher": matcher}))["ner/matcher_result.csv"])
    assert [line["error"] for line in lines] == ["gold.jsonl is empty", "ValueError: no entity; gold.jsonl is empty"]


def test_metrics_named_like_columns_replace_none_of_them() -> None:
    result = cell_result()
    odd = replace(
        result.evaluations["matcher"].result, metrics={"dataset": 1, "n": 2, "extract": 3, "f1": 4, "reused": 5}
    )
    matcher = replace(result.evaluations["matcher"], result=odd)
    (line,) = lines_of(rendered(replace(result, evaluations={"matcher": matcher}))["ner/matcher_metrics.csv"])
    assert (line["dataset"], line["n"], line["extract"], line["f1"]) == ("general", "1", "terse", "4")
    assert (line["metrics.dataset"], line["metrics.n"], line["metrics.extract"]) == ("1", "2", "3")
    assert (line["reused"], line["metrics.reused"]) == ("", "5")


def test_experiments_of_one_name_get_folders_of_their_own() -> None:
    other = cell_result()
    other = replace(other, cell=replace(other.cell, experiment="evals/b/experiment.yaml"))
    both = replace(
        report(metric_gate(), cells=(cell_result(), other)),
        experiments={"evals/ner/experiment.yaml": "NER", "evals/b/experiment.yaml": "ner"},
    )
    folders = {name.split("/")[0] for name in render_tables(both) if "/" in name}
    assert len(folders) == 2
    assert {folder.casefold()[:4] for folder in folders} == {"ner-"}


def test_names_stay_inside_the_folder() -> None:
    known = {"evals/ner/experiment.yaml": "../../etc/x:y"}
    tables = render_tables(replace(report(metric_gate(), cells=(cell_result(),)), experiments=known))
    assert {name.split("/")[0] for name in tables if "/" in name} == {"_.._etc_x_y"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_csv(text: str) -> None:
    (line, *_) = lines_of(rendered(cell_result(output=text))["ner/matcher_result.csv"])
    assert not line["run.outputs.entities"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert not any(ord(character) < 32 and character != "\n" for character in line["run.outputs.entities"])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_html(text: str) -> None:
    table = Table(title=text, columns=(text,), lines=({text: text}, {text: {"nested": text}}))
    page = Page(to_html(table))
    assert page.tags == {
        *("html", "head", "meta", "title", "style", "body", "h1", "table", "thead", "tbody", "tr", "th", "td"),
    }
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}


def test_html_shows_text_as_it_is_and_marks_numbers() -> None:
    text = to_html(Table(title="t", columns=("a", "b"), lines=({"a": "<b>\x00\n x", "b": 1.5}, {"b": True})))
    assert '<tr><td>&lt;b&gt;\\x00\n x</td><td class="number">1.5</td></tr>' in text
    assert "<tr><td></td><td>true</td></tr>" in text


def test_columns_of_csv_are_escaped_too() -> None:
    assert to_csv(Table(title="t", columns=("=1+1",), lines=())) == "'=1+1\n"


def test_each_execution_has_lines_of_its_own() -> None:
    once = cell_result()
    twice = replace(once, repeats=(Repeat(run=once.run, evaluations=once.evaluations),))
    assert "repeat" not in lines_of(rendered(once)["ner_result.csv"])[0]
    results, metrics = (lines_of(rendered(twice)[f"ner_{kind}.csv"]) for kind in ("result", "metrics"))
    assert [line["repeat"] for line in results] == ["0", "0", "1", "1"]
    assert [line["repeat"] for line in metrics] == ["0", "1"]
