"""Workflows where Agent Framework is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from pytest_llmops.records.run import RunResult


@pytest.mark.skipif(importlib.util.find_spec("agent_framework") is not None, reason="Agent Framework is installed")
def test_what_to_install_is_said_once(run: Callable[..., RunResult]) -> None:
    result = run("", data=[{"word": "a"}], column_mapping={"word": "${data.word}"})
    assert result.error == (
        "workflows need Agent Framework, and agent_framework is not installed: pip install 'pytest-llmops[agents]', "
        "where need be in an environment of its own, since it does not share one with the newest prompt flow"
    )
