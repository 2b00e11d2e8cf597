"""Renders the page: one template, with the libraries, the page's own scripts and the data in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.records.report import Report
from pytest_llmops.reports.page import document

if TYPE_CHECKING:
    from jinja2 import Template

FILE = "index.html"
_FOLDER = Path(__file__).parent
_VENDOR = ("d3.js", "plot.js", "htm-preact.js", "diff.js")
# They are parts of one module, so they share one scope: each may use what stands before it.
_APP = ("data.js", "state.js", "format.js", "main.js")
_STYLES = ("style.css",)


def render_page(report: Report, baselines: Mapping[str, Report] | None = None) -> str:
    """Render a report. ``baselines`` are the reports that its experiments were compared with, by experiment path."""
    known = baselines or {}
    overview = document.overview(report, known)
    blocks = {"llmops-overview": overview}
    for number, experiment in enumerate(overview["experiments"]):
        path = experiment["path"]
        blocks[f"llmops-rows-{number}"] = document.rows(report, path, known.get(path))
    assets = _assets()
    return _template().render(
        title=f"{overview['line']} - pytest-llmops",
        **assets,
        blocks={name: _json(values) for name, values in blocks.items()},
    )


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
