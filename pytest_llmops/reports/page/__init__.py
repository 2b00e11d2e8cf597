"""index.html: a session on one page, which works offline and on its own."""

from __future__ import annotations

from pytest_llmops.reports.page.render import FILE, render_page

__all__ = ["FILE", "render_page"]
