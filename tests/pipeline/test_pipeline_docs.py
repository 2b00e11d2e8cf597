"""The guides show the pipeline as it is, and a workflow that holds together."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ado_templates import read_yaml
from doc_examples import ROOT, Block, read_blocks

AZURE_DEVOPS = ROOT / "docs" / "how-to" / "azure-devops.md"
GITHUB_ACTIONS = ROOT / "docs" / "how-to" / "github-actions.md"


def blocks(page: Path) -> list[Block]:
    return [block for block in read_blocks(page) if block.language == "yaml"]


def workflow() -> Mapping[str, Any]:
    (block,) = [block for block in blocks(GITHUB_ACTIONS) if "title" in block.attributes]
    read = yaml.load(block.text, yaml.BaseLoader)
    assert isinstance(read, dict)
    return read


@pytest.mark.parametrize("block", blocks(AZURE_DEVOPS), ids=lambda block: f"line {block.line}")
def test_the_guide_quotes_the_pipeline(block: Block) -> None:
    files = [ROOT / "azure-pipelines.yml", *(ROOT / ".azure-pipelines").rglob("*.yml")]
    assert any(block.text in path.read_text(encoding="utf-8") for path in files), (
        "it is not in any file as it stands here"
    )


def test_the_guide_lists_the_stages() -> None:
    text = AZURE_DEVOPS.read_text(encoding="utf-8")
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / ".azure-pipelines").glob("*.yml"))
    for name in re.findall(r"^- stage: .*\n  displayName: (.+)$", written, re.MULTILINE):
        assert f"| {name.partition(' (')[0]} |" in text


def test_the_guide_names_the_parameters_with_their_defaults() -> None:
    text = AZURE_DEVOPS.read_text(encoding="utf-8")
    defaults = {
        parameter["name"]: parameter["default"] for parameter in read_yaml(ROOT / "azure-pipelines.yml")["parameters"]
    }
    for name in ("packages", "evals", "tests", "slices"):
        assert f"| `{name}` | `{defaults[name]}` |" in text
    assert f"`{defaults['serviceConnection']}`" in text
    assert f"name `{defaults['environment']}`" in text


def test_jobs_of_the_workflow_wait_for_what_exists() -> None:
    jobs = workflow()["jobs"]
    assert {job["needs"] for job in jobs.values() if "needs" in job} == {"slice", "gate"} <= set(jobs)
    assert jobs["deploy"]["needs"] == "gate"
    assert "if" in jobs["gate"], "a job without a condition is skipped where a slice failed"


def test_every_step_of_the_workflows_gate_runs_after_a_failure() -> None:
    steps = workflow()["jobs"]["gate"]["steps"]
    merge = [step.get("name") for step in steps].index("Merge")
    assert [step for step in steps[merge:] if not step["if"].startswith("${{ !cancelled()")] == []


@pytest.mark.parametrize(("job", "name", "program"), [("slice", "Evaluate", "python"), ("gate", "Merge", "llmops")])
def test_the_runner_takes_no_commands_from_a_step_that_shows_rows(
    tmp_path: Path, job: str, name: str, program: str
) -> None:
    (script,) = [step["run"] for step in workflow()["jobs"][job]["steps"] if step.get("name") == name]
    stub(tmp_path / "uuidgen", "echo unguessable")
    stub(tmp_path / program, 'echo "::error::$#"; exit 3')
    command = re.sub(r"\$\{\{.*?\}\}", "1", script)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", command], env={"PATH": path}, stdout=subprocess.PIPE, text=True, check=False
    )
    begin, said, end = done.stdout.splitlines()
    assert (begin, end) == ("::stop-commands::unguessable", "::unguessable::")
    assert said.startswith("::error::")
    assert done.returncode == 3


def stub(path: Path, command: str) -> None:
    """Write a program that stands for another."""
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_workflow_may_read_only() -> None:
    assert workflow()["permissions"] == {"contents": "read"}
    for job in workflow()["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": "false"}
