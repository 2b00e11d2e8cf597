"""Evaluate prompt flow and other LLM flows with pytest, and gate deployments on the metrics.

The names below are the library face, for notebooks and scripts. They are imported when first used, because pytest
imports this package in every session of every environment that has it installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmops.api import Results, Run, evaluate, load, read, run
    from pytest_llmops.errors import ConfigurationError, LLMOpsError, RunError

__all__ = [
    "ConfigurationError",
    "LLMOpsError",
    "Results",
    "Run",
    "RunError",
    "__version__",
    "evaluate",
    "load",
    "read",
    "run",
]

__version__ = "0.1.0"

_ERRORS = {"ConfigurationError", "LLMOpsError", "RunError"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'errors' if name in _ERRORS else 'api'}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
