"""Connections that a workspace keeps for flows."""

from __future__ import annotations

from collections.abc import Collection

from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import translated
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.deployment import Release


def check_connections(client: Client, release: Release) -> None:
    """Look whether the workspace has those that a release needs.

    Raises:
        ConfigurationError: with the first that neither it nor the deployment's variables have.
    """
    if not release.connections:
        return
    with translated("connections of the workspace"):
        present = {each.name for each in client.ml.connections.list()}
    if missing := _missing(release, present):
        there = f"it has: {', '.join(sorted(present))}" if present else "it has none"
        what = f"the workspace has no connection '{missing[0]}', which the flow needs"
        todo = f"make it there, or name it otherwise; {there}"
        raise ConfigurationError([release.problem("connections", what, todo)])


def _missing(release: Release, present: Collection[str]) -> list[str]:
    """Return the connections that nobody gives.

    Variables are ``<CONNECTION>_<KEY>`` for images made here, and ``<CONNECTION>`` for those of prompt flow.
    """
    given = {name.upper() for name in release.environment_variables}

    def is_given(connection: str) -> bool:
        name = "".join(letter if letter.isalnum() else "_" for letter in connection.upper())
        return name in given or any(variable.startswith(f"{name}_") for variable in given)

    return [name for name in release.connections if name not in present and not is_given(name)]
