"""A small project in a temporary folder, run with pytest as a user would run it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

SHOUT = '''
"""Turns words into upper case; fails on the word 'crash'."""
from pathlib import Path


def shout(word: str, ending: str = "!") -> dict:
    with (Path(__file__).parent / "calls.txt").open("a") as calls:
        calls.write(word + "\\n")
    if word == "crash":
        raise ValueError("the word is crash")
    return {"loud": word.upper() + ending}
'''

COMPARE = '''
"""Compares an answer with gold, row by row and over all rows."""


def compare(answer: str, gold: str) -> dict:
    return {"correct": float(answer == gold)}


def aggregate(rows: list) -> dict:
    return {"accuracy": sum(row["correct"] for row in rows) / len(rows) if rows else 0.0}
'''

EXPERIMENT = """
name: shouting
flow: shout:shout
datasets:
- name: words
  source: words.jsonl
  mappings: {word: "${data.word}"}
evaluators:
- name: compare
  flow: compare:compare
  thresholds: {accuracy: ">= 0.75"}
  datasets:
  - name: words
    mappings: {answer: "${run.outputs.loud}", gold: "${data.gold}"}
"""

ROWS = [{"word": word, "gold": word.upper() + "!"} for word in ("one", "two", "three")] + [
    {"word": "four", "gold": "4"}
]


class Project:
    """A use case of plain Python flows in a temporary folder, and pytest on it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.folder = self.path / "evals" / "shouting"
        self.folder.mkdir(parents=True)
        (self.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        self.write("shout.py", SHOUT)
        self.write("compare.py", COMPARE)
        self.write("experiment.yaml", EXPERIMENT)
        self.write_rows("words.jsonl", ROWS)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the use case."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
        return path

    def write_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Write a dataset of the use case."""
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the use case; the old text must be there."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest on the project, in this process."""
        return self.pytester.runpytest_inprocess("evals", "-p", "no:cacheprovider", *arguments)

    def report(self, name: str = "results.json") -> Any:
        """Read a JSON report of the last run."""
        return json.loads((self.path / "reports" / name).read_text(encoding="utf-8"))

    def calls(self) -> list[str]:
        """Words that the flow was called with, over all runs so far, sorted."""
        return sorted((self.folder / "calls.txt").read_text(encoding="utf-8").split())
