"""Clients of one workspace: Azure Machine Learning's own, and prompt flow's."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.records.cloud import Workspace

_LIBRARY = "azure.ai.ml"


class Client:
    """The way to a workspace. Its clients are made on first use, since importing them alone takes seconds."""

    def __init__(self, workspace: Workspace, credential: Any) -> None:
        self.workspace = workspace
        self.credential = credential

    @cached_property
    def ml(self) -> Any:
        """Azure Machine Learning's client, an ``azure.ai.ml.MLClient``."""
        with installed():
            from azure.ai.ml import MLClient
        _unhook()
        return MLClient(
            self.credential,
            subscription_id=self.workspace.subscription,
            resource_group_name=self.workspace.resource_group,
            workspace_name=self.workspace.name,
            enable_telemetry=False,
            show_progress=False,
        )

    @cached_property
    def flows(self) -> Any:
        """Prompt flow's client for the workspace, a ``promptflow.azure.PFClient``. Making it reads the workspace."""
        with installed():
            from promptflow.azure import PFClient
        with translated(f"workspace '{self.workspace.name}'"):
            return PFClient(ml_client=self.ml)

    def check_access(self) -> Client:
        """Log in, and read the workspace: whatever is wrong with either is found before anything is begun.

        Raises:
            AccessError: where there is no login, no right, or no such workspace.
            CloudError: where the service fails.
        """
        with translated(f"workspace '{self.workspace.name}'"):
            self.ml.workspaces.get(self.workspace.name)
        return self


def connect(workspace: Workspace, credential: Any) -> Client:
    """Return the clients of a workspace. Nothing is asked of it yet."""
    return Client(workspace, credential)


def _unhook() -> None:
    """Take back the handlers that the library sets up for itself: they write to standard error while we report."""
    for name in list(logging.root.manager.loggerDict):
        if name == _LIBRARY or name.startswith(f"{_LIBRARY}."):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
