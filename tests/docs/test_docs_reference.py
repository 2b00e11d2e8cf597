"""The reference pages name everything that there is, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from doc_examples import ROOT, read_blocks

from pytest_llmops.spec import json_schema
from pytest_llmops.spec.models import ExperimentBlock

REFERENCE = ROOT / "docs" / "reference"
EXPERIMENT_FILE = REFERENCE / "experiment-file.md"
NOT_YET = {"SlicesBlock", "BaselineBlock", "CandidateBlock"}
SECTIONS = {
    "Top level": "",
    "datasets": "DatasetBlock",
    "evaluators": "EvaluatorBlock",
    "datasets of an evaluator": "EvaluatorDatasetBlock",
    "Thresholds": "ThresholdBlock",
    "connections": "ConnectionBlock",
    "llmops": "LLMOpsBlock",
    "llmops.variants": "VariantsBlock",
    "llmops.gate": "GateBlock",
}


def section(text: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def table(text: str, heads: str) -> list[list[str]]:
    """Return the cells of the table below these headings."""
    lines = text.partition(f"| {heads} |\n")[2].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def block_schema(name: str) -> Mapping[str, Any]:
    schema = json_schema()
    return schema["$defs"][name] if name else schema


def test_every_block_of_the_schema_has_a_section() -> None:
    assert set(json_schema()["$defs"]) - NOT_YET == set(SECTIONS.values()) - {""}


@pytest.mark.parametrize(("heading", "block"), SECTIONS.items())
def test_a_section_lists_the_keys_of_its_block_with_their_defaults(heading: str, block: str) -> None:
    schema = block_schema(block)
    rows = table(section(EXPERIMENT_FILE.read_text(encoding="utf-8"), heading), "key | type | default | meaning")
    assert {key.strip("`") for key, *_ in rows} == set(schema["properties"])
    for key, _, default, meaning in rows:
        described = schema["properties"][key.strip("`")]
        assert (default == "required") is (key.strip("`") in schema.get("required", ())), key
        if described.get("default") is not None:
            assert default == f"`{described['default']}`"
        assert ("not supported yet" in meaning) is (described.get("description") == "Not supported yet"), key


def examples() -> list[Any]:
    return [yaml.safe_load(block.text) for block in read_blocks(EXPERIMENT_FILE) if block.language == "yaml"]


@pytest.mark.parametrize("example", examples())
def test_the_examples_are_valid(example: Any) -> None:
    ExperimentBlock.model_validate(example)


def keys(value: Any) -> Iterator[str]:
    """Yield every key of a YAML value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


@pytest.mark.parametrize(("heading", "block"), SECTIONS.items())
def test_every_key_has_an_example(heading: str, block: str) -> None:
    properties = block_schema(block)["properties"]
    supported = {key for key, described in properties.items() if described.get("description") != "Not supported yet"}
    assert supported - set(keys(examples())) == set()
