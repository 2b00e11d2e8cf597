"""Every view is a link: to a cell, to a row. The back button, the keyboard and the focus follow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from row_samples import LONG, METRIC, Answer, detail, key_of, names, open_rows, report_of, session

ANSWERS = tuple(Answer(name=f"r{n}", text=f"Text {n}.", output="nurse", score=n % 2) for n in range(250))
CELL = session(ANSWERS)
OTHER = session(ANSWERS, LONG)
REPORT = report_of(CELL, OTHER)
FIRST = [f"r{n}" for n in range(0, 200, 2)]
"""Names on the first page: the rows with the lowest scores."""


def opened(page: Page) -> str:
    """Name of the row that is open, which has the focus."""
    button = page.locator(".entry button[aria-expanded=true]")
    expect(button).to_be_focused()
    return button.inner_text()


def test_a_link_opens_its_row_on_its_page(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT, gate=METRIC, row=201)
    expect(detail(page).get_by_role("heading", level=3)).to_have_text("r201 line 201")
    expect(detail(page)).to_be_in_viewport()
    expect(page.locator(".pager").first).to_contain_text("201 to 250 of 250")
    assert opened(page) == "r201"


def test_a_link_opens_its_cell(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT, cell=key_of(OTHER), gate=METRIC)
    expect(page.get_by_label("Variant")).to_have_value(OTHER.cell.id)
    expect(page.get_by_role("heading", level=2)).to_have_text("ner general long")


def test_a_row_has_a_link_that_opens_it_again(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT)
    page.get_by_role("button", name="r2", exact=True).click()
    link = detail(page).get_by_role("link", name="Link to this row").get_attribute("href")
    page.goto("about:blank")
    page.goto(f"{(tmp_path / 'index.html').as_uri()}{link}")
    assert opened(page) == "r2"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"cell": "evals/ner/experiment.yaml::gone"}, "no cell “evals/ner/experiment.yaml::gone”"),
        ({"row": 999}, "no row of this cell with the line number “999”"),
        ({"row": "x"}, "no row of this cell with the line number “x”"),
        ({"gate": "gone.metric"}, "no gate of this cell named “gone.metric”"),
        ({"with_": "gone"}, "no run to compare with, named “gone”"),
    ],
)
def test_what_a_link_asks_for_and_is_not_there_is_said(
    page: Page, tmp_path: Path, state: dict[str, str | int], said: str
) -> None:
    open_rows(page, tmp_path, REPORT, **state)  # type: ignore[arg-type]
    expect(page.get_by_role("alert")).to_contain_text(re.compile(re.sub("[“”]", '["“”]?', said)))
    expect(page.get_by_label("Experiment")).to_be_visible()


def test_a_row_that_a_filter_hides_can_be_shown(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT, show="below", row=3)
    expect(page.get_by_role("alert")).to_contain_text("Row 3 is not among the rows shown.")
    page.get_by_role("button", name="Show all rows").click()
    assert opened(page) == "r3"


def test_the_back_button_undoes_each_step(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT)
    page.get_by_role("button", name="Not full score").click()
    expect(page.locator(".pager").first).to_contain_text("of 125")
    page.get_by_role("button", name="Next").first.click()
    expect(page.locator(".pager").first).to_contain_text("101 to 125 of 125")
    page.get_by_role("button", name="r202", exact=True).click()
    expect(detail(page)).to_be_visible()
    page.go_back()
    expect(detail(page)).to_have_count(0)
    expect(page.locator(".pager").first).to_contain_text("101 to 125 of 125")
    page.go_back()
    expect(page.locator(".pager").first).to_contain_text("1 to 100 of 125")
    page.go_back()
    expect(page.locator(".pager").first).to_contain_text("of 250")
    page.go_forward()
    expect(page.locator(".pager").first).to_contain_text("of 125")


def test_another_cell_is_chosen_with_its_selects(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT, row=3)
    page.get_by_label("Variant").select_option("long")
    expect(page.get_by_role("heading", level=2)).to_have_text("ner general long")
    expect(detail(page)).to_have_count(0)
    page.go_back()
    assert opened(page) == "r3"


def test_keys_open_close_and_go_on(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT)
    page.get_by_role("button", name="r0", exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    expect(page.get_by_role("button", name="r4", exact=True)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert opened(page) == "r2"
    page.keyboard.press("j")
    expect(detail(page).get_by_role("heading", level=3)).to_contain_text("r4")
    assert opened(page) == "r4"
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(detail(page).get_by_role("heading", level=3)).to_contain_text("r0")
    page.keyboard.press("k")
    assert opened(page) == "r0", "there is no row before the first"
    page.keyboard.press("Escape")
    expect(detail(page)).to_have_count(0)
    expect(page.get_by_role("button", name="r0", exact=True)).to_be_focused()


def test_going_on_from_the_last_row_of_a_page_turns_it(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT)
    assert names(page) == FIRST
    page.get_by_role("button", name="r198", exact=True).press("Enter")
    page.keyboard.press("j")
    expect(page.locator(".pager").first).to_contain_text("101 to 200 of 250")
    assert opened(page) == "r200"


def test_keys_that_are_typed_into_a_field_are_text(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT, row=2)
    page.get_by_label("Search").press_sequentially("jk")
    expect(page.get_by_label("Search")).to_have_value("jk")


def test_closing_from_within_gives_the_focus_back(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, REPORT, row=2)
    detail(page).get_by_role("button", name="Close").click()
    expect(detail(page)).to_have_count(0)
    expect(page.get_by_role("button", name="r2", exact=True)).to_be_focused()
