"""Write the report page of a large session, and open it in Chromium: how long do sessions, and readers, wait?

    python -m benchmarks.report_page [--quick]

Prints a line for each figure. Needs playwright, and a Chromium on the path.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.figures import Figure, Settings, alternately, at_most
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, GateResult
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import Row, RunResult, Tokens, Variant
from pytest_llmops.reports.page import Sources, render_page
from pytest_llmops.reports.write import render

EXPERIMENT = "evals/large/experiment.yaml"
VARIANTS, ROWS = 4, 5_000
HEADING = "h1"
ENTRY = "table.rows > tbody > .entry"
ROWS_VIEW = "#view=rows"
SEED = 20_250_401
_OPENED, _QUICK_ROWS = 5, 100
_WORDS = ("patient", "nurse", "headache", "aspirin", "given", "daily", "was", "seen", "über", "né", "€5", "Zürich")
_METRICS = (("run", ""), ("matcher.exact", "exact"), ("matcher.f1", "f1"))
_USABLE = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
"""Milliseconds from the start of the navigation until what is there now is painted, and the page answers again."""


def large_report(variants: int = VARIANTS, rows: int = ROWS, *, seed: int = SEED) -> Report:
    """Make up a session on one dataset, on which all variants are asked the same."""
    draw = random.Random(seed)
    asked = [{"question": _text(draw, 15), "context": f"{_text(draw, 60)}\n{_text(draw, 40)}"} for _ in range(rows)]
    gold = [_text(draw, 5) for _ in range(rows)]
    columns = {
        "id": tuple(f"q{number}" for number in range(rows)),
        "language": tuple(draw.choices(("de", "en", "fr"), k=rows)),
    }
    cells = []
    for number in range(variants):
        variant = Variant(id=f"v{number}", is_default=number == 0)
        cell = Cell(experiment=EXPERIMENT, use_case="large", flow="answer", dataset="questions", variant=variant)
        runs = tuple(_row(draw, line, inputs) for line, inputs in enumerate(asked))
        cells.append(
            CellResult(
                cell=cell,
                run=RunResult(status="Completed", rows=runs, duration=100.0, llm_calls=rows),
                evaluations={"matcher": _evaluation(draw, runs, gold)},
                expected_rows=rows,
                columns=columns,
                key="id",
            )
        )
    gates = tuple(_gate(result, name, score) for result in cells for name, score in _METRICS)
    return Report(
        experiments={EXPERIMENT: "large"},
        cells=tuple(cells),
        gates=gates,
        decision=Decision(state="open", counts={"PASS": len(gates)}),
        created="2026-09-01T10:00:00+00:00",
    )


def compared(report: Report) -> tuple[Report, Sources]:
    """Put a session beside another one on the same rows, which answered otherwise."""
    draw = random.Random(SEED + 1)
    cells = tuple(
        replace(
            result, run=replace(result.run, rows=tuple(_row(draw, r.line_number, r.inputs) for r in result.run.rows))
        )
        for result in report.cells
    )
    baseline = replace(report, cells=cells, created="2026-08-01T10:00:00+00:00")
    return replace(report, baselines={EXPERIMENT: "kept.json"}), Sources(baselines={EXPERIMENT: baseline})


def seconds_until(browser: Browser, address: str, selector: str) -> float:
    """Open a page in a tab of its own, and wait until an element of it is painted and the page answers again."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.goto(address, wait_until="commit")
        page.wait_for_selector(selector)
        return float(page.evaluate(_USABLE)) / 1000
    finally:
        context.close()


def measure(folder: Path, settings: Settings) -> Iterator[Figure]:
    """Measure opening the page, against opening one that has a single word, and rendering it."""
    report = large_report(rows=_QUICK_ROWS if settings.quick else ROWS)
    count = sum(len(result.run.rows) for result in report.cells)
    yield from _opening(folder, report, count)
    taken = alternately(
        {"page": partial(_seconds, render_page, report), "all": partial(_seconds, render, report)},
        settings.repetitions,
    )
    against = f"rendering all reports: {median(taken['all']):.1f} s"
    yield at_most(f"rendering the page with {count:,} rows", against, taken["page"], unit=" s", target=3)


def _opening(folder: Path, report: Report, count: int) -> Iterator[Figure]:
    empty = _write(folder / "empty.html", f"<!doctype html><title>x</title><{HEADING}>x</{HEADING}>")
    alone = _write(folder / "alone.html", render_page(report))
    beside = _write(folder / "beside.html", render_page(*compared(report)))
    addresses = {
        "first view": (alone, HEADING),
        "table of rows": (alone + ROWS_VIEW, ENTRY),
        "first view, with a baseline": (beside, HEADING),
        "table of rows, with a baseline": (beside + ROWS_VIEW, ENTRY),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        contestants = {name: partial(seconds_until, browser, *place) for name, place in addresses.items()}
        taken = alternately({"": partial(seconds_until, browser, empty, HEADING), **contestants}, _OPENED)
        browser.close()
    nothing = median(taken[""])
    for name in addresses:
        times = median(taken[name]) / nothing
        against = f"an empty page in {nothing:.2f} s, which is {times:.0f} times as fast"
        yield at_most(f"opening {count:,} rows, {name}", against, taken[name], unit=" s", target=2)


def _row(draw: random.Random, line: int, inputs: Mapping[str, Any]) -> Row:
    if draw.random() < 0.01:
        return Row(line_number=line, inputs=inputs, error=f"ValueError: {_text(draw, 10)}", duration=draw.random())
    tokens = Tokens(prompt=200, completion=40, total=240)
    output = {"answer": _text(draw, 45), "sources": [_text(draw, 2), _text(draw, 2)]}
    return Row(line_number=line, inputs=inputs, output=output, duration=3 * draw.random(), tokens=tokens)


def _evaluation(draw: random.Random, runs: Sequence[Row], gold: Sequence[str]) -> Evaluation:
    scored = tuple(
        Row(
            line_number=row.line_number,
            inputs={"answer": row.output["answer"], "gold": gold[row.line_number]},
            output={"exact": float(draw.random() > 0.4), "f1": draw.random()},
        )
        for row in runs
        if row.output
    )
    result = RunResult(status="Completed", rows=scored, metrics={"exact": 0.6, "f1": 0.5})
    return Evaluation(evaluator="matcher", dataset="gold", expected_rows=len(scored), result=result, of_run=("answer",))


def _gate(result: CellResult, name: str, score: str) -> GateResult:
    value = result.evaluations["matcher"].result.metrics.get(score)
    return GateResult(
        experiment=EXPERIMENT,
        cell=result.cell.id,
        name=name,
        verdict="PASS",
        value=value,
        n=len(result.run.rows),
        score=score,
    )


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_WORDS, k=words))


def _write(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return file.as_uri()


def _seconds(function: Callable[[Report], object], report: Report) -> float:
    begun = time.perf_counter()
    function(report)
    return time.perf_counter() - begun


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_page", description="Measure the report page.")
    parser.add_argument("--quick", action="store_true", help="a small trial, whose figures mean little")
    settings = Settings(quick=parser.parse_args().quick)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for figure in measure(Path(folder), settings):
            print(figure.line, flush=True)


if __name__ == "__main__":
    main()
