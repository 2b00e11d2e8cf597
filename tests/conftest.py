"""What tests of several areas share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recorded_case import move_into, record, write_case

# On an agent of Azure Pipelines, sessions that tests start would write for the pipeline that runs the tests.
_OF_THE_AGENT = ("TF_BUILD", "BUILD_", "SYSTEM_")


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith(_OF_THE_AGENT)]:
        del os.environ[name]


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
