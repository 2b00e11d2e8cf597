"""Tells what is Agent Framework's own, without importing it."""

from __future__ import annotations

PACKAGE = "agent_framework"
INSTALLED_WITH_US = (PACKAGE, "agent_framework_openai")
"""The packages that come with ``pytest-llmops[agents]``. There are more, and users name theirs alike."""


def is_of_framework(kind: object) -> bool:
    """Tell whether a type is one of the framework's core, or derived from one, as those of its other packages are."""
    return any(_package(base) == PACKAGE for base in getattr(kind, "__mro__", ()))


def is_function(executor: object) -> bool:
    """Tell whether an executor is a function, made one by the framework's ``@executor``. It remembers nothing."""
    kind = type(executor)
    return kind.__name__ == "FunctionExecutor" and _package(kind) == PACKAGE


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]
