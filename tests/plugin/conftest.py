"""A small project for each test of the plugin."""

from __future__ import annotations

import pytest
from project import Project

# A run in this process forgets what it imported, but not the classes that PyYAML's C part holds on to.
import pytest_llmops.spec.load  # noqa: F401


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)
