"""A use case that is deployed to the emulator: its configuration, its gate, and the command line of its commands."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from azure_emulator import Emulator
from azure_identity import install_az
from release_case import FLOW, PATH, session, write_case, write_session

from pytest_llmops.cli import main

PROMPT = f"{FLOW}/kind.jinja2"
BLOCK = """
llmops:
  deployment:
    prod:
      kind: managed
      endpoint: greeter-prod
      instance_type: Standard_DS3_v2
      instance_count: 1
      traffic: [10, 100]
      timeout: 1m
"""
_DIGEST = re.compile(r"greet-[0-9a-f]{8}")


class Project:
    """The use case ``greeter`` in the working directory, in no repository, with an Azure CLI that is logged in."""

    def __init__(self, folder: Path, emulator: Emulator, block: str = BLOCK) -> None:
        (folder / "bin").mkdir(parents=True)
        install_az(folder / "bin")
        self.root = write_case(folder / "project")
        self.emulator = emulator
        self.environ = {
            "GIT_CEILING_DIRECTORIES": str(folder),
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "LLMOPS_CREDENTIAL": "cli",
        }
        experiment = self.root / PATH
        experiment.write_text(experiment.read_text(encoding="utf-8") + block, encoding="utf-8")
        docker = self.root / FLOW / "docker"
        docker.mkdir()
        (docker / "dockerfile").write_text("FROM scratch\n", encoding="utf-8")
        emulator.serve(lambda body: {"text": f"Dear {body['name']}"})

    def entered(self, monkeypatch: pytest.MonkeyPatch) -> Project:
        """Make it the working directory, outside of any pipeline."""
        monkeypatch.chdir(self.root)
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        for name in ("TF_BUILD", "CI"):
            monkeypatch.delenv(name, raising=False)
        return self

    def change(self, greeting: str) -> None:
        """Change the flow, and evaluate it."""
        (self.root / PROMPT).write_text(f"{greeting} {{{{name}}}}\n", encoding="utf-8")
        self.evaluate()

    def replace(self, old: str, new: str) -> None:
        """Change the experiment file, and evaluate it."""
        experiment = self.root / PATH
        experiment.write_text(experiment.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        self.evaluate()

    def evaluate(self) -> None:
        """Leave an open gate on the files as they are."""
        write_session(self.root, session(self.root))

    @property
    def traffic(self) -> Mapping[str, int]:
        """The endpoint's traffic."""
        return self.emulator.state.traffic("greeter-prod")

    @property
    def deployments(self) -> Mapping[str, str]:
        """The endpoint's deployments, by name their states."""
        return self.emulator.state.deployments("greeter-prod")

    @property
    def moves(self) -> list[str]:
        """All traffic that there was so far."""
        return [line.partition(": ")[2] for line in self.emulator.log if line.startswith("traffic greeter-prod: ")]

    @property
    def writes(self) -> list[str]:
        """Requests so far that ask for a change, and changes of traffic."""
        return [line for line in self.emulator.log if line.startswith(("PUT", "DELETE", "traffic"))]


def llmops(command: str, *options: str) -> int:
    """Run a command on the use case."""
    return main([*command.split(), PATH, "--env", "prod", *options])
