"""Rows of a candidate: scored by whether their outputs are the flow's, and put beside those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from report_samples import TERSE
from row_samples import METRIC, Answer, column, names, open_rows, report_of, score_gate, session

from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.run import Variant

NEW = Variant(id="new", is_default=False, is_candidate=True)
FLOW = tuple(Answer(name=name, text=f"text {name}", output=name, score=1.0) for name in ("a", "b", "c", "d"))
REWRITE = (
    FLOW[0],
    replace(FLOW[1], output="other", score=0.0),
    FLOW[2],
    replace(FLOW[3], output=None, error="ValueError: no entity"),
)


def rewritten(*executions: Sequence[Answer]) -> CellResult:
    """A candidate, which gives one output more than the flow."""
    result = session(executions[0], NEW, *executions[1:])
    rows = [replace(row, output={**row.output, "why": "!"} if row.output else None) for row in result.run.rows]
    return replace(result, run=replace(result.run, rows=tuple(rows)))


def agreement(result: CellResult, value: float) -> GateResult:
    return score_gate(result, name="run.agreement", value=value, verdict="FAIL", score="agreement")


def status(page: Page) -> str:
    return page.get_by_role("status").inner_text()


def test_rows_that_differ_from_the_flow_come_first_and_the_mean_is_the_gates_value(page: Page, tmp_path: Path) -> None:
    new = rewritten(REWRITE)
    report = report_of(new, session(FLOW), gates=[score_gate(new), agreement(new, 0.5)])
    open_rows(page, tmp_path, report, gate="run.agreement")

    assert names(page) == ["d", "b", "a", "c"]
    assert column(page, "Score (agreement)") == ["0", "0", "1", "1"]
    assert column(page, "Output of terse") == ["d", "b", "a", "c"]
    assert status(page) == "4 rows shown. Mean agreement: 0.5 over 4 rows"
    said = "Compared with the flow, terse: 1 now fails, 0 worse, 0 better, 1 other output, 2 same of 4 rows"
    expect(page.locator(".changes p")).to_have_text(said)
    page.get_by_role("button", name="Not full score").click()
    assert names(page) == ["d", "b"]
    page.locator("#row-1 button").click()
    expect(page.locator(".row-detail header")).to_contain_text("agreement 0")


def test_a_candidate_that_gives_the_same_agrees_in_each_row(page: Page, tmp_path: Path) -> None:
    new = rewritten(FLOW)
    open_rows(page, tmp_path, report_of(new, session(FLOW), gates=[agreement(new, 1.0)]))

    assert status(page) == "4 rows shown. Mean agreement: 1 over 4 rows"
    assert column(page, "Change") == ["=\xa0same"] * 4
    expect(page.get_by_role("button", name="Not full score")).to_have_text("Not full score 0")


def test_executions_are_compared_one_by_one(page: Page, tmp_path: Path) -> None:
    new = session(FLOW, NEW, (replace(FLOW[0], output="other"), *FLOW[1:]))
    report = report_of(new, session(FLOW, TERSE, FLOW), gates=[agreement(new, 0.875)])
    open_rows(page, tmp_path, report, gate="run.agreement")

    assert (names(page)[0], column(page, "Score (agreement)")) == ("a", ["0.5", "1", "1", "1"])
    assert status(page) == "4 rows shown. Mean agreement: 0.875 over 4 rows"


def test_without_the_flow_its_rows_in_the_baseline_are_beside_the_candidate(page: Page, tmp_path: Path) -> None:
    new = rewritten(REWRITE)
    report = report_of(new, gates=[agreement(new, 0.5)])
    open_rows(page, tmp_path, report, session(FLOW), gate="run.agreement")

    assert column(page, "Output of flow (baseline)") == ["d", "b", "a", "c"]
    assert status(page) == "4 rows shown. Mean agreement: 0.5 over 4 rows"
    assert page.get_by_label("Compared with").locator("option").all_inner_texts() == [
        "nothing",
        "the flow in the baseline",
    ]


@pytest.mark.parametrize("flow", [(), (session(FLOW),)])
def test_scores_that_do_not_add_up_to_the_gate_are_not_shown(
    page: Page, tmp_path: Path, flow: tuple[CellResult, ...]
) -> None:
    new = rewritten(REWRITE)
    open_rows(page, tmp_path, report_of(new, *flow, gates=[agreement(new, 0.75)]), gate="run.agreement")
    assert column(page, "Score (agreement)") == ["–"] * 4
    assert status(page) == "4 rows shown. Mean agreement: not known"


def test_other_metrics_of_a_candidate_are_beside_the_flow_too(page: Page, tmp_path: Path) -> None:
    new = rewritten(REWRITE)
    open_rows(page, tmp_path, report_of(new, session(FLOW), gates=[score_gate(new)]), gate=METRIC)
    assert column(page, "Change") == ["!\xa0now fails", "▼\xa0worse", "=\xa0same", "=\xa0same"]
