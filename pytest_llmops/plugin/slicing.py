"""The part of the work that is this session's: what was asked for, or the job's slice in Azure DevOps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmops.ado.environment import Pipeline
    from pytest_llmops.plugin.settings import Settings

_SOURCE = "SYSTEM_JOBPOSITIONINPHASE"


def pipeline_of(settings: Settings, environ: Mapping[str, str]) -> Pipeline:
    """Return what the agent says, or, where this session has nothing to do with Azure DevOps, nothing of anything."""
    from pytest_llmops.ado.environment import Pipeline, is_on, read_pipeline

    return read_pipeline(environ) if is_on(settings["ado"], environ) else Pipeline()


def with_slice(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Do the part of the work that is the job's in its pipeline, unless another part was asked for."""
    part = pipeline_of(settings, environ).slice
    if part is None or settings["shard"] is not None:
        return settings
    return replace(settings, values={**settings.values, "shard": part}, sources={**settings.sources, "shard": _SOURCE})
