"""A small project for each test of the plugin."""

from __future__ import annotations

import pytest

# A run in this process forgets what it imported. That must not be what can't be imported twice: numpy, the classes that
# PyYAML's C part holds on to, and those that are sent to worker processes.
import scipy.special  # noqa: F401
from project import Project

import pytest_llmops.engines.local  # noqa: F401
import pytest_llmops.spec.load  # noqa: F401


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)
