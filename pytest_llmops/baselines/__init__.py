"""Results that later ones are compared with: files that are committed, or what another session left in a folder."""

from __future__ import annotations

from pytest_llmops.baselines.commits import changed_commit, commit_of, evaluated_commit
from pytest_llmops.baselines.reading import Baselines, find_cell, read_baseline, read_results, shown
from pytest_llmops.baselines.saving import FORCED, default_output, save
from pytest_llmops.baselines.sources import page_sources

__all__ = [
    "FORCED",
    "Baselines",
    "changed_commit",
    "commit_of",
    "default_output",
    "evaluated_commit",
    "find_cell",
    "page_sources",
    "read_baseline",
    "read_results",
    "save",
    "shown",
]
