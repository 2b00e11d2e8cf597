"""How variants stand against the one that decides: no more is said than the same rows show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from overview_samples import VERBOSE, gate, open_view, ran, scored, session, texts
from playwright.sync_api import Page, expect
from report_samples import FEW_SHOT, TERSE, comparison

from pytest_llmops.records.estimates import Interval
from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.run import Variant
from pytest_llmops.reports.page import standing
from pytest_llmops.reports.page.standing import Standing, stands

HALF, MORE, LESS = range(20), range(35), range(6)


def compared(
    page: Page,
    folder: Path,
    right: Sequence[tuple[Variant, range]],
    better: str = "higher",
    rows: int = 40,
    **changes: Any,
) -> tuple[str, list[str]]:
    """What is said of the variants of a use case, and the marks of each on the leaderboard."""
    gates = [replace(gate(variant, len(found) / rows, better=better), **changes) for variant, found in right]
    open_view(page, folder, session(gates, [scored(variant, found, rows=rows) for variant, found in right]))
    board = page.get_by_role("table", name=re.compile("^Variants of"))
    names = texts(board.locator(".variant a"))
    marks = [row.locator(".stand").all_inner_texts() for row in board.locator("tr:has(.place)").all()]
    said = [f"{name} {' '.join(' '.join(mark).split())}" for name, mark in zip(names, marks, strict=True)]
    return texts(page.get_by_role("group", name="Use cases").locator("td.lead"))[0], sorted(said)


def test_another_variant_is_better_where_the_same_rows_show_it(page: Page, tmp_path: Path) -> None:
    assert compared(page, tmp_path, [(TERSE, HALF), (FEW_SHOT, MORE), (VERBOSE, LESS)]) == (
        "few_shot is better in matcher.f1; verbose: worse in matcher.f1",
        [
            "few_shot ▲ better than terse: +0.375 on 40 rows, p = 0.000122",
            "terse ",
            "verbose ▼ worse than terse: -0.35 on 40 rows, p = 0.000122",
        ],
    )


def test_where_lower_is_better_so_are_the_variants(page: Page, tmp_path: Path) -> None:
    said, _ = compared(page, tmp_path, [(TERSE, HALF), (FEW_SHOT, MORE)], better="lower")
    assert said == "none is shown to be better than terse; few_shot: worse in matcher.f1"


def test_a_higher_value_that_the_rows_do_not_show_is_no_better(page: Page, tmp_path: Path) -> None:
    assert compared(page, tmp_path, [(TERSE, HALF), (FEW_SHOT, range(24))]) == (
        "none is shown to be better than terse",
        ["few_shot ≈ not told apart from terse: +0.1 on 40 rows, p = 0.125", "terse "],
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": 8}, "not compared: there are fewer than 10 rows to compare"),
        ({"interval": None}, "not compared: no scores of rows are known"),
        ({"verdict": "ERROR"}, "not compared: one of the two has no value"),
        ({"verdict": "ERROR", "value": None}, "no variant worked"),
    ],
)
def test_what_was_not_tested_is_not_claimed(page: Page, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert compared(page, tmp_path, [(TERSE, range(1)), (FEW_SHOT, range(8))], **changes)[0] == said


def test_a_variant_that_is_better_in_one_metric_and_worse_in_another_is_a_trade_off(page: Page, tmp_path: Path) -> None:
    found = [(TERSE, HALF, MORE), (FEW_SHOT, MORE, HALF)]
    gates, cells = [], []
    for variant, f1, f2 in found:
        gates += [gate(variant, len(f1) / 40), gate(variant, len(f2) / 40, name="other.f1")]
        other = scored(variant, f2).evaluations["matcher"]
        made = scored(variant, f1)
        cells.append(replace(made, evaluations={**made.evaluations, "other": replace(other, evaluator="other")}))
    open_view(page, tmp_path, session(gates, cells))
    said = "trade-off: few_shot is better in matcher.f1, worse in other.f1"
    expect(page.get_by_role("group", name="Use cases").locator("td.lead")).to_have_text(said)


def found(*more: GateResult, **changes: Any) -> Standing:
    """What few_shot is beside terse, of 20 and 35 right rows."""
    gates = [gate(TERSE, 0.5), replace(gate(FEW_SHOT, 0.875), **changes), *more]
    (stand,) = stands([scored(TERSE, HALF), scored(FEW_SHOT, MORE)], gates).values()
    return stand.metrics["matcher.f1"]


def test_the_difference_and_its_chance_are_told() -> None:
    standing = found()
    assert (standing.word, standing.delta, standing.n) == ("better", 0.375, 40)
    assert standing.p_value == pytest.approx(2 / 2**15)


def test_rows_in_clusters_are_not_compared() -> None:
    clustered = Interval(low=0.7, high=0.9, level=0.95, method="Wilson, clusters")
    assert found(interval=clustered) == Standing(why="its rows come in clusters: they are not independent")


def test_a_run_that_broke_is_not_compared() -> None:
    assert found(replace(ran(TERSE), verdict="ERROR")) == Standing(why="one of the two runs broke")


def test_too_many_rows_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "MOST", 39)
    assert found() == Standing(why="there are too many rows to compare in a page")


def test_what_is_claimed_holds_for_all_comparisons_together() -> None:
    variants = [Variant(id=f"v{number}", nodes={}, is_default=False) for number in range(20)]
    cells = [scored(TERSE, HALF), *(scored(variant, range(26)) for variant in variants)]
    gates = [gate(TERSE, 0.5), *(gate(variant, 0.65) for variant in variants)]
    alone = stands(cells[:2], gates)[cells[1].cell.id].metrics["matcher.f1"]
    together = stands(cells, gates)[cells[1].cell.id].metrics["matcher.f1"]
    assert (alone.word, alone.p_value) == ("better", 0.03125)
    assert (together.word, together.p_value) == ("alike", 0.625)


def test_a_candidate_is_beside_the_flow_even_where_it_decides() -> None:
    new = Variant(id="new", is_default=False, is_candidate=True)
    cells = [scored(new, HALF, rows=40), scored(TERSE, HALF, rows=40)]
    agreement = replace(gate(new, 0.5), name="run.agreement")
    gates = [gate(new, 0.5), agreement, replace(gate(TERSE, 0.5), blocking=False)]
    (stand,) = stands(cells, gates).values()
    assert (stand.reference, list(stand.metrics)) == (cells[1].cell.id, ["matcher.f1"])


def test_a_candidate_is_marked(page: Page, tmp_path: Path) -> None:
    new = Variant(id="new", is_default=False, is_candidate=True)
    open_view(page, tmp_path, session([gate(TERSE, 0.5), gate(new, 0.5)], [scored(v, HALF) for v in (TERSE, new)]))
    row = page.get_by_role("table", name=re.compile("^Variants of")).locator("tr", has_text="new")
    assert texts(row.locator(".chip"))[0] == "candidate"


def test_candidates_are_no_variants_of_the_flow(page: Page, tmp_path: Path) -> None:
    new = Variant(id="new", is_default=False, is_candidate=True)
    versus = comparison(name="flow ner_extract", with_flow=True)
    held = gate(new, 0.5, verdict="PASS", rule=">= 0.6, at most 0.1 worse", comparison=versus)
    cells = [scored(TERSE, HALF), replace(scored(new, HALF), implementation="ner_agents")]
    open_view(page, tmp_path, session([gate(TERSE, 0.5, verdict="PASS"), held], cells))

    cases = page.locator("section[aria-labelledby=use-cases] tbody td")
    assert texts(cases)[2:] == [
        "only one variant of the flow",
        "new (ner_agents) may take the place of ner_extract: 1 of 1 gate kept",
    ]
    board = page.get_by_role("table", name=re.compile("^Variants of"))
    assert texts(board.locator("tr.group td")) == ["required >= 0.6 candidates: >= 0.6, at most 0.1 worse"]
    assert "candidate: ner_agents" in texts(board.locator(".chip"))
    assert "flow" in texts(page.locator(".legend > span"))


def test_a_candidate_alone_is_no_variant(page: Page, tmp_path: Path) -> None:
    new = Variant(id="new", is_default=False, is_candidate=True)
    open_view(page, tmp_path, session([gate(new, 0.7)], [scored(new, HALF)]))
    assert texts(page.locator("section[aria-labelledby=use-cases] tbody td"))[2:] == [
        "no variant of the flow was run",
        "whether new may take the place of ner_extract can't be told yet: "
        "1 of 1 gate kept, not compared with the flow on general",
    ]
