"""Columns and details for pytest-html, as the strings that its hooks take.

pytest-html 4 puts cells and extras into the page as they are given, through ``innerHTML``: all escaping is done
here. It reads a cell with a pattern that ends at a line break, so a cell is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from pytest_llmops.records.gate import GateResult, cell_key
from pytest_llmops.reports import page
from pytest_llmops.reports.ages import reuse_note
from pytest_llmops.reports.text import one_line, visible
from pytest_llmops.reports.verdicts import baseline_text, figure, headline, interval_text, value_text

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
_NUMBERS = ("value", "interval", "rule", "baseline", "n")
_TEXT = 2000
_LINES = 200
"""Most lines of details, each of at most ``_TEXT`` characters: the page holds those of all tests at once."""


def header_cells() -> list[str]:
    """Return the heading of each column."""
    return [
        f'<th class="sortable" data-column-type="{key}">{title}</th>' if sortable else f"<th>{title}</th>"
        for key, title, sortable in _COLUMNS
    ]


def row_cells(gate: GateResult | None, folder: str | None = None) -> list[str]:
    """Return the cells of one test; empty ones for a test that is not a gate.

    The first one links to the gate's place in the report, where ``folder`` is the way to the folder of the reports.
    """
    texts = dict.fromkeys((key for key, _, _ in _COLUMNS), "") if gate is None else _texts(gate)
    first, *others = (_cell(key, text) for key, text in texts.items())
    if gate is not None and folder is not None:
        first = first.replace(">", f'><a href="{escape(_address(gate, folder))}">', 1).replace("</td>", "</a></td>")
    return [first, *others]


def name_cell(nodeid: str) -> str:
    """Return the cell with a test's name, which pytest-html itself would leave unescaped."""
    return _cell("testId", nodeid)


def extra_html(gate: GateResult) -> str:
    """Return the details of a gate: its headline, numbers and reason, the worst slices, and the rows behind it."""
    texts = _texts(gate)
    numbers = [(title, texts[key]) for key, title, _ in _COLUMNS if key in _NUMBERS and texts[key]]
    slices = [
        (f"{part.column}={part.value}", figure(part.score), interval_text(part.interval), str(part.n))
        for part in gate.slices
    ]
    notes = "".join(f"<p>{_shown(text)}</p>" for text in (gate.reason, reuse_note(gate)) if text)
    rows = "\n".join(map(_shown, _lines(gate.details)))
    return "".join(
        (
            f"<p><strong>{escape(headline(gate))}</strong></p>{notes}",
            _table([title for title, _ in numbers], [[text for _, text in numbers]] if gate.rule else []),
            _table(["Slice", "Value", "95 % CI", "n"], slices),
            f'<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{rows}</pre>' if rows else "",
        )
    )


def _address(gate: GateResult, folder: str) -> str:
    cell = quote(cell_key(gate.experiment, gate.cell), safe="", errors="replace")
    return f"{quote(folder)}/{page.FILE}#cell={cell}&gate={quote(gate.name, safe='', errors='replace')}"


def _texts(gate: GateResult) -> dict[str, str]:
    """Return what a gate has in each column."""
    n = "" if gate.n is None else str(gate.n)
    numbers = (value_text(gate), interval_text(gate.interval), gate.rule, baseline_text(gate), n)
    keys = (key for key, _, _ in _COLUMNS)
    return dict(zip(keys, (gate.cell, gate.name, gate.verdict, *numbers), strict=True))


def _cell(key: str, text: str) -> str:
    style = "white-space: nowrap" if key in _NEVER_BROKEN else "overflow-wrap: anywhere"
    return f'<td class="col-{key}" style="{style}">{escape(one_line(text, 1000))}</td>'


def _lines(texts: Iterable[str]) -> list[str]:
    lines = [line for text in texts for line in visible(text[: _TEXT * _LINES]).split("\n")]
    return lines if len(lines) <= _LINES else [*lines[:_LINES], f"and {len(lines) - _LINES} more lines"]


def _shown(text: str) -> str:
    safe = visible(text[: _TEXT + 1])
    return escape(safe if len(safe) <= _TEXT else f"{safe[:_TEXT]}…")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table on one line; nothing without rows."""
    style = 'style="text-align: left; padding: 2px 16px 2px 0; overflow-wrap: anywhere"'
    lines = ["".join(f"<td {style}>{escape(one_line(text, _TEXT))}</td>" for text in row) for row in rows]
    head = "".join(f"<th {style}>{escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table style="width: auto"><tr>{head}</tr>{body}</table>' if lines else ""
