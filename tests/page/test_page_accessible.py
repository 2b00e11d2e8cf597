"""The page is for everybody: by keyboard, with a screen reader, in both themes, on any screen, whatever texts say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from overview_samples import against_baseline, earlier, gate, open_view, ran, result, session, two_datasets
from playwright.sync_api import Page, expect
from report_samples import EXPERIMENT, FEW_SHOT, HOSTILE, TERSE, cell

from pytest_llmops.records.estimates import SliceScore
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import CassetteMiss, Variant
from pytest_llmops.reports.page.document import point_of
from pytest_llmops.reports.page.sources import Sources
from pytest_llmops.reports.text import visible

VIEWS = ("overview", "rows", "trend", "about")
ATTACKS = (
    *HOSTILE,
    "<svg onload=alert(1)>",
    "שלום <b>\u202eabc",
    "__proto__",
    "constructor",
)


def every_kind() -> Report:
    """A session with each verdict, a baseline, a broken run and results that are reused."""
    broken = replace(ran(FEW_SHOT, "noisy"), verdict="ERROR", reason="1 of 2 rows failed")
    gates = [
        ran(TERSE),
        against_baseline(),
        gate(TERSE, 0.62, name="matcher.f2", weak=True),
        gate(FEW_SHOT, 0.6, name="matcher.f2", verdict="INCONCLUSIVE"),
        broken,
    ]
    cells = [result(TERSE, recorded=1.0), result(FEW_SHOT), result(FEW_SHOT, "noisy")]
    return replace(session(gates, cells), baselines={EXPERIMENT: "main/results.json"})


def unfold(page: Page) -> None:
    page.locator("details").evaluate_all("found => found.forEach((details) => { details.open = true; })")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_anybody_out_of_a_view(page: Page, tmp_path: Path, view: str, width: int, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    shown = every_kind()
    open_view(page, tmp_path, shown, view, earlier(shown, 0.5, 0.7))
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    unfold(page)
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("view", VIEWS)
def test_headings_are_in_order(page: Page, tmp_path: Path, view: str) -> None:
    shown = every_kind()
    open_view(page, tmp_path, shown, view, earlier(shown, 0.5))
    page.get_by_role("heading", level=1).wait_for()
    levels = page.locator(":is(h1, h2, h3, h4, h5)").evaluate_all("found => found.map(({ tagName }) => +tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_first_tab_stop_skips_to_the_content(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    page.keyboard.press("Tab")
    skip = page.get_by_role("button", name="Skip to the content")
    expect(skip).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_everything_is_reached_with_the_tab_key_and_its_focus_is_seen(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, every_kind())
    wanted = page.locator("a, button, select, summary").evaluate_all(
        "found => found.filter((element) => element.tabIndex === 0).length"
    )
    seen = 0
    for _ in range(wanted):
        page.keyboard.press("Tab")
        seen += page.evaluate("document.activeElement.matches('a, button, select, summary')")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert seen == wanted


def test_a_view_gets_the_focus_when_it_is_chosen(page: Page, tmp_path: Path) -> None:
    open_view(page, tmp_path, two_datasets())
    page.get_by_role("link", name="Trend").click()
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_have_text("Trend")
    expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text("Trend")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("gate: closed: 1 of 12 gates failed")


def test_the_theme_can_be_turned(page: Page, tmp_path: Path) -> None:
    page.emulate_media(color_scheme="light")
    open_view(page, tmp_path, two_datasets())
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(background) != light
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(background) == light


def test_a_print_is_light_and_without_controls(page: Page, tmp_path: Path) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    open_view(page, tmp_path, two_datasets())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation")).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 246, 248)"


def hostile() -> tuple[Report, Sources]:
    """A session in which everything that somebody else may name or say is an attack."""
    variants = [Variant(id=text, nodes={}, is_default=number < 2) for number, text in enumerate(ATTACKS)]
    gates = [
        gate(
            variant,
            0.5,
            dataset=text,
            name=f"matcher.{text}",
            rule=f">= {text}",
            reason=text,
            details=(text,),
            slices=(SliceScore(column=text, value=text, score=0.5, n=2),),
            comparison=replace(against_baseline().comparison, name=text),  # type: ignore[type-var]
            file=text,
        )
        for variant, text in zip(variants, ATTACKS, strict=True)
    ]
    cells = [
        replace(
            made, run=replace(made.run, error=text, misses=(CassetteMiss(cassette=text, request=text, nearest=text),))
        )
        for variant, text in zip(variants, ATTACKS, strict=True)
        for made in [result(variant, text)]
    ]
    shown = replace(
        session(gates, cells),
        experiments={EXPERIMENT: ATTACKS[0], ATTACKS[0]: "<b>two</b>"},
        settings={"env": ATTACKS[0], ATTACKS[0]: ATTACKS[1], "thresholds": ATTACKS[-4]},
        versions={"commit": ATTACKS[0], ATTACKS[0]: ATTACKS[-3]},
        baselines={EXPERIMENT: ATTACKS[0]},
        decision=Decision(state="closed", reasons=ATTACKS),
        created=ATTACKS[0],
    )
    return shown, Sources(history=(point_of(shown, ATTACKS[0]),), problems={EXPERIMENT: ATTACKS[0]})


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_texts_are_shown_as_text_in_every_view(page: Page, tmp_path: Path, view: str) -> None:
    shown, sources = hostile()
    open_view(page, tmp_path, shown, view, sources)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    unfold(page)
    page.mouse.move(640, 500)
    assert page.locator("main :is(img, script, b, iframe, object, [onload], [onerror])").count() == 0
    links = page.locator("a").evaluate_all("found => found.map((link) => link.getAttribute('href'))")
    assert links
    assert all(link.startswith("#") for link in links)


def test_hostile_names_are_readable(page: Page, tmp_path: Path) -> None:
    shown, sources = hostile()
    open_view(page, tmp_path, shown, sources=sources)
    expect(page.locator(".reasons li")).to_have_count(len(ATTACKS))
    for reason, text in zip(page.locator(".reasons li").all_inner_texts(), ATTACKS, strict=True):
        assert " ".join(reason.split()) == " ".join(visible(text).split())
    names = page.locator(".board .variant a").all_inner_texts()
    assert {" ".join(name.split()) for name in names} == {" ".join(visible(text).split()) for text in ATTACKS}


def test_a_hostile_cell_can_be_followed_to_its_rows(page: Page, tmp_path: Path) -> None:
    shown, sources = hostile()
    open_view(page, tmp_path, shown, sources=sources)
    page.get_by_role("link", name="Show the rows").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rows")
    expect(page.get_by_role("heading", level=2)).to_contain_text(cell(TERSE, ATTACKS[0]).dataset)
