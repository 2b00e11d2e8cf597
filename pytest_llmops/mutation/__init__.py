"""Use cases broken on purpose, to see which gates notice: ways to break them, and broken copies."""

from __future__ import annotations

from pytest_llmops.mutation.changes import MUTATIONS, Change, NothingToMutate
from pytest_llmops.mutation.mutants import make_mutant

__all__ = ["MUTATIONS", "Change", "NothingToMutate", "make_mutant"]
