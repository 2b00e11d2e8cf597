"""What running a flow and evaluating an experiment share: the engine, the root of the repository, the LLM modes."""

from __future__ import annotations

import atexit
from functools import lru_cache
from pathlib import Path
from typing import get_args

from pytest_llmops.engines.base import Engine
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import LLMMode

_ROOT_MARKERS = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git")


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Keep one warm engine for all runs of the process."""
    from pytest_llmops.engines.local import LocalEngine

    started = LocalEngine()
    atexit.register(started.close)
    return started


def renew_engine() -> None:
    """Have the next run start an engine of its own, where the one that is kept was closed."""
    engine.cache_clear()


def root_of(folder: Path) -> Path:
    """Return the root of the repository that a folder is part of; the folder itself where nothing marks one."""
    candidates = (folder, *folder.parents)
    return next((c for c in candidates if any((c / marker).exists() for marker in _ROOT_MARKERS)), folder)


def checked(mode: LLMMode) -> LLMMode:
    """Return the mode.

    Raises:
        RunError: where there is no such mode.
    """
    if mode not in get_args(LLMMode):
        raise RunError(f"llm is {mode!r}; give {', '.join(get_args(LLMMode))}")
    return mode
