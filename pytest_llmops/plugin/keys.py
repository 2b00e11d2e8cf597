"""Where the plugin keeps its state on pytest's own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmops.plugin.runtime import Runtime

RUNTIME: pytest.StashKey[Runtime] = pytest.StashKey()
"""On the config: the plugin's state in this process."""

PROBLEMS: pytest.StashKey[str] = pytest.StashKey()
"""On a collector: what is wrong with the configuration it read."""

COLLECTED = "llmops_collected"
"""In the output of an xdist worker: what it collected, as text."""
