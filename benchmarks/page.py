"""The table in ``docs/explanation/performance.md``: its figures are only ever written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks -->", "<!-- end of figures -->"
_HEAD = ("| benchmark | against | result | spread | target |", "| --- | --- | --- | --- | --- |")


def write(figures: Mapping[str, Sequence[Figure]], page: Path = PAGE) -> None:
    """Replace the lines of some benchmarks, given by the names of all, such as ``B1``; keep those of the others."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    kept = {name: _lines(table, name) for name in figures}
    lines = [line for name in figures for line in ([_line(name, f) for f in figures[name]] or kept[name])]
    page.write_text("\n".join([before + BEGIN, *_HEAD, *lines, END + after]), encoding="utf-8")


def _lines(table: str, name: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith(f"| {name} ")]


def _line(name: str, figure: Figure) -> str:
    target = figure.target + (", missed" if figure.reached is False else "")
    cells = (f"{name} {figure.name}", figure.against, figure.result, figure.spread, target)
    return f"| {' | '.join(cells)} |"
