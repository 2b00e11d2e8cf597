"""What tests of several areas share."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_case import move_into, record, write_case


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
