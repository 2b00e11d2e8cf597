"""The library face, for notebooks and scripts: run a flow, load an experiment, evaluate it, decide again, compare.

This is the composition root: the one place, beside the plugin, that picks implementations.
"""

from __future__ import annotations

from pytest_llmops.api.evaluating import Results, evaluate, load, read
from pytest_llmops.api.running import Run, run

__all__ = ["Results", "Run", "evaluate", "load", "read", "run"]
