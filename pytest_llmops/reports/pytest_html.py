"""Columns and details for pytest-html, as the strings that its hooks take.

pytest-html 4 puts cells and extras into the page as they are given, through ``innerHTML``: all escaping is done
here. It reads a cell with a pattern that ends at a line break, so a cell is one line.
"""

from __future__ import annotations

from html import escape

from pytest_llmops.records.gate import GateResult
from pytest_llmops.reports.ages import reuse_note
from pytest_llmops.reports.text import one_line, visible
from pytest_llmops.reports.verdicts import baseline_text, evidence, headline, interval_text, value_text

# It sorts columns as text, which would put 10 before 9: only those that hold text can be sorted. The verdict has a
# column because the page's own one of results knows no others than pytest's, and hides what is none of them.
_COLUMNS = (
    ("cell", "Cell", True),
    ("metric", "Metric", True),
    ("verdict", "Verdict", True),
    ("value", "Value", False),
    ("interval", "95 % CI", False),
    ("rule", "Rule", False),
    ("baseline", "Baseline (delta)", False),
    ("n", "n", False),
)
_NEVER_BROKEN = ("verdict", "value", "interval", "n")


def header_cells() -> list[str]:
    """Return the heading of each column."""
    return [
        f'<th class="sortable" data-column-type="{key}">{title}</th>' if sortable else f"<th>{title}</th>"
        for key, title, sortable in _COLUMNS
    ]


def row_cells(gate: GateResult | None) -> list[str]:
    """Return the cells of one test; empty ones for a test that is not a gate."""
    texts = [""] * len(_COLUMNS) if gate is None else _texts(gate)
    return [_cell(key, text) for (key, _, _), text in zip(_COLUMNS, texts, strict=True)]


def name_cell(nodeid: str) -> str:
    """Return the cell with a test's name, which pytest-html itself would leave unescaped."""
    return _cell("testId", nodeid)


def extra_html(gate: GateResult) -> str:
    """Return the details of a gate: its headline, its reason, the age of what it rests on, and the rows behind it."""
    notes = "".join(f"<p>{escape(visible(text))}</p>" for text in (gate.reason, reuse_note(gate)) if text)
    rows = escape(visible("\n".join(evidence(gate))))
    details = f'<pre style="white-space: pre-wrap">{rows}</pre>' if rows else ""
    return f"<p><strong>{escape(headline(gate))}</strong></p>{notes}{details}"


def _texts(gate: GateResult) -> list[str]:
    n = "" if gate.n is None else str(gate.n)
    numbers = (value_text(gate), interval_text(gate.interval), gate.rule, baseline_text(gate), n)
    return [gate.cell, gate.name, gate.verdict, *numbers]


def _cell(key: str, text: str) -> str:
    style = "white-space: nowrap" if key in _NEVER_BROKEN else "overflow-wrap: anywhere"
    return f'<td class="col-{key}" style="{style}">{escape(one_line(text, 1000))}</td>'
