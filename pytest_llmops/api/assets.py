"""How remote sources of datasets, ``azureml:<name>:<version>``, become local files when an experiment is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pytest_llmops.api.backends import log_in, workspace_meant

_NOTHING: Mapping[str, str | None] = MappingProxyType({})


def fetch_asset(
    asset: str,
    *,
    folder: Path,
    root: Path,
    environ: Mapping[str, str],
    ledger: Path | None = None,
    given: Mapping[str, str | None] = _NOTHING,
    credential: str | None = None,
) -> Path:
    """Return the local copy of a data asset for an experiment in ``folder``; it is kept in ``ledger``, a folder.

    Azure is asked, and imported, only where there is no copy yet. ``given`` are coordinates of the workspace, and
    ``credential`` is the way to log in, both instead of what the environment says.

    Raises:
        LLMOpsError: where it can't be had, or isn't what its tag says.
    """
    from pytest_llmops.azure.asset_cache import AssetCache

    workspace = workspace_meant(given, folder=folder, root=root, environ=environ)
    cache = AssetCache(workspace, (ledger or root / ".llmops") / "data", lambda: log_in(workspace, credential, environ))
    return cache.file(asset)
