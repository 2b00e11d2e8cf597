"""The use case that most tests break in one place."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_case import Case

# They are read by tests here; the plugin would run them.
collect_ignore = ["use_cases"]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)
