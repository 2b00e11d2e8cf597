"""The reference pages name everything that there is, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
import yaml
from doc_examples import ROOT, read_blocks

from pytest_llmops.plugin.settings import SETTINGS, Setting
from pytest_llmops.records.gate import Verdict
from pytest_llmops.spec import json_schema
from pytest_llmops.spec.models import ExperimentBlock

REFERENCE = ROOT / "docs" / "reference"
EXPERIMENT_FILE = REFERENCE / "experiment-file.md"
ELSEWHERE = {"SliceThresholdBlock", "BaselineBlock"}
SECTIONS = {
    "Top level": "",
    "datasets": "DatasetBlock",
    "evaluators": "EvaluatorBlock",
    "Scores of rows": "ScoreBlock",
    "datasets of an evaluator": "EvaluatorDatasetBlock",
    "Thresholds": "ThresholdBlock",
    "connections": "ConnectionBlock",
    "llmops": "LLMOpsBlock",
    "llmops.variants": "VariantsBlock",
    "llmops.slices": "SlicesBlock",
    "llmops.prices": "PriceBlock",
    "llmops.candidates": "CandidateBlock",
    "Parity of a candidate": "ParityBlock",
    "llmops.gate": "GateBlock",
    "llmops.deployment": "DeploymentBlock",
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
    assert set(json_schema()["$defs"]) - ELSEWHERE == set(SECTIONS.values()) - {""}


@pytest.mark.parametrize(("heading", "block"), SECTIONS.items())
def test_a_section_lists_the_keys_of_its_block_with_their_defaults(heading: str, block: str) -> None:
    schema = block_schema(block)
    rows = table(section(EXPERIMENT_FILE.read_text(encoding="utf-8"), heading), "key | type | default | meaning")
    assert {key.strip("`") for key, *_ in rows} == set(schema["properties"])
    for key, _, default, meaning in rows:
        described = schema["properties"][key.strip("`")]
        assert (default == "required") is (key.strip("`") in schema.get("required", ())), key
        if described.get("default") is not None:
            assert default == f"`{described['default']}`".lower()
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


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_listed_with_its_names_and_default(setting: Setting) -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    rows = {option: cells for option, *cells in table(text, "option | environment | ini key | default")}
    environment, key, default = rows[f"`--llmops-{setting.name}`"]
    assert (environment, key) == (f"`{setting.key.upper()}`", f"`{setting.key}`")
    if setting.default is not None:
        assert default == f"`{setting.show(setting.default).lower()}`"
    assert f"`{setting.name}`" in {name for name, *_ in table(text, "setting | value | meaning")}


def test_the_settings_page_lists_nothing_else() -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    options = {option.strip("`") for option, *_ in table(text, "option | environment | ini key | default")}
    assert options == {f"--llmops-{setting.name}" for setting in SETTINGS} | {"--llmops-threshold"}


def test_every_verdict_is_listed() -> None:
    text = (REFERENCE / "items-and-exit-codes.md").read_text(encoding="utf-8")
    verdicts = {verdict.strip("`") for verdict, *_ in table(text, "verdict | meaning | outcome in pytest")}
    assert verdicts == set(get_args(Verdict))


def test_every_dependency_is_explained() -> None:
    text = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    needed = {name.strip("`") for name, *_ in table(text, "package | what for | why this one")}
    extras = {name.strip("`") for name, *_ in table(text, "package | extra | what for")}
    # Python 3.10 has no parser of TOML; the lists of requirements are plain enough for a pattern.
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.scripts]")[0]
    required, _, optional = project.partition("\n[project.optional-dependencies]\n")
    assert needed == packages(required.partition("\ndependencies = [")[2])
    assert extras == packages(optional)


def packages(requirements: str) -> set[str]:
    """Return the names in lists of quoted requirements."""
    return set(re.findall(r'"([\w-]+)[<>=]', requirements))
