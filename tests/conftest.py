"""What tests of several areas share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from recorded_case import record, write_case


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
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path
