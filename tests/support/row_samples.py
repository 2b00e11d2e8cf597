"""Sessions made by hand row by row, for the tests of the page's view of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page
from report_samples import CREATED, EXPERIMENT, TERSE, cell

from pytest_llmops.records.gate import CellResult, Evaluation, GateResult, Repeat
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import Row, RunResult, Tokens, Variant
from pytest_llmops.reports.page import render_page
from pytest_llmops.reports.page.sources import Sources
from pytest_llmops.reports.text import visible

LONG = Variant(id="long", nodes={"extract": "long"}, is_default=False)
METRIC = "matcher.exact_match_rate"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one row. ``output`` is None where it failed with ``error``; ``score`` None where it has none."""

    text: str
    output: Any = None
    gold: Any = "nurse"
    score: float | None = 0.0
    name: str = ""
    group: str = ""
    error: str | None = None
    judged: Mapping[str, Any] | None = None
    seconds: float = 0.5
    days: float | None = None


def session(answers: Sequence[Answer], variant: Variant = TERSE, *repeats: Sequence[Answer]) -> CellResult:
    """A cell with these answers, and further executions of the same rows."""
    first, *others = (_execution(those) for those in (answers, *repeats))
    return CellResult(
        cell=cell(variant),
        run=first.run,
        evaluations=first.evaluations,
        repeats=tuple(others),
        expected_rows=len(answers),
        columns={
            "id": tuple(answer.name for answer in answers),
            "language": tuple(answer.group for answer in answers),
        },
        key="id",
    )


def report_of(*cells: CellResult, gates: Sequence[GateResult] = (), better: str = "higher") -> Report:
    """A report with a gate on the scores of each cell."""
    found = gates or [score_gate(result, better=better) for result in cells]
    return Report(
        experiments={EXPERIMENT: "ner"},
        cells=cells,
        gates=tuple(found),
        decision=Decision(state="open"),
        created="2026-09-01T10:00:00+00:00",
    )


def score_gate(result: CellResult, **changes: Any) -> GateResult:
    fields: dict[str, Any] = {"verdict": "PASS", "value": 0.5, "rule": ">= 0.5", "n": len(result.run.rows)}
    known = {"experiment": EXPERIMENT, "cell": result.cell.id, "name": METRIC, "score": "exact"}
    return GateResult(**{**known, **fields, **changes})


def open_rows(page: Page, folder: Path, report: Report, baseline: CellResult | None = None, **state: str | int) -> None:
    """Open the page at the rows of the first cell, or as ``state`` says: keys of addresses, ``with_`` for ``with``."""
    known = {EXPERIMENT: replace(report, cells=(baseline,))} if baseline else {}
    file = folder / "index.html"
    paths = {EXPERIMENT: "baseline.json"} if baseline else {}
    text = render_page(replace(report, baselines=paths), Sources(baselines=known))
    file.write_text(text, encoding="utf-8")
    given = {name.rstrip("_"): value for name, value in state.items()}
    page.goto(f"{file.as_uri()}#{urlencode({'cell': key_of(report.cells[0]), **given})}")


def key_of(result: CellResult) -> str:
    return visible(f"{result.cell.experiment}::{result.cell.id}")


def names(page: Page) -> list[str]:
    """Names of the rows in the table, in order."""
    return page.locator("table.rows > tbody > .entry > th").all_inner_texts()


def column(page: Page, title: str) -> list[str]:
    """Texts of a column, in order."""
    heads = [head.strip(" ↑↓") for head in page.locator("table.rows > thead th").all_inner_texts()]
    place = heads.index(title) + 1
    return page.locator(f"table.rows > tbody > .entry > :nth-child({place})").all_inner_texts()


def detail(page: Page) -> Locator:
    return page.locator(".row-detail")


def _execution(answers: Sequence[Answer]) -> Repeat:
    rows = tuple(_row(number, answer) for number, answer in enumerate(answers))
    scored = tuple(
        _score(number, answer) for number, answer in enumerate(answers) if answer.error is None or answer.judged
    )
    matcher = RunResult(status="Completed", rows=scored, metrics={"exact_match_rate": 0.5})
    return Repeat(
        run=RunResult(status="Completed", rows=rows),
        evaluations={
            "matcher": Evaluation(
                evaluator="matcher", dataset="gold", expected_rows=len(rows), result=matcher, of_run=("prediction",)
            )
        },
    )


def _row(number: int, answer: Answer) -> Row:
    return Row(
        line_number=number,
        inputs={"text": answer.text},
        output=None if answer.error is not None else {"entities": answer.output},
        error=answer.error,
        duration=answer.seconds,
        tokens=Tokens(prompt=10, completion=number, total=10 + number),
        recorded=None if answer.days is None else CREATED - answer.days * 86_400,
    )


def _score(number: int, answer: Answer) -> Row:
    inputs = {"gold": answer.gold, "prediction": answer.output}
    if answer.score is None:
        return Row(line_number=number, inputs=inputs, error="ValueError: no score")
    return Row(line_number=number, inputs=inputs, output={"exact": answer.score, **(answer.judged or {})})
