"""A small project for each test of the plugin."""

from __future__ import annotations

import pytest

# A run in this process forgets what it imported. That must not be what can't be imported twice: numpy, the classes that
# PyYAML's C part holds on to, and those that are sent to worker processes. Nor need it be what every run imports.
import scipy.special  # noqa: F401
from project import Project

import pytest_llmops.engines.local  # noqa: F401
import pytest_llmops.plugin.results  # noqa: F401
import pytest_llmops.plugin.runtime  # noqa: F401
import pytest_llmops.reports.write  # noqa: F401
import pytest_llmops.spec.load  # noqa: F401
import pytest_llmops.stats.gates  # noqa: F401

OF_OUR_TESTS = "-p no:hypothesispytest -p no:anyio"
"""Plugins that only those have who test this project. They take a third of the time of a short session."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTEST_ADDOPTS", OF_OUR_TESTS)
    return Project(pytester)
