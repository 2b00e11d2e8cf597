"""Where a session runs its flows: its engine, and the workspace in which that may be."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import AccessError, LLMOpsError
from pytest_llmops.records.cloud import Compute

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.engines.base import Engine
    from pytest_llmops.plan import CellPlan
    from pytest_llmops.plugin.settings import Settings
    from pytest_llmops.records.cloud import Workspace

_SUBMITTED = "submitted"
"""Folder, in what processes of a session share, of notes on runs that are under way."""


class Backend:
    """The backend that the settings of a session name. ``root`` is pytest's root folder."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._settings = settings
        self._root = root
        self._found: tuple[Path, Workspace] | None = None

    @property
    def is_local(self) -> bool:
        """Whether flows run on this machine."""
        return bool(self._settings["backend"] == "local")

    @property
    def is_workspace(self) -> bool:
        """Whether flows run in a workspace."""
        return bool(self._settings["backend"] == "azureml")

    def check(self, folder: Path, plans: Sequence[CellPlan]) -> None:
        """Reach the workspace, where the flows of plans run in one: what is wrong is found before anything is begun.

        ``folder`` is that of the plans' experiment.

        Raises:
            LLMOpsError: where it can't be reached, is not that of the experiments before, or must not see the flows.
        """
        if not self.is_workspace:
            return
        from pytest_llmops.api.backends import check_uploads, workspace_meant

        workspace = workspace_meant(self._given, folder=folder, root=self._root, environ=os.environ)
        first, known = self._found = self._found or (folder, workspace)
        if workspace != known:
            what = f"{self._shown(folder)} is for workspace {workspace}, and {self._shown(first)} for {known}"
            raise AccessError(f"{what}: a session has one; run them apart, or say which with --llmops-workspace")
        check_uploads(plans)
        _ = self._client

    def compute_for(self, folder: Path) -> Compute:
        """Return what flows of a folder run on, where that is a workspace.

        Without one it is nameless: a session that only collects needs none, and any other says what is missing.
        """
        if not self.is_workspace:
            return Compute()
        from pytest_llmops.api.backends import workspace_meant

        try:
            workspace = workspace_meant(self._given, folder=folder, root=self._root, environ=os.environ).id
        except AccessError:
            workspace = ""
        return Compute(workspace=workspace, instance_type=self._settings["instance-type"] or "")

    def fetch(self, folder: Path, asset: str) -> Path:
        """Get the local copy of a data asset that an experiment in ``folder`` names.

        Raises:
            LLMOpsError: where the workspace can't be reached, or the asset is not what it was registered as.
        """
        from pytest_llmops.api.assets import fetch_asset

        return fetch_asset(
            asset,
            folder=folder,
            root=self._root,
            environ=os.environ,
            ledger=self._root / str(self._settings["ledger"]),
            given=self._given,
            credential=self._settings["credential"],
        )

    def make_engine(
        self, tags: Mapping[str, str], *, session: str, begun: float, processes: int, shared: Path | None
    ) -> Engine:
        """Make the engine of one of the processes of a session that began at a Unix time.

        ``tags`` are put on runs in the cloud; ``shared`` is a folder that all processes see, if there are several.
        """
        from pytest_llmops.api.backends import make_engine
        from pytest_llmops.records.encoding import dumps

        return make_engine(
            self._settings["backend"],
            connect=lambda: self._client,
            tags=tags,
            fresh=self._fresh(session, begun),
            processes=processes,
            timeout=self._settings["run-timeout"],
            notes=(shared / _SUBMITTED, dumps(self._workspace)) if shared and self.is_workspace else None,
        )

    def cancel_left(self, shared: Path) -> str:
        """Cancel the runs that other processes of the session left when they were killed. Says what went wrong."""
        from pytest_llmops.api.backends import cancel_noted, log_in
        from pytest_llmops.records.cloud import Workspace
        from pytest_llmops.records.decoding import from_json

        def connect(about: str) -> Client:
            return log_in(from_json(Workspace, json.loads(about)), self._settings["credential"], os.environ)

        try:
            cancel_noted(shared / _SUBMITTED, connect=connect)
        except LLMOpsError as problem:
            return f"runs may be left in the workspace: {problem}"
        return ""

    def _fresh(self, session: str, begun: float) -> str:
        """Name what runs in the cloud have in common that this session may reuse; empty where it may reuse all."""
        if self._settings["no-cache"]:
            return session
        # No run of the same stretch of time is older than that.
        age = self._settings["max-age"]
        return f"{age} {int(begun // age)}" if age else ""

    @cached_property
    def _client(self) -> Client:
        from pytest_llmops.api.backends import log_in

        return log_in(self._workspace, self._settings["credential"], os.environ)

    @property
    def _workspace(self) -> Workspace:
        if self._found is None:
            raise RuntimeError("no experiment was checked yet, so it is not known which workspace is meant")
        return self._found[1]

    def _shown(self, folder: Path) -> str:
        return os.path.relpath(folder, self._root).replace(os.sep, "/")

    @property
    def _given(self) -> Mapping[str, str | None]:
        return {name: self._settings[name] for name in ("subscription", "resource-group", "workspace")}
