"""Connections of a run in promptflow's form, found by name wherever promptflow looks for one.

Imported only in worker processes, because it imports promptflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from promptflow._core.tools_manager import connections as registered_types
from promptflow._sdk.entities._connection import _Connection as SDKConnection
from promptflow._sdk.operations._connection_operations import ConnectionOperations
from promptflow.connections import ConnectionProvider
from promptflow.core import _prompty_utils as prompty_utils
from promptflow.core._connection_provider._dict_connection_provider import DictConnectionProvider

from pytest_llmops.engines.environment import PLACEHOLDER_KEY, PLACEHOLDER_URL, needs_no_keys
from pytest_llmops.engines.text import did_you_mean
from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Connection
from pytest_llmops.records.run import LLMMode

_ENDPOINT = {
    "AzureOpenAIConnection": "api_base",
    "OpenAIConnection": "base_url",
    "ServerlessConnection": "api_base",
    "CognitiveSearchConnection": "api_base",
    "AzureAIServicesConnection": "endpoint",
    "AzureContentSafetyConnection": "endpoint",
    "FormRecognizerConnection": "endpoint",
}
ENDPOINT_NAMES = ("api_base", "base_url", "api_endpoint", "azure_endpoint", "endpoint")


class Connections(ConnectionProvider):  # type: ignore[misc]
    """Builds each connection when it is first asked for, so one that nobody uses may be incomplete.

    With recorded answers no key is needed: then what is missing is filled in with placeholders.
    """

    def __init__(self, connections: Iterable[Connection], mode: LLMMode) -> None:
        self._connections = {connection.name: connection for connection in connections}
        self._offline = needs_no_keys(mode)

    def get(self, name: Any) -> Any:
        """Return promptflow's connection object of that name.

        Raises:
            RunError: when there is none, or it lacks what its type needs.
        """
        if not isinstance(name, str):
            return name
        # promptflow's own conversion, for the attributes that its tools and its log scrubber expect.
        return DictConnectionProvider._build_connection(self.execution_form(name))

    def list(self, **_: Any) -> list[Any]:
        """Return all connections."""
        return [self.get(name) for name in self._connections]

    def execution_form(self, name: str) -> dict[str, Any]:
        """Return a connection as the dict that promptflow passes to its executor."""
        connection = self._find(name)
        kind = _kind(connection)
        value = _values(connection, kind)
        if kind != "CustomConnection":
            self._complete(connection, kind, value)
        return {
            "name": name,
            "type": kind,
            "module": "promptflow.connections",
            "value": value,
            "secret_keys": [*connection.secrets],
        }

    def install(self) -> None:
        """Make this process find these connections and no others: not those of the local store, nor a workspace's."""
        # What flex classes and model configurations ask.
        ConnectionProvider._instance = self
        # What .prompty files and ``PFClient().connections`` ask; it would be the local store, which needs a keyring.
        prompty_utils.get_connection_by_name = self._for_prompty
        ConnectionOperations._get = lambda _, name, **__: SDKConnection._from_core_connection(self.get(name))

    def _for_prompty(self, name: str) -> tuple[dict[str, Any], str]:
        form = self.execution_form(name)
        return form["value"], form["type"].removesuffix("Connection")

    def _find(self, name: str) -> Connection:
        if name in self._connections:
            return self._connections[name]
        hint = did_you_mean(name, self._connections) or "; add it to 'connections:'"
        raise RunError(f"connection '{name}' is not configured{hint}")

    def _complete(self, connection: Connection, kind: str, value: dict[str, Any]) -> None:
        """Fill in placeholders where answers are recorded, else insist on a key."""
        endpoint = _ENDPOINT.get(kind)
        if self._offline:
            # A token would be fetched from the cloud.
            value.pop("auth_mode", None)
            value["api_key"] = value.get("api_key") or PLACEHOLDER_KEY
            if endpoint:
                value[endpoint] = value.get(endpoint) or PLACEHOLDER_URL
            return
        needed = [] if value.get("auth_mode", "key") != "key" else ["api_key"]
        if endpoint and kind != "OpenAIConnection":
            needed.append(endpoint)
        missing = [key for key in needed if not value.get(key)]
        if missing:
            variables = ", ".join(f"{connection.name}_{key}".upper() for key in missing)
            raise RunError(f"connection '{connection.name}' has no {' and no '.join(missing)}; set {variables}")


def _kind(connection: Connection) -> str:
    """Return the name of a connection's class; it may be written as in promptflow's YAML too (``open_ai``)."""
    written = _bare(connection.type)
    # The classes that promptflow's executor knows, those of installed tool packages included.
    known = sorted(name for name in registered_types if not name.startswith("_"))
    for name in known:
        if _bare(name) == written:
            return str(name)
    raise RunError(f"connection '{connection.name}' has the unknown type '{connection.type}'; use {', '.join(known)}")


def _bare(kind: str) -> str:
    return kind.replace("_", "").lower().removesuffix("connection")


def _values(connection: Connection, kind: str) -> dict[str, Any]:
    """Return a connection's properties under the names of its class: each class names its URL differently."""
    values: Mapping[str, str] = {**connection.values, **connection.secrets}
    endpoint = _ENDPOINT.get(kind)
    return {endpoint if endpoint and name in ENDPOINT_NAMES else name: value for name, value in values.items()}
