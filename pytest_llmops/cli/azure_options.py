"""Options that all commands about Azure share, and the client that they stand for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client

_COORDINATES = ("subscription", "resource-group", "workspace")


def add_azure(parser: argparse.ArgumentParser) -> None:
    """Declare the options that ``connected`` obeys."""
    group = parser.add_argument_group("Azure", "each is LLMOPS_<OPTION> in the environment as well")
    group.add_argument("--subscription", metavar="ID", help="subscription of the Azure Machine Learning workspace")
    group.add_argument("--resource-group", metavar="NAME", help="resource group of the workspace")
    group.add_argument("--workspace", metavar="NAME", help="name of the workspace")
    group.add_argument(
        "--credential",
        metavar="NAME",
        help="how to log in: cli, pipelines, workload-identity or managed-identity; in a pipeline it has to be given",
    )


def connected(options: argparse.Namespace, folder: Path) -> Client:
    """Log in and reach the workspace that is meant. ``folder`` is the experiment's.

    Raises:
        AccessError: where there is no login, no right, or no such workspace: nothing was begun.
        CloudError: where the service fails.
    """
    from pytest_llmops.api.backends import reach_workspace
    from pytest_llmops.api.shared import root_of

    given = {name: getattr(options, name.replace("-", "_")) for name in _COORDINATES}
    return reach_workspace(given, options.credential, folder=folder, root=root_of(folder), environ=os.environ)
