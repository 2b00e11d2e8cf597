"""Every command line of the pipeline is one that the real commands take."""

from __future__ import annotations

import re
import shlex
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import ado_log
import pytest
import yaml
from ado_run import job_steps
from ado_templates import expand
from doc_examples import ROOT, read_blocks

from pytest_llmops.cli import _parser

_DIGEST = ("$DIGEST", "0123abcd")
"""The one variable of the shell whose value the options check, and a value."""
_MACRO = re.compile(r"\$\([\w.]+\)|\$\{\{[^}]*\}\}")


def scripts() -> Iterator[str]:
    """Yield the scripts of the pipeline in all its modes, and of the workflow that the documentation shows."""
    for mode in ("smoke", "full", "live"):
        pipeline = expand(ROOT / "azure-pipelines.yml", {"mode": mode, "serviceConnection": "azure-llmops"}, {})
        for job in (job for stage in pipeline["stages"] for job in stage["jobs"]):
            for step in job_steps(job):
                yield str(step.get("script") or step.get("inputs", {}).get("inlineScript", ""))
    for block in read_blocks(ROOT / "docs" / "how-to" / "github-actions.md"):
        if "title" in block.attributes:
            for job in yaml.load(block.text, yaml.BaseLoader)["jobs"].values():
                yield from (step["run"] for step in job["steps"] if "run" in step)


def command_lines() -> list[tuple[str, ...]]:
    """Return the commands in all scripts, without variables of the pipeline."""
    lines = (line for text in scripts() for line in text.replace("\\\n", " ").splitlines())
    return sorted({tuple(shlex.split(_MACRO.sub("1", line.replace(*_DIGEST)))) for line in lines})


def of_llmops() -> list[tuple[str, ...]]:
    return [line[1:] for line in command_lines() if line[:1] == ("llmops",)]


def of_pytest() -> list[tuple[str, ...]]:
    return [line[3:] for line in command_lines() if line[:3] == ("python", "-m", "pytest")]


@pytest.mark.parametrize("arguments", of_llmops(), ids=" ".join)
def test_llmops_takes_the_command(arguments: tuple[str, ...]) -> None:
    assert callable(_parser().parse_args(arguments).command)


@pytest.mark.parametrize("arguments", of_pytest(), ids=" ".join)
def test_pytest_takes_the_command(arguments: tuple[str, ...], pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig(*arguments)
    assert config.getoption("file_or_dir") == [arguments[0]]


def test_nothing_is_left_out() -> None:
    release = {"deploy", "endpoint", "traffic", "rollback"}
    assert {arguments[0] for arguments in of_llmops()} == {"merge", "gate", "pr-comment", *release}
    assert {arguments[0] for arguments in of_pytest()} == {"tests/", "evals/", "evals/ner"}


def test_the_gate_sets_the_variables_that_stages_read(tmp_path: Path) -> None:
    command = [f"{sysconfig.get_path('scripts')}/llmops", "gate"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"TF_BUILD": "True"}, stdout=subprocess.PIPE, text=True, check=False
    )
    outputs = ado_log.outputs(ado_log.parse(done.stdout))
    assert done.returncode != 0
    assert set(outputs) == {"decision", "summary"}
    assert outputs["decision"] == "closed"
