"""The trend over earlier sessions, and the page about the session itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from overview_samples import earlier, gate, open_view, ran, result, session, texts, two_datasets
from playwright.sync_api import Page, expect
from report_samples import EXPERIMENT, FEW_SHOT, TERSE

from pytest_llmops.records.run import CassetteMiss, Variant
from pytest_llmops.reports.page import Outcome, Sources


def test_the_trend_shows_every_gate_over_the_sessions(page: Page, tmp_path: Path) -> None:
    shown = two_datasets()
    open_view(page, tmp_path, shown, "trend", earlier(shown, 0.5, 0.7))
    panels = page.locator("figure.trend")
    expect(panels).to_have_count(2)
    first = panels.first
    expect(first.get_by_role("img")).to_have_attribute(
        "aria-label", "matcher.f1 on general over 3 sessions; last: terse 0.9, verbose 0.3, few_shot 0.85"
    )
    expect(first.locator("svg [aria-label=line] path")).to_have_count(3)
    expect(first.locator("svg [aria-label=dot] :is(circle, path)")).to_have_count(9)
    expect(first.locator("svg [aria-label=rule] line")).to_have_count(1)
    assert texts(first.locator(".key li")) == ["terse (decides)", "verbose", "few_shot"]
    first.get_by_text("Numbers").click()
    assert texts(first.get_by_role("row")) == [
        "Session terse verbose few_shot",
        "2026-08-01 10:00 UTC · 01c0ffee · run 1 0.5 ✗ 0.5 ✗ 0.5 ✗",
        "2026-08-02 10:00 UTC · 02c0ffee · run 2 0.7 ✓ 0.7 ✓ 0.7 ✓",
        "2026-09-01 10:00 UTC · this session 0.9 ✓ 0.3 ✗ 0.85 ✓",
    ]


def test_the_trend_keeps_sessions_without_a_value(page: Page, tmp_path: Path) -> None:
    shown = session(
        [ran(TERSE), replace(gate(TERSE, 0.9), verdict="ERROR", value=None, interval=None)], [result(TERSE)]
    )
    first, second, third = earlier(session([gate(TERSE, 0.9)], [result(TERSE)]), 0.7, 0.7, 0.8).history
    broken = {name: Outcome(value=None, verdict="ERROR") for name in second.gates}
    history = (first, replace(second, gates=broken), replace(third, limits="max-rows 5"))
    open_view(page, tmp_path, shown, "trend", Sources(history=history))
    panel = page.locator("figure.trend")
    expect(panel.get_by_role("img")).to_have_attribute(
        "aria-label", "matcher.f1 on general over 4 sessions; last: terse no value"
    )
    # A dot for each session, and a ring; the line begins anew after what broke.
    expect(panel.locator("svg [aria-label=dot] :is(circle, path)")).to_have_count(5)
    line = panel.locator("svg [aria-label=line] path").get_attribute("d")
    assert line
    assert line.count("M") == 2
    panel.get_by_text("Numbers").click()
    assert texts(panel.get_by_role("row"))[1:] == [
        "2026-08-01 10:00 UTC · 01c0ffee · run 1 0.7 ✓",
        "2026-08-02 10:00 UTC · 02c0ffee · run 2 ! ERROR",
        "2026-08-03 10:00 UTC · 03c0ffee · run 3 · partial: max-rows 5 0.8 ✓",
        "2026-09-01 10:00 UTC · this session ! ERROR",
    ]


def test_of_many_variants_the_trend_marks_those_that_decide(page: Page, tmp_path: Path) -> None:
    variants = [Variant(id=f"v{number}", nodes={}, is_default=number == 3) for number in range(9)]
    gates = [gate(variant, 0.4 + number / 100) for number, variant in enumerate(variants)]
    shown = session(gates, [result(variant) for variant in variants])
    open_view(page, tmp_path, shown, "trend", earlier(shown, 0.7))
    assert texts(page.locator(".key li")) == ["v3 (decides)", "thin: 8 other variants, named under the pointer"]
    expect(page.locator("svg [aria-label=line] path")).to_have_count(9)
    expect(page.locator("svg [aria-label=dot] :is(circle, path)")).to_have_count(2)


def test_without_a_history_the_trend_says_how_to_give_one(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets(), "trend")
    expect(page.locator("main")).to_contain_text("pytest evals --llmops-history")


def test_the_page_about_the_session_says_what_it_was(page: Page, tmp_path: Path) -> None:
    cells = [result(TERSE, recorded=1788256800.0 - 2 * 86_400), result(FEW_SHOT)]
    shown = replace(
        session([ran(TERSE), ran(FEW_SHOT)], cells),
        versions={"commit": "c0ffee", "build": "77", "promptflow": "1.18.5"},
        baselines={EXPERIMENT: "main/results.json"},
    )
    open_view(page, tmp_path, shown, "about")
    panels = {
        name: page.locator("section.panel", has=page.get_by_role("heading", name=name))
        for name in ("Session", "Settings", "Versions", "Baselines", "Cells", "What broke")
    }
    expect(panels["Session"]).to_contain_text("c0ffee")
    expect(panels["Session"]).to_contain_text("77")
    assert texts(panels["Versions"].locator("dl > div")) == ["promptflow 1.18.5"]
    assert texts(panels["Settings"].locator("dl > div")) == ["env dev", "llm replay", "report-dir reports"]
    expect(panels["Baselines"]).to_contain_text("main/results.json")
    assert texts(panels["Cells"].locator("tbody tr")) == [
        "ner general · terse 2 1 replay 2 1 1.5 s 2 days earlier",
        "ner general · few_shot 2 1 replay 2 1 1.5 s run now",
    ]
    expect(panels["What broke"]).to_contain_text("Nothing")


def test_the_page_about_the_session_lists_what_broke(page: Page, tmp_path: Path) -> None:
    made = result(TERSE)
    miss = CassetteMiss(cassette="ner.jsonl", request="a question", nearest="another one")
    broken = replace(made, run=replace(made.run, rows=(), error="Traceback: no such flow", misses=(miss,)))
    open_view(page, tmp_path, session([replace(ran(TERSE), verdict="ERROR")], [broken]), "about")
    assert texts(page.locator(".troubles li")) == [
        "run, ner · ner_extract-general-terse Traceback: no such flow",
        "not in cassette ner.jsonl, ner · ner_extract-general-terse a question The nearest that it holds: another one",
    ]
