"""The page on reports names every field of the JSON files."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from doc_examples import ROOT
from report_samples import metric_gate, report

from pytest_llmops.records.estimates import Comparison, Interval, SliceScore
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, GateResult, Repeat
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import CassetteMiss, Row, RunResult, Tokens, Variant
from pytest_llmops.reports import gate

RECORDS = (
    *(Report, Decision, GateResult, Interval, Comparison, SliceScore),
    *(CellResult, Cell, Variant, Repeat, Evaluation, RunResult, Row, Tokens, CassetteMiss),
)


def names_below(heading: str) -> set[str]:
    """Return all that stands in backquotes below a heading of the second level."""
    page = (ROOT / "docs" / "reference" / "reports.md").read_text(encoding="utf-8")
    return set(re.findall(r"`([^`\n]+)`", page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]))


def test_every_key_of_the_decision_is_explained() -> None:
    document = gate.document(report(metric_gate()))
    assert {*document, *document["gates"][0]} - names_below("gate.json") == set()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_of_the_results_is_explained(record: type) -> None:
    explained = names_below("gate.json") | names_below("results.json")
    assert {field.name for field in fields(record)} - explained == set()
