"""A real browser, in which the report page is opened as its readers open it: from a file, without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = "LLMOPS_TEST_BROWSER"
"""Environment variable that makes a missing browser an error: where the tests have to be run."""


# Not of the session: while Playwright is at work, its thread has a running event loop, which other tests can't have.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"no browser to open the page in: install one of {', '.join(NAMES)}"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab. The test fails if anything on the page throws, opens a dialog, breaks its policy or asks the network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.url.startswith(("http:", "https:", "ws:")):
            troubles.append(f"request: {route.request.url}")
            route.abort()
        else:
            route.continue_()

    def dismiss(dialog: Dialog) -> None:
        troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.route("**/*", refuse)
    page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("dialog", dismiss)
    page.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)
    yield page
    context.close()
    assert troubles == []
