"""Renders the page: one template, with the libraries, the page's own scripts and the data in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.records.report import Report
from pytest_llmops.reports.page.document import overview
from pytest_llmops.reports.page.rows import rows
from pytest_llmops.reports.page.sources import NO_SOURCES, Sources
from pytest_llmops.reports.page.values import LONGEST
from pytest_llmops.reports.verdicts import experiments

if TYPE_CHECKING:
    from jinja2 import Template

FILE = "index.html"
_FOLDER = Path(__file__).parent
_VENDOR = ("d3.js", "plot.js", "htm-preact.js", "diff.js")
# They are parts of one module, so they share one scope: each may use what stands before it.
_APP = (
    "data.js",
    "state.js",
    "format.js",
    "charts.js",
    "ranking.js",
    "decision.js",
    "leaderboard.js",
    "heatmap.js",
    "distributions.js",
    "trend.js",
    "about.js",
    "flips.js",
    "sifting.js",
    "columns.js",
    "diff.js",
    "moving.js",
    "table.js",
    "row.js",
    "chooser.js",
    "sifter.js",
    "rows.js",
    "main.js",
)
_STYLES = ("style.css", "overview.css", "rows.css")
_LARGEST = 50_000_000
"""Characters that the rows of an experiment may take up, or the page opens too slowly."""
_SHORTER = (LONGEST, 4_000, 800)


def render_page(report: Report, sources: Sources = NO_SOURCES) -> str:
    """Render a report. ``sources`` has what it is shown beside: baselines and earlier sessions."""
    first = overview(report, sources)
    blocks = {"llmops-overview": _json(first)}
    for number, path in enumerate(experiments(report)):
        blocks[f"llmops-rows-{number}"] = _rows(report, path, sources.baselines.get(path))
    return _template().render(title=f"{first['line']} - pytest-llmops", blocks=blocks, **_assets())


def _rows(report: Report, path: str, baseline: Report | None) -> str:
    """Write the rows of an experiment, with shorter texts where all of them together would be too much."""
    for longest in _SHORTER:
        text = _json(rows(report, path, baseline, longest=longest))
        if len(text) <= _LARGEST:
            break
    return text


def _json(values: Any) -> str:
    """Write JSON that can stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@cache
def _assets() -> dict[str, Any]:
    scripts = [*(_read("vendor", name) for name in _VENDOR)]
    app = "\n".join(_read("app", name) for name in _APP)
    return {
        "libraries": scripts,
        "app": app,
        "style": "\n".join(_read("app", name) for name in _STYLES),
        "policy": " ".join(_hashes([*scripts, app])),
    }


def _hashes(scripts: list[str]) -> Iterator[str]:
    """Name scripts for a Content-Security-Policy, under which no other script runs."""
    for script in scripts:
        yield f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _read(folder: str, name: str) -> str:
    return (_FOLDER / folder / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    ).get_template("page.html.jinja")
