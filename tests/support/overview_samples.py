"""Sessions for the tests of the page's overview: variants on datasets, with intervals, a baseline and a history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Locator, Page
from report_samples import EXPERIMENT, FEW_SHOT, TERSE, cell, cell_result, comparison, report

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.gate import CellResult, Evaluation, GateResult, Verdict
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Row, RunResult, Variant
from pytest_llmops.reports.page import render_page
from pytest_llmops.reports.page.document import point_of
from pytest_llmops.reports.page.sources import Sources

VERBOSE = Variant(id="verbose", nodes={"extract": "verbose"}, is_default=False)
NEW = "matcher.f1"


def result(variant: Variant, dataset: str = "general", *, recorded: float | None = None) -> CellResult:
    """A cell of two rows, which an earlier session made if ``recorded`` is given."""
    made = cell_result(variant)
    rows = tuple(replace(row, recorded=recorded) for row in made.run.rows)
    return replace(made, cell=cell(variant, dataset), run=replace(made.run, rows=rows), llm="replay")


def scored(variant: Variant, right: Collection[int], dataset: str = "general", rows: int = 40) -> CellResult:
    """A cell of so many rows, of which those with these numbers are right."""
    answers = [Row(line_number=line, inputs={"text": f"text {line}"}, output={"a": "b"}) for line in range(rows)]
    scores = [Row(line_number=line, inputs={}, output={"f1": int(line in right)}) for line in range(rows)]
    judged = RunResult(status="Completed", rows=tuple(scores), metrics={"f1": len(right) / rows})
    return CellResult(
        cell=cell(variant, dataset),
        run=RunResult(status="Completed", rows=tuple(answers)),
        evaluations={"matcher": Evaluation(evaluator="matcher", dataset="gold", expected_rows=rows, result=judged)},
        expected_rows=rows,
    )


def gate(
    variant: Variant,
    value: float,
    *,
    dataset: str = "general",
    name: str = NEW,
    within: float | None = 0.05,
    low: float | None = 0.6,
    **changes: object,
) -> GateResult:
    """A gate that asks a metric to be 0.6 or more, of a value known up to ``within``."""
    verdict: Verdict = "PASS" if low is None or value >= low else "FAIL"
    fields: dict[str, object] = {
        "experiment": EXPERIMENT,
        "cell": cell(variant, dataset).id,
        "name": name,
        "verdict": verdict,
        "value": value,
        "rule": "" if low is None else f">= {low}",
        "low": low,
        "n": 40,
        "blocking": variant.is_default,
        "interval": None
        if within is None
        else Interval(low=value - within, high=value + within, level=0.95, method="Wilson"),
        "file": EXPERIMENT,
        "line": 12,
    }
    return GateResult(**{**fields, **changes})  # type: ignore[arg-type]


def ran(variant: Variant, dataset: str = "general") -> GateResult:
    return GateResult(experiment=EXPERIMENT, cell=cell(variant, dataset).id, name="run", verdict="PASS", n=2)


def against_baseline(variant: Variant = TERSE) -> GateResult:
    """A gate that failed against a baseline: four rows got worse and two better."""
    return gate(
        variant,
        0.55,
        verdict="FAIL",
        rule=">= 0.6, at most 0.05 worse",
        margin=0.05,
        comparison=comparison(value=0.55, baseline=0.65, delta=-0.1),
        reason="the loss may be as large as 0.1537",
        details=("worse: row 3: 1 -> 0",),
    )


def two_datasets() -> Report:
    """Three variants on two datasets. Terse, which decides, is best on the first one and fails on the second one."""
    variants = (VERBOSE, TERSE, FEW_SHOT)
    values = {"general": (0.3, 0.9, 0.85), "noisy": (0.3, 0.5, 0.8)}
    gates: list[GateResult] = []
    for dataset, found in values.items():
        for variant, value in zip(variants, found, strict=True):
            gates += [ran(variant, dataset), gate(variant, value, dataset=dataset)]
    return session(gates, [result(variant, dataset) for dataset in values for variant in variants])


def session(gates: Sequence[GateResult], cells: Sequence[CellResult] | None = None) -> Report:
    known = [result(TERSE), result(FEW_SHOT)] if cells is None else cells
    return report(*gates, cells=tuple(known))


def earlier(now: Report, *values: float) -> Sources:
    """Give a session one earlier session for each of these values of all its gates, a day apart."""
    return Sources(
        history=tuple(
            point_of(
                replace(
                    now,
                    created=f"2026-08-{day:02}T10:00:00+00:00",
                    versions={"commit": f"{day:02}c0ffee"},
                    gates=tuple(
                        replace(gate, value=value, verdict="PASS" if value >= 0.6 else "FAIL") for gate in now.gates
                    ),
                ),
                f"run {day}",
            )
            for day, value in enumerate(values, start=1)
        )
    )


def open_view(page: Page, folder: Path, shown: Report, view: str = "overview", sources: Sources | None = None) -> None:
    file = folder / "index.html"
    file.write_text(render_page(shown, sources or Sources()), encoding="utf-8")
    page.goto(f"{file.as_uri()}#view={view}")


def texts(found: Locator) -> list[str]:
    """Return the texts of elements as they are seen, on a line each."""
    return [" ".join(text.split()) for text in found.all_inner_texts()]
