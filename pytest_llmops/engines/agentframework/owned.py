"""Tells what is Agent Framework's own, without importing it."""

from __future__ import annotations

PACKAGE = "agent_framework"


def is_of_framework(kind: object) -> bool:
    """Tell whether a type is one of the framework's, or derived from one."""
    return any(base.__module__.partition(".")[0].startswith(PACKAGE) for base in getattr(kind, "__mro__", ()))
