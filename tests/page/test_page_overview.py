"""The overview: the decision and why, which variant is best, and what the session measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from overview_samples import (
    VERBOSE,
    against_baseline,
    gate,
    open_view,
    ran,
    result,
    session,
    texts,
    two_datasets,
)
from playwright.sync_api import Locator, Page, expect
from report_samples import EXPERIMENT, FEW_SHOT, TERSE, report

from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import Decision
from pytest_llmops.records.run import Variant
from pytest_llmops.reports.page import render_page


def board(page: Page) -> Locator:
    return page.get_by_role("table", name=re.compile("^Variants of"))


def ranked(page: Page) -> list[str]:
    """Rows of the leaderboard: place and name of each variant."""
    rows = board(page).locator("tr:has(.place)")
    places = [place.split()[0] for place in texts(rows.locator(".place"))]
    names = texts(rows.locator(".variant a"))
    return [f"{place} {name}" for place, name in zip(places, names, strict=True)]


def test_the_page_opens_from_a_file(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_text(render_page(report()), encoding="utf-8")
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("gate: closed: 1 of 4 gates failed")


def test_the_decision_and_its_limits_come_first(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    decision = page.locator("main .decision")
    expect(decision).to_have_attribute("data-state", "closed")
    expect(decision.get_by_role("heading", level=1)).to_have_text("gate: closed: 1 of 12 gates failed")
    assert texts(decision.get_by_role("listitem")) == ["✗ 1 failed", "✓ 9 passed", "– 2 failed; none closes the gate"]
    expect(decision).to_contain_text("2026-09-01 10:00 UTC · environment dev · LLM answers replayed")
    assert page.locator("main > *").first.get_attribute("class") == "decision FAIL"


def test_an_open_gate_has_no_cards(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, session([ran(TERSE), gate(TERSE, 0.9)], [result(TERSE)]))
    expect(page.locator(".decision")).to_have_attribute("data-state", "open")
    expect(page.get_by_role("heading", level=1)).to_have_text("gate: open")
    expect(page.get_by_role("heading", name="What closed the gate")).to_have_count(0)


def test_reasons_that_no_gate_stands_for_are_listed(page: Page, tmp_path: Path) -> None:
    shown = two_datasets()
    reasons = (*shown.decision.reasons, "3 items were deselected")
    open_view(page, tmp_path, replace(shown, decision=replace(shown.decision, reasons=reasons)))
    assert texts(page.locator(".reasons li")) == ["3 items were deselected"]


def test_a_session_that_ran_nothing_says_why(page: Page, tmp_path: Path) -> None:
    shown = replace(report(), gates=(), cells=(), decision=Decision(state="closed", reasons=("nothing was run",)))
    open_view(page, tmp_path, shown)
    expect(page.get_by_role("heading", level=1)).to_have_text("gate: closed: nothing was run")
    expect(page.get_by_role("cell", name="no variant was run")).to_be_visible()


def test_a_card_shows_what_a_gate_failed_on(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, session([ran(TERSE), against_baseline()], [result(TERSE)]))
    card = page.get_by_role("article", name="matcher.f1, ner · general · terse")
    facts = dict(zip(texts(card.locator("dt")), texts(card.locator("dd")), strict=True))
    assert facts == {
        "value": "0.55",
        "required": ">= 0.6, at most 0.05 worse",
        "95 % interval": "0.50 to 0.60",
        "baseline, main": "0.65",
        "difference": "-0.1, at worst -0.154",
        "rows": "40",
    }
    expect(card).to_contain_text("the loss may be as large as 0.1537")
    expect(card).to_contain_text("4 rows got worse, 2 better than in main")
    expect(card.locator(".baseline")).to_have_count(1)
    card.get_by_text("What is behind it").click()
    expect(card.get_by_text("worse: row 3: 1 -> 0")).to_be_visible()
    expect(card.get_by_text(f"{EXPERIMENT}:12")).to_be_visible()


def test_a_card_leads_to_its_rows(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    page.get_by_role("link", name="Show the rows").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rows")
    expect(page.get_by_role("heading", level=2)).to_contain_text("noisy")
    expect(page.locator("main .finding")).to_contain_text("matcher.f1")


def test_a_card_of_a_cell_that_is_not_there_leads_nowhere(page: Page, tmp_path: Path) -> None:
    lost = GateResult(experiment=EXPERIMENT, cell="ner_extract-lost-terse", name="run", verdict="ERROR", reason="lost")
    open_view(page, tmp_path, session([ran(TERSE), lost], [result(TERSE)]))
    expect(page.get_by_role("article")).to_contain_text("It has no rows.")
    expect(page.get_by_role("link", name="Show the rows")).to_have_count(0)


def test_many_cards_are_shown_on_demand(page: Page, tmp_path: Path) -> None:
    failed = [gate(TERSE, 0.5, name=f"matcher.metric_{number}") for number in range(20)]
    open_view(page, tmp_path, session(failed, [result(TERSE)]))
    expect(page.get_by_role("article")).to_have_count(8)
    page.get_by_role("button", name="Show all 20").click()
    expect(page.get_by_role("article")).to_have_count(20)


def test_verdicts_that_do_not_block_are_folded_up(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_text("2 verdicts short of a pass that can't close the gate").click()
    rows = page.get_by_role("group", name="Verdicts that do not block").get_by_role("row")
    assert texts(rows)[1:] == [
        "✗ FAIL, not blocking FAIL matcher.f1 ner · general · verbose 0.3 >= 0.6 0.25 to 0.35",
        "✗ FAIL, not blocking FAIL matcher.f1 ner · noisy · verbose 0.3 >= 0.6 0.25 to 0.35",
    ]


def test_each_use_case_says_what_it_decided(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    row = page.get_by_role("group", name="Use cases").get_by_role("row").nth(1)
    assert texts(row.locator("th, td")) == [
        "ner",
        "✗ 7 of 8 kept, 1 failed",
        "terse",
        "not compared: no output has f1 as its mean over the rows",
    ]
    row.get_by_role("link", name="ner").click()
    expect(page.get_by_role("heading", name="ner", exact=True, level=3).first).to_be_focused()


def test_an_inconclusive_gate_is_not_kept(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, session([ran(TERSE), gate(TERSE, 0.6, verdict="INCONCLUSIVE")], [result(TERSE)]))
    kept = page.get_by_role("group", name="Use cases").locator("td").first
    assert texts(kept) == ["? 1 of 2 kept, 1 inconclusive"]
    expect(kept.locator(".verdict")).to_have_class(re.compile("INCONCLUSIVE"))
    assert texts(page.locator(".counts li")) == ["✓ 1 passed", "– 1 inconclusive; none closes the gate"]


def test_variants_are_ranked_and_equal_ones_share_a_place(page: Page, tmp_path: Path) -> None:
    gates = [gate(TERSE, 0.7), gate(FEW_SHOT, 0.9), gate(VERBOSE, 0.7)]
    broken = Variant(id="broken", nodes={}, is_default=False)
    gates.append(replace(gate(broken, 0.7), verdict="ERROR", value=None, interval=None))
    cells = [result(variant) for variant in (TERSE, FEW_SHOT, VERBOSE)]
    lost = result(broken)
    open_view(page, tmp_path, session(gates, [*cells, replace(lost, evaluations={})]))
    assert ranked(page) == ["1 few_shot", "2 terse", "2 verbose", "– broken"]


@pytest.mark.parametrize(
    ("better", "order"), [("higher", ["1 few_shot", "2 terse"]), ("lower", ["1 terse", "2 few_shot"])]
)
def test_variants_can_be_ranked_by_one_metric(page: Page, tmp_path: Path, better: str, order: list[str]) -> None:
    gates = [
        gate(TERSE, 0.9, better="higher"),
        gate(FEW_SHOT, 0.7, better="higher"),
        gate(TERSE, 0.2, name="matcher.rate", low=None, better=better),
        gate(FEW_SHOT, 0.4, name="matcher.rate", low=None, better=better),
    ]
    open_view(page, tmp_path, session(gates))
    assert ranked(page) == ["1 terse", "2 few_shot"]
    page.get_by_label("Ranked by").select_option("matcher.rate")
    assert ranked(page) == order


def test_the_leaderboard_says_who_decides(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    assert texts(board(page).locator(".variant"))[:2] == ["terse default decides", "few_shot"]


def test_numbers_and_picture_of_a_metric_say_the_same(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, session([ran(TERSE), against_baseline()], [result(TERSE)]))
    found = board(page).locator("td.metric")
    assert texts(found.locator(".figures")) == ["✗ FAIL 0.55 0.50 to 0.60"]
    assert texts(board(page).locator("tr.group td")) == ["required >= 0.6, at most 0.05 worse"]
    places = found.locator("svg.strip").evaluate(
        """strip => {
            const box = (name) => strip.querySelector(name).getBoundingClientRect();
            const middle = ({ left, right }) => (left + right) / 2;
            const { left, width } = strip.getBoundingClientRect();
            const share = (x) => Math.round(100 * (x - left) / width) / 100;
            return {
                value: share(middle(box(".mark"))), from: share(box(".interval").left),
                to: share(box(".interval").right),
                threshold: share(middle(box(".threshold"))), baseline: share(middle(box(".baseline"))),
                allowed: [share(box(".allowed").left), share(box(".allowed").right)],
            };
        }"""
    )
    # The axis reaches from the lower end of the interval to the baseline, with some room and in round numbers.
    assert texts(board(page).locator(".axis")) == ["0.45 0.575 0.7"]
    allowed = places.pop("allowed")
    expected = {"value": 0.4, "from": 0.2, "to": 0.6, "threshold": 0.6, "baseline": 0.8}
    assert places == pytest.approx(expected, abs=0.02)
    assert allowed == pytest.approx([0.6, 1.0], abs=0.02)


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "INCONCLUSIVE", "ERROR"])
def test_every_verdict_has_a_shape_of_its_own(page: Page, tmp_path: Path, verdict: str) -> None:
    open_view(page, tmp_path, session([ran(TERSE), gate(TERSE, 0.7, verdict=verdict)], [result(TERSE)]))
    mark = board(page).locator(".mark")
    expect(mark).to_have_attribute("data-verdict", verdict)
    legend = page.locator(f'.legend [data-verdict="{verdict}"]')
    assert mark.get_attribute("d") == legend.get_attribute("d")
    shapes = page.locator(".legend [data-verdict]").evaluate_all("marks => marks.map((mark) => mark.getAttribute('d'))")
    assert len(set(shapes)) == 4


def test_metrics_without_a_threshold_are_shown_on_demand(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, session([ran(TERSE), gate(TERSE, 0.7)], [result(TERSE)]))
    assert texts(board(page).locator("thead th.metric bdi")) == ["matcher.f1"]
    page.get_by_role("button", name="Show 1 metric without a threshold").click()
    assert texts(board(page).locator("thead th.metric bdi")) == ["matcher.f1", "matcher.exact_match_rate"]
    assert texts(board(page).locator("tr.group td")) == ["required >= 0.6", "only reported"]
    expect(board(page).locator(".mark.logged")).to_have_count(1)


def test_of_many_variants_the_best_and_those_that_decide_are_shown(page: Page, tmp_path: Path) -> None:
    variants = [Variant(id=f"v{number}", nodes={}, is_default=number == 0) for number in range(40)]
    gates = [gate(variant, 0.4 + number / 100, within=None) for number, variant in enumerate(variants)]
    open_view(page, tmp_path, session(gates, [result(variant) for variant in variants]))
    assert ranked(page) == [*(f"{place} v{40 - place}" for place in range(1, 13)), "40 v0"]
    page.get_by_role("button", name="Show all variants").first.click()
    assert len(ranked(page)) == 40
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_run_that_broke_is_named_beside_its_variant(page: Page, tmp_path: Path) -> None:
    broken = replace(ran(TERSE), verdict="ERROR", reason="1 of 2 rows failed")
    open_view(page, tmp_path, session([broken], [result(TERSE)]))
    assert texts(board(page).locator(".variant, .reason")) == ["terse default ! ERROR", "terse: 1 of 2 rows failed"]


def test_of_many_variants_that_decide_only_the_first_are_shown(page: Page, tmp_path: Path) -> None:
    variants = [Variant(id=f"v{number}", nodes={}, is_default=False) for number in range(60)]
    gates = [gate(variant, 0.4, blocking=True) for variant in variants]
    open_view(page, tmp_path, session(gates, [result(variant) for variant in variants]))
    assert len(ranked(page)) == 24


def test_metrics_of_runs_are_metrics(page: Page, tmp_path: Path) -> None:
    slow = gate(TERSE, 1.5, name="run.latency_p95", within=None, low=None, high=1.0, rule="<= 1 s", verdict="FAIL")
    open_view(page, tmp_path, session([ran(TERSE), gate(TERSE, 0.7), slow], [result(TERSE)]))
    assert texts(board(page).locator("td.metric .figures"))[1] == "✗ FAIL 1.5 s"


def heat(page: Page) -> Locator:
    return page.get_by_role("table", name=re.compile("variants by datasets"))


def test_the_heat_map_shows_every_cell(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    assert texts(heat(page).get_by_role("row")) == [
        "Variant general noisy",
        "verbose ✗ 1 of 2 (FAIL, not blocking) ✗ 1 of 2 (FAIL, not blocking)",
        "terse ✓ 2 of 2 (PASS) ✗ 1 of 2 (FAIL)",
        "few_shot ✓ 2 of 2 (PASS) ✓ 2 of 2 (PASS)",
    ]


def test_the_heat_map_shows_the_metric_that_is_chosen(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    page.get_by_label("Shows").select_option(label="matcher.f1")
    assert texts(heat(page).get_by_role("row"))[2] == "terse ✓ 0.9 (PASS) ✗ 0.5 (FAIL)"
    colours = heat(page).get_by_role("link").evaluate_all("links => links.map((link) => link.style.background)")
    assert colours[0] == colours[1]
    assert len(set(colours)) == 5
    page.get_by_label("Shows").select_option(label="Latency of a row, median")
    assert texts(heat(page).get_by_role("row"))[2] == "terse 375 ms 375 ms"


def test_the_best_colour_of_the_heat_map_is_the_lowest_value_where_lower_is_better(page: Page, tmp_path: Path) -> None:
    gates = [
        gate(variant, value, name=name, low=None, better=better)
        for name, better in (("matcher.f1", "higher"), ("matcher.loss", "lower"))
        for variant, value in ((TERSE, 0.2), (FEW_SHOT, 0.4))
    ]
    open_view(page, tmp_path, session(gates))
    colours = {}
    for metric, ends in (("matcher.f1", "worse 0.2 0.4 better"), ("matcher.loss", "worse 0.4 0.2 better")):
        page.get_by_label("Shows").select_option(label=metric)
        assert texts(page.locator(".ramp")) == [ends]
        colours[metric] = [
            link.evaluate("link => link.style.background") for link in heat(page).get_by_role("link").all()
        ]
    assert colours["matcher.f1"] == colours["matcher.loss"][::-1]


def test_the_heat_map_is_one_stop_and_arrow_keys_move_in_it(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    links = heat(page).get_by_role("link")
    assert links.evaluate_all("links => links.filter((link) => link.tabIndex === 0).length") == 1
    links.first.focus()
    for key, text in (
        ("ArrowRight", "1 of 2"),
        ("ArrowDown", "1 of 2"),
        ("ArrowDown", "2 of 2"),
        ("ArrowDown", "2 of 2"),
    ):
        page.keyboard.press(key)
        expect(page.locator(".heat a:focus")).to_contain_text(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_contain_text("few_shot")


def test_arrow_keys_pass_over_cells_that_were_not_run(page: Page, tmp_path: Path) -> None:
    cells = [result(TERSE, "a"), result(FEW_SHOT, "a"), result(FEW_SHOT, "b"), result(TERSE, "c")]
    open_view(page, tmp_path, session([ran(TERSE, "a")], cells))
    page.get_by_label("Shows").select_option(label="Share of rows that failed")
    heat(page).get_by_role("link").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".heat a:focus")).to_have_attribute("data-column", "2")


def test_distributions_have_their_numbers(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, session([ran(TERSE)], [result(TERSE)]))
    table = page.get_by_role("group", name="Latency, tokens and cost of ner")
    assert texts(table.locator("tbody tr:not(.group) :is(th, .figures, td.number)")) == [
        "terse",
        "375 ms 263–488 ms",
        "12 12–12",
        "12",
        "2",
    ]
    expect(table.locator(".box")).to_have_count(2)


def test_times_that_are_not_the_services_are_marked_as_such(page: Page, tmp_path: Path) -> None:
    cells = [result(TERSE, recorded=1.0), replace(result(FEW_SHOT), llm="live")]
    open_view(page, tmp_path, session([ran(TERSE), ran(FEW_SHOT)], cells))
    assert texts(page.locator(".hint.warn")) == [
        "LLM answers are replayed in 1 of 2 cells: latency is not that of the service.",
        "Rows are reused in 1 of 2 cells: their latency is that of the session that ran them.",
    ]
