"""A small project for each test of the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib import import_module

import pytest
from lent_servers import Servers
from project import Project

from pytest_llmops.engines import local

# A run in this process forgets what it imported. That must not be what can't be imported twice: numpy, the classes that
# PyYAML's C part holds on to, and those that are sent to worker processes. Nor need it be what every run imports, which
# takes half of the time of a short session.
for module in (
    "filelock",
    "scipy.special",
    "pytest_llmops.baselines",
    "pytest_llmops.engines.forking",
    "pytest_llmops.ledger.access",
    "pytest_llmops.plugin.collect",
    "pytest_llmops.plugin.concluding",
    "pytest_llmops.plugin.results",
    "pytest_llmops.plugin.runtime",
    "pytest_llmops.plugin.terminal",
    "pytest_llmops.reports.write",
    "pytest_llmops.session",
    "pytest_llmops.spec.load",
    "pytest_llmops.stats.gates",
    "pytest_llmops.throttle",
):
    import_module(module)

OF_OUR_TESTS = "-p no:hypothesispytest -p no:anyio"
"""Plugins that only those have who test this project. They take a third of the time of a short session."""
OWN_LAUNCHER = local._launcher


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with closing(Servers()) as servers:
        yield servers


@pytest.fixture
def short_sessions(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have sessions in this process fork their workers from servers that run already."""
    monkeypatch.setenv("PYTEST_ADDOPTS", OF_OUR_TESTS)
    monkeypatch.setattr(local, "_launcher", servers.lend)


@pytest.fixture
def own_processes(short_sessions: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each session start its processes itself, and end them."""
    monkeypatch.setattr(local, "_launcher", OWN_LAUNCHER)


@pytest.fixture
def project(pytester: pytest.Pytester, short_sessions: None) -> Project:
    return Project(pytester)
