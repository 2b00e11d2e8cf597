"""A use case of plain Python that was evaluated, with the reports of that session beside it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import pytest_llmops as llmops
from pytest_llmops.records.report import Report
from pytest_llmops.reports.write import write_reports

FLOW = '''"""Turns words into upper case."""


class Shout:
    def __init__(self, ending: str = "x") -> None:
        self.ending = ending

    def __call__(self, word: str) -> dict:
        return {"loud": word.upper() + self.ending}
'''

CHECK = '''"""Compares answers with gold."""


def compare(answer: str, gold: str) -> dict:
    return {"accuracy": float(answer == gold)}


def aggregate(rows: list) -> dict:
    return {"accuracy": sum(row["accuracy"] for row in rows) / len(rows)}
'''

EXPERIMENT = """name: shouting
flow: shout:Shout
datasets:
- {name: words, source: words.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:compare
  thresholds: {accuracy: ">= 0.6"}
  datasets:
  - {name: words, mappings: {answer: "${run.outputs.loud}", gold: "${data.gold}"}}
llmops:
  variants: {strategy: one-at-a-time, overrides: {init.ending: [x, y]}}
"""

ROWS = [
    {
        "word": f"w{number}",
        "gold": "wrong" if number % 6 == 5 else f"W{number}x",
        "half": "first" if number < 6 else "second",
    }
    for number in range(12)
]
X, Y = "Shout-words-init.ending=x", "Shout-words-init.ending=y"


def write_case(folder: Path) -> None:
    """Write the use case: one flow in two variants, the first of which is right in 10 of 12 rows, the other in none."""
    for name, text in (("shout.py", FLOW), ("check.py", CHECK), ("experiment.yaml", EXPERIMENT)):
        (folder / name).write_text(text, encoding="utf-8")
    write_rows(folder, ROWS)


def move_into(folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy what was made into a folder, and work there, as if there were no repository above it."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    return folder


def write_rows(folder: Path, rows: list[dict[str, str]]) -> None:
    """Write the dataset."""
    (folder / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def change(folder: Path, name: str, old: str, new: str) -> None:
    """Change a file of the use case; the old text must be there."""
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def record(folder: Path, reports: str = "reports", **options: str | int) -> Report:
    """Evaluate the use case and write the reports."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        report = llmops.evaluate(llmops.load("experiment.yaml", root=folder), **options)  # type: ignore[arg-type]
    finally:
        os.chdir(here)
    write_reports(report, folder / reports)
    return report
