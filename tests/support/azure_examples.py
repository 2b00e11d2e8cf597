"""Commands of a documentation page about Azure, run on the emulator in this process: it imports the SDKs only once."""

from __future__ import annotations

import importlib.util
import io
import os
import shlex
import warnings
from collections.abc import Mapping
from contextlib import ExitStack, closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure_emulator import Emulator
from azure_identity import install_az
from azure_runs import computing

from pytest_llmops.cli import main
from pytest_llmops.engines.local import LocalEngine


@dataclass(frozen=True, slots=True)
class AzureExamples:
    """A workspace that runs flows, and the working directory of somebody who is logged in to the Azure CLI."""

    emulator: Emulator
    folder: Path
    until_end: ExitStack

    def __post_init__(self) -> None:
        """Give the workspace its compute, until the end."""
        engine = self.until_end.enter_context(closing(LocalEngine()))
        runs = self.folder.with_name(f"{self.folder.name}-runs")
        self.until_end.enter_context(computing(self.emulator, runs, engine))

    def environ(self, others: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of whoever works in that workspace, and has these variables besides."""
        tools = self.folder.with_name(f"{self.folder.name}-tools")
        if not tools.exists():
            tools.mkdir()
            install_az(tools)
        path = os.pathsep.join((str(tools), others["PATH"]))
        return {**others, **self.emulator.environ, "PATH": path, "LLMOPS_CREDENTIAL": "cli"}

    def prepare(self, attributes: Mapping[str, str]) -> None:
        """Let what is deployed answer as a function does, and requests go wrong, as far as a fence says so.

        ``flow="a/b.py:name"`` is the function, by the file as it is then; with ``deployment`` of
        ``deployment="endpoint/name"``, of that one alone. ``fault="PUT pattern how"`` is a fault of the emulator.
        """
        if "flow" in attributes:
            endpoint, _, name = attributes.get("deployment", "").partition("/")
            self.emulator.serve(_function(self.folder, attributes["flow"]), endpoint, name)
        if "fault" in attributes:
            method, pattern, how, *after = attributes["fault"].split()
            self.emulator.fail(method, pattern, how, after=int("".join(after) or 0))

    def run(self, command: str) -> tuple[int, str]:
        """Run an ``llmops`` command. Returns its exit code and its output, standard error included."""
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            for name, value in self.environ(os.environ).items():
                patch.setenv(name, value)
            with redirect_stdout(output), redirect_stderr(output):
                try:
                    code = main(shlex.split(command)[1:])
                except SystemExit as ended:  # what argparse says of wrong arguments, and of --help
                    code = int(ended.code or 0)
        return code, output.getvalue()


def _function(folder: Path, where: str) -> Any:
    """Return a function of the request's body: one of a file, which is read as it is now."""
    file, _, name = where.partition(":")
    spec = importlib.util.spec_from_file_location("example", folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name)
    return lambda body: function(**body)
