"""A small use case that is right, for tests to break in one place at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.spec import load_experiment

EXPERIMENT = """\
name: case
flow: main
datasets:
- name: rows
  source: rows.jsonl
  mappings:
    text: ${data.text}
evaluators:
- name: score
  datasets:
  - name: gold
    reference: rows
    source: gold.jsonl
    mappings:
      label: ${data.label}
      answer: ${run.outputs.answer}
"""
MAIN = """\
inputs:
  text:
    type: string
outputs:
  answer:
    type: string
    reference: ${tidy.output}
nodes:
- name: ask
  use_variants: true
- name: tidy
  type: python
  source: {type: code, path: tidy.py}
  inputs:
    answer: ${ask.output}
    limit: 20
node_variants:
  ask:
    default_variant_id: short
    variants:
      short:
        node: {type: llm, connection: aoai, inputs: {temperature: 0, text: "${inputs.text}"}}
      long:
        node: {type: llm, connection: aoai, inputs: {temperature: 0, text: "${inputs.text}", max_tokens: 9}}
"""
SCORE = """\
inputs:
  label:
    type: string
  answer:
    type: string
  mode:
    type: string
    default: strict
outputs:
  correct:
    type: bool
    reference: ${compare.output}
nodes:
- name: compare
  type: python
  source: {type: code, path: compare.py}
  inputs: {label: "${inputs.label}", answer: "${inputs.answer}", mode: "${inputs.mode}"}
"""
ROWS = '{"id": 1, "text": "one"}\n{"id": 2, "text": "two"}\n{"id": 3, "text": "three"}\n'
GOLD = '{"id": 1, "label": "a"}\n{"id": 2, "label": "b"}\n{"id": 3, "label": "c"}\n'


class Case:
    """A use case in ``evals/case`` of a temporary root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "evals" / "case"
        self.write("experiment.yaml", EXPERIMENT)
        self.write("flows/main/flow.dag.yaml", MAIN)
        self.write("flows/score/flow.dag.yaml", SCORE)
        self.write("data/rows.jsonl", ROWS)
        self.write("data/gold.jsonl", GOLD)
        # The evaluator's third input would be a warning in every test that is not about it.
        self.edit("experiment.yaml", "      label: ${data.label}\n", "      label: ${data.label}\n      mode: strict\n")

    def write(self, path: str, text: str) -> None:
        """Write a file of the use case."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that a file has once."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, text
        self.write(path, text.replace(old, new))

    def append(self, text: str, path: str = "experiment.yaml") -> None:
        """Add lines at the end of a file."""
        self.write(path, (self.folder / path).read_text(encoding="utf-8") + text)

    def load(self, **conditions: Any) -> Experiment:
        """Load the experiment."""
        return load_experiment(self.folder / "experiment.yaml", root=self.root, **conditions)

    def errors(self, **conditions: Any) -> list[str]:
        """Load the experiment, which has to fail, and return the lines of its message."""
        with pytest.raises(ConfigurationError) as caught:
            self.load(**conditions)
        return str(caught.value).splitlines()
