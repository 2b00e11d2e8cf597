"""Columns and details in a real page of pytest-html."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_samples import CREATED, HOSTILE, metric_gate, run_gate, unsure_gate

from pytest_llmops.reports.pytest_html import extra_html, header_cells, name_cell, row_cells

CONFTEST = """
import pytest
from pytest_html import extras
from pytest_llmops.reports.console import failure_text
from pytest_llmops.reports.pytest_html import extra_html, header_cells, name_cell, row_cells
from pytest_llmops.records.estimates import SliceScore
from report_samples import HOSTILE, unsure_gate

GATES = [
    unsure_gate(cell=text, rule=text, verdict="FAIL", reason=text, details=(text,),
                slices=(SliceScore(column=text, value=text, score=0.25, n=4),))
    for text in HOSTILE[:-1]
]

class Refused(Exception):
    pass

class Gates(pytest.File):
    def collect(self):
        for gate in GATES:
            yield GateItem.from_parent(self, name=gate.item, gate=gate)

class GateItem(pytest.Item):
    def __init__(self, *, gate, **keywords):
        super().__init__(**keywords)
        self.gate = gate

    def runtest(self):
        raise Refused

    def repr_failure(self, excinfo, style=None):
        return failure_text(self.gate)

    def reportinfo(self):
        return self.path, 0, self.name

def pytest_collect_file(file_path, parent):
    return Gates.from_parent(parent, path=file_path) if file_path.suffix == ".gates" else None

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.gate = getattr(item, "gate", None)
    if report.gate and report.when == "call":
        report.extras = [extras.html(extra_html(report.gate))]
    return report

def pytest_html_results_table_header(cells):
    cells[2:2] = header_cells()

def pytest_html_results_table_row(report, cells):
    cells[1] = name_cell(report.nodeid)
    cells[2:2] = row_cells(report.gate, "../a report")
"""


class Fragment(HTMLParser):
    """Tags and text of a piece of HTML. ``blob`` is what pytest-html's script reads to build the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.blob = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.blob = dict(attrs).get("data-jsonblob") or self.blob

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page(pytester: pytest.Pytester) -> dict[str, Any]:
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".gates", experiment="")
    pytester.makepyfile(test_plain="def test_plain(): pass")
    result = pytester.runpytest("--html=report.html", "--self-contained-html", "-p", "no:llmops")
    result.assert_outcomes(failed=len(HOSTILE) - 1, passed=1)
    data: dict[str, Any] = json.loads(Fragment(Path("report.html").read_text(encoding="utf-8")).blob)
    return data


def rows_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [test for tests in page["tests"].values() for test in tests]


def test_no_hostile_string_reaches_the_page_as_markup(page: dict[str, Any]) -> None:
    for row in rows_of(page):
        for cell in row["resultsTableRow"]:
            assert Fragment(cell).tags <= {"td", "a"}
        for extra in row["extras"]:
            assert Fragment(extra["content"]).tags <= {"p", "strong", "pre", "table", "tr", "th", "td"}
        assert Fragment(row["log"]).tags == set()


def test_cells_of_a_gate_and_of_another_test(page: dict[str, Any]) -> None:
    first, *_, plain = rows_of(page)
    assert [Fragment(cell).text for cell in first["resultsTableRow"]][2:10] == [
        "<img src=x onerror=alert(1)>",
        "matcher.exact_match_rate",
        "FAIL",
        "0.6",
        "0.45 to 0.74",
        "<img src=x onerror=alert(1)>",
        "0.65 (-0.05, 95 % bound -0.1537)",
        "40",
    ]
    assert [Fragment(cell).text for cell in plain["resultsTableRow"]][1:10] == ["test_plain.py::test_plain", *[""] * 8]


def test_details_of_a_gate(page: dict[str, Any]) -> None:
    content = rows_of(page)[0]["extras"][0]["content"]
    hostile = "<img src=x onerror=alert(1)>"
    assert tables_of(content) == [
        ["Value", "95 % CI", "Rule", "Baseline (delta)", "n"],
        ["0.6", "0.45 to 0.74", hostile, "0.65 (-0.05, 95 % bound -0.1537)", "40"],
        ["Slice", "Value", "95 % CI", "n"],
        [f"{hostile}={hostile}", "0.25", "", "4"],
    ]
    assert Fragment(content.rpartition("<pre")[2]).text.endswith(hostile)
    assert f"p = 0.3438){hostile}Value95 % CI" in Fragment(content).text


