"""The page opens from a file, in a browser without a network."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from report_samples import report

from pytest_llmops.reports.page import render_page


def test_the_decision_comes_first(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_text(render_page(report()), encoding="utf-8")
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("gate: closed: 1 of 4 gates failed")
