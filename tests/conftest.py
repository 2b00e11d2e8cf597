"""What tests of several areas share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from recorded_case import move_into, record, write_case

# What tests start reads the environment. Of whoever runs them, it must not see a pipeline, a choice, or a login.
_PIPELINE = ("TF_BUILD", "CI")
_FOREIGN = ("BUILD_", "SYSTEM_", "LLMOPS_", "AZURE", "IDENTITY_", "MSI_")
_A_SHORT_SESSION = ("evals/ner", "-q", "-p", "no:cacheprovider", "--llmops-max-rows=1", "--llmops-no-cache")


# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name in _PIPELINE or name.startswith(_FOREIGN)]:
        del os.environ[name]
    if sys.dont_write_bytecode and config.getoption("numprocesses", None):
        _write_byte_code()


def _write_byte_code() -> None:
    """Run a session that may write byte code, for those that tests start, and compile the package for its commands.

    Each would otherwise compile the package anew, as pytest rewrites it: half the time of a short session.
    """
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pytest", *_A_SHORT_SESSION, "--llmops-report-dir", folder],
            cwd=root,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.DEVNULL,
            check=False,
        )
    subprocess.run([sys.executable, "-m", "compileall", "-q", root / "pytest_llmops"], check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of the most slow tests, lest one of them runs alone at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each file to one worker, which makes the fixtures of its module once, and files in the order above."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A use case in two variants with the reports of a session. Not to be changed: take ``folder``."""
    folder = tmp_path_factory.mktemp("recorded")
    write_case(folder)
    record(folder)
    return folder


@pytest.fixture
def folder(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That use case and its reports, in the working directory."""
    return move_into(tmp_path, recorded, monkeypatch)
