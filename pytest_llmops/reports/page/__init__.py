"""index.html: a session on one page, which works offline and on its own."""

from __future__ import annotations

from pytest_llmops.reports.page.document import point_of
from pytest_llmops.reports.page.render import FILE, render_page
from pytest_llmops.reports.page.sources import NO_SOURCES, Outcome, Point, Sources

__all__ = ["FILE", "NO_SOURCES", "Outcome", "Point", "Sources", "point_of", "render_page"]
