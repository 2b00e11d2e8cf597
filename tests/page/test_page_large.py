"""Sessions of 20,000 rows: the page is written in a few seconds, and opens in less than two."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.report_page import ENTRY, HEADING, ROWS, ROWS_VIEW, VARIANTS, compared, large_report, seconds_until
from pytest_llmops.reports.page import render_page

pytestmark = pytest.mark.slow

TIMES = 5
"""How often the page may be opened. The fastest time counts: other tests run beside this one."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of a large session, alone and with a baseline."""
    folder = tmp_path_factory.mktemp("large")
    report = large_report()
    assert sum(len(result.run.rows) for result in report.cells) == VARIANTS * ROWS == 20_000
    begun = time.perf_counter()
    (folder / "alone.html").write_text(render_page(report), encoding="utf-8")
    assert time.perf_counter() - begun < 15
    (folder / "compared.html").write_text(render_page(*compared(report)), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("view", "selector"), [("", HEADING), (ROWS_VIEW, ENTRY)], ids=["first view", "rows"])
def test_a_large_session_opens_in_two_seconds(browser: Browser, files: Path, view: str, selector: str) -> None:
    address = (files / "alone.html").as_uri() + view
    assert any(seconds_until(browser, address, selector) < 2 for _ in range(TIMES))


def test_every_row_of_a_large_session_is_in_its_table(page: Page, files: Path) -> None:
    page.goto((files / "compared.html").as_uri() + ROWS_VIEW)
    expect(page.get_by_text(f"of {ROWS:,}").first).to_be_visible()
