"""``pf flow serve`` behind the emulator: what is deployed is evaluated there, with the metrics of a local run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from azure_blob import Azurite
from azure_control_plane import add_connection
from azure_emulator import Emulator
from azure_identity import install_az
from pf_serve import pf_serve

from pytest_llmops.cli import main

ROOT = Path(__file__).parents[2]
URL = "https://ner-prod.westeurope.inference.ml.azure.com/score"
BLOCK = """
llmops:
  deployment:
    prod: {endpoint: ner-prod, instance_type: Standard_DS3_v2, traffic: [50, 100], timeout: 1m}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of this repository's use case ``ner``, which is to be deployed, with an Azure CLI beside it."""
    root = tmp_path / "project"
    for name in ("evals/ner", "flows/ner_extract", "flows/ner_match", "datasets/ner"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*", "reports"))
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    experiment = root / "evals/ner/experiment.yaml"
    own = experiment.read_text(encoding="utf-8").partition("\nllmops:")[0]
    experiment.write_text(own + BLOCK, encoding="utf-8")
    (tmp_path / "bin").mkdir()
    install_az(tmp_path / "bin")
    monkeypatch.chdir(root)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LLMOPS_CREDENTIAL", "cli")
    return root


def evaluate(*options: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Run ``pytest evals/ner`` as a process of its own, and return what it wrote into gate.json and results.json."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "evals/ner",
        "-q",
        "-p",
        "no:cacheprovider",
        "--llmops-variants=defaults",
    ]
    if "endpoint" in options:
        command.pop()
    done = subprocess.run([*command, *options], env=environ, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results: dict[str, Any] = json.loads(Path("reports/results.json").read_text(encoding="utf-8"))
    return results


def metrics(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of each cell's evaluation."""
    return {cell["cell"]["dataset"]: cell["evaluations"]["matcher"]["result"]["metrics"] for cell in results["cells"]}


def outputs(results: Mapping[str, Any]) -> list[Any]:
    """Return the outputs of all rows."""
    return [row["output"] for cell in results["cells"] for row in cell["run"]["rows"]]


@pytest.mark.slow
def test_what_is_deployed_has_the_metrics_of_the_local_run(project: Path, azure: Emulator, azurite: Azurite) -> None:
    environ = {**os.environ, "LLMOPS_ENDPOINT_TOKEN": "key-of-ner-prod"}
    local = evaluate(environ=environ)
    add_connection(azure.state, "local_llm")
    cassette = ROOT / "evals" / "ner" / "cassettes" / "ner_extract.json"
    with pf_serve(ROOT / "flows" / "ner_extract", cassette, ["local_llm"]) as served:
        azure.serve(served)
        assert main(["deploy", "evals/ner", "--env", "prod"]) == 0
        (name,) = azure.state.traffic("ner-prod")
        asked = len(azure.log)
        there = evaluate("--llmops-backend", "endpoint", "--llmops-endpoint", URL, environ=environ)
    scored = [line for line in azure.log[asked:] if line.startswith("POST ner-prod/score")]
    assert scored == [f"POST ner-prod/score -> 200 {name}"] * 80
    assert metrics(there) == metrics(local)
    assert outputs(there) == outputs(local)
    assert len(outputs(local)) == 80
