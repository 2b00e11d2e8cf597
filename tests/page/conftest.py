"""A real browser, in which the report page is opened as its readers open it: from a file, without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, ViewportSize, sync_playwright

SIZE = ViewportSize(width=1280, height=900)
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


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A tab of the browser, and what went wrong in it so far."""

    page: Page
    troubles: list[str]

    def reset(self) -> None:
        """Undo what tests do to the tab itself. Of its document, nothing outlives the next one that is opened."""
        self.page.mouse.move(0, 0)
        self.page.emulate_media(media="null", color_scheme="light")
        self.page.set_viewport_size(SIZE)


# Not of each test: a new tab is a new process, which compiles the page's scripts anew.
@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Tab]:
    """A tab that notes whatever throws, opens a dialog, breaks the page's policy or asks the network, which fails."""
    context = browser.new_context(viewport=SIZE)
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
    yield Tab(page=page, troubles=troubles)
    context.close()


@pytest.fixture
def page(tab: Tab) -> Iterator[Page]:
    """The tab, in which a test opens a file. The test fails if anything went wrong in it."""
    tab.troubles.clear()
    yield tab.page
    tab.reset()
    assert tab.troubles == []
