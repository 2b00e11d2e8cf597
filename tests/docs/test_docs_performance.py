"""The page on performance has a table with every benchmark, in the form that the benchmarks write."""

from __future__ import annotations

import re
from pathlib import Path

from doc_examples import ROOT

from benchmarks import page
from benchmarks.__main__ import MODULES
from benchmarks.figures import Figure, ratio

_ROW = re.compile(r"^\| (B\d) [^|]+(\|[^|]*){3}\|[^|]*\|$")


def written(text: str) -> list[str]:
    """Return what stands between the markers."""
    assert (text.count(page.BEGIN), text.count(page.END)) == (1, 1)
    return text.partition(page.BEGIN)[2].partition(page.END)[0].strip().splitlines()


def test_every_benchmark_is_in_the_table() -> None:
    head, ruler, *rows = written(page.PAGE.read_text(encoding="utf-8"))
    assert head == "| benchmark | against | result | spread | target |"
    assert set(ruler) == set("|- ")
    found = [match[1] for match in map(_ROW.match, rows) if match]
    assert len(found) == len(rows)
    assert list(dict.fromkeys(found)) == list(MODULES)


def test_every_benchmark_has_a_module_and_a_text() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert sorted(file.stem for file in (ROOT / "benchmarks").glob("b*.py")) == sorted(MODULES.values())
    assert [name for name in MODULES if f"\n**{name}, " not in text] == []


def test_a_table_is_written_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}\n{page.END}\nafter\n", encoding="utf-8")
    two = Figure(name="new", against="x", result="2", target="at least 3", reached=False)
    page.write(
        {"B1": [Figure(name="a", against="x", result="1")], "B2": [Figure(name="old", against="x", result="1")]}, file
    )
    page.write({"B1": [], "B2": [two]}, file)
    text = file.read_text(encoding="utf-8")
    assert (text.startswith("before\n"), text.endswith("\nafter\n")) == (True, True)
    assert written(text)[2:] == ["| B1 a | x | 1 |  |  |", "| B2 new | x | 2 |  | at least 3, missed |"]


def test_a_ratio_tells_its_spread_and_whether_it_is_enough() -> None:
    figure = ratio("fast", "slow", [1.0, 2.0, 4.0], [30.0], target=20)
    assert figure.line == "fast: 15x (against slow, spread 7.5x to 30x, target at least 20x, missed)"