def tables_of(content: str) -> list[list[str]]:
    lines = content.split("<tr>")[1:]
    return [[Fragment(f"<td>{cell}").text for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)] for line in lines]


def test_a_cell_links_to_its_place_in_the_report() -> None:
    gate = metric_gate(cell="a b&c-d-e'f", name="m.f1 %")
    assert row_cells(gate, "../x y")[0] == (
        '<td class="col-cell" style="overflow-wrap: anywhere"><a href="../x%20y/index.html#cell='
        'evals%2Fner%2Fexperiment.yaml%3A%3Aa%20b%26c-d-e%27f&amp;gate=m.f1%20%25">a b&amp;c-d-e&#x27;f</a></td>'
    )
    assert row_cells(gate, "../x y")[1:] == row_cells(gate)[1:]
    assert row_cells(None, "..") == row_cells(None)
    assert "<a" not in row_cells(gate)[0]


def test_header_cells() -> None:
    assert header_cells() == [
        '<th class="sortable" data-column-type="cell">Cell</th>',
        '<th class="sortable" data-column-type="metric">Metric</th>',
        '<th class="sortable" data-column-type="verdict">Verdict</th>',
        "<th>Value</th>",
        "<th>95 % CI</th>",
        "<th>Rule</th>",
        "<th>Baseline (delta)</th>",
        "<th>n</th>",
    ]


def test_row_cells() -> None:
    assert row_cells(unsure_gate(rule="<= 0.5", margin=None)) == [
        '<td class="col-cell" style="overflow-wrap: anywhere">ner_extract-general-terse</td>',
        '<td class="col-metric" style="overflow-wrap: anywhere">matcher.exact_match_rate</td>',
        '<td class="col-verdict" style="white-space: nowrap">INCONCLUSIVE</td>',
        '<td class="col-value" style="white-space: nowrap">0.6</td>',
        '<td class="col-interval" style="white-space: nowrap">0.45 to 0.74</td>',
        '<td class="col-rule" style="overflow-wrap: anywhere">&lt;= 0.5</td>',
        '<td class="col-baseline" style="overflow-wrap: anywhere">0.65 (-0.05, 95 % bound -0.1537)</td>',
        '<td class="col-n" style="white-space: nowrap">40</td>',
    ]
    assert len(row_cells(None)) == len(header_cells())


def test_name_cell() -> None:
    assert name_cell("a.py::t[<b>]") == '<td class="col-testId" style="overflow-wrap: anywhere">a.py::t[&lt;b&gt;]</td>'


def test_extra_html() -> None:
    assert extra_html(run_gate()) == (
        "<p><strong>PASS run[ner_extract-general-terse] (n = 2)</strong></p><p>2 rows ran, 1 failed</p>"
    )
    gate = metric_gate(details=("row 1: <x>", "row 2"))
    assert tables_of(extra_html(gate)) == [["Value", "Rule", "n"], ["0.5", ">= 0.5", "1"]]
    assert extra_html(gate).endswith(">row 1: &lt;x&gt;\nrow 2</pre>")


def test_extra_html_says_the_age_of_what_a_verdict_rests_on() -> None:
    note = "</strong></p><p>rests on reused rows, the oldest from 2026-09-01T10:00:00+00:00</p><table"
    assert note in extra_html(metric_gate(recorded=CREATED))


def test_long_details_are_cut_and_say_so() -> None:
    gate = metric_gate(reason="r" * 1_000_000, details=("d" * 1_000_000, "line\n" * 250))
    text = extra_html(gate)
    assert len(text) < 10_000
    assert f"<p>{'r' * 2000}…</p>" in text
    assert f">{'d' * 2000}…\nline\nline\n" in text
    assert text.endswith("line\nand 52 more lines</pre>")
