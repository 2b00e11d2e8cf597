"""Workflows of Agent Framework, an engine to run them, and a server for their LLM calls."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

# See tests/plugin/conftest.py: what can't be imported twice is imported here.
import scipy.special  # noqa: F401
from agent_server import serving_agents
from openai_server import OpenAIServer
from project import Project

import pytest_llmops.plugin.results  # noqa: F401
import pytest_llmops.plugin.runtime  # noqa: F401
import pytest_llmops.reports.write  # noqa: F401
import pytest_llmops.spec.load  # noqa: F401
import pytest_llmops.stats.gates  # noqa: F401
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest, RunResult

PRELUDE = """
from __future__ import annotations
import os
from dataclasses import dataclass, field
from typing import Any
from agent_framework import Agent, Executor, Message, Workflow, WorkflowBuilder, WorkflowContext, executor, handler
from typing_extensions import Never, TypedDict
"""


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """Give a warm engine that all tests share."""
    with closing(LocalEngine()) as engine:
        engine.warm_up("agent_framework")
        yield engine


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Flow]:
    """Give a function that writes a workflow, given the text of its module, and what else its record is to hold."""

    def write_flow(text: str, **fields: Any) -> Flow:
        file = tmp_path / "flow" / "workflow.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(PRELUDE + textwrap.dedent(text), encoding="utf-8")
        return Flow(
            name="flow", kind="workflow", file=file, folder=file.parent, entry="workflow:create_workflow", **fields
        )

    return write_flow


@pytest.fixture
def run(engine: LocalEngine, write: Callable[..., Flow]) -> Callable[..., RunResult]:
    """Give a function that runs a workflow, given the text of its module, ``outputs``, and a request's fields."""

    def run_flow(text: str, outputs: tuple[str, ...] = (), **request: Any) -> RunResult:
        return engine.run(RunRequest(flow=write(text, outputs=outputs), **request))

    return run_flow


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Give a server that answers LLM calls."""
    with serving_agents() as running:
        yield running


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Give a use case in a temporary folder."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:anyio")
    return Project(pytester)
