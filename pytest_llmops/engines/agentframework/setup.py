"""Makes Agent Framework quiet before it is imported, and imports it ahead of the runs that need it."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping

from pytest_llmops.engines.environment import PLACEHOLDER_KEY
from pytest_llmops.httpclients import MODULES

_QUIET = {
    "ENABLE_INSTRUMENTATION": "false",
    "ENABLE_SENSITIVE_DATA": "false",
    "ENABLE_CONSOLE_EXPORTERS": "false",
    # A workflow may set up exporters itself; this holds for all that is sent by the SDK of OpenTelemetry.
    "OTEL_SDK_DISABLED": "true",
}
_MODULES = (
    "pytest_llmops.engines.agentframework.executor",
    "pytest_llmops.cassettes",
    "pytest_llmops.throttle",
    *MODULES,
)
"""Our executor, and what workers else import in every single run."""
_NAMES: Mapping[str, tuple[str, ...]] = {
    "agent_framework": ("Agent", "Executor", "WorkflowBuilder", "WorkflowContext", "handler"),
    "agent_framework.openai": ("OpenAIChatClient", "OpenAIChatCompletionClient"),
}
"""What workflows import; the framework loads a part of itself when it is asked for one of its names."""


def set_environment() -> None:
    """Set the variables by which nothing is told of what a workflow does: only LLM calls leave the process."""
    os.environ.update(_QUIET)


def preload() -> None:
    """Import what workflows import. What is not installed is told of by those that need it."""
    set_environment()
    with contextlib.suppress(ImportError):
        for name in _MODULES:
            importlib.import_module(name)
        for module, names in _NAMES.items():
            for name in names:
                getattr(importlib.import_module(module), name)
        _warm_up_openai()


def _warm_up_openai() -> None:
    """Make a client, which imports what every client needs."""
    client = importlib.import_module("openai").AsyncOpenAI(api_key=PLACEHOLDER_KEY)
    _ = client.chat.completions, client.responses
