"""Serves a flow: the WSGI application of its container image, which gunicorn makes once in each worker.

``serving.json`` beside this file names the flow's definition. The flow itself lies in ``flow/`` beside it, or, on an
online endpoint, in the model that is mounted there. ``/health`` and ``/score`` are prompt flow's own.

Connections are found by name, by DAG flows, flex flows and prompties alike: in the environment variables
``<CONNECTION>_<KEY>``, else in the workspace that PF_CONNECTION_PROVIDER names (``azureml://subscriptions/...``).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptflow._sdk.entities._connection import _Connection as SDKConnection
from promptflow._sdk.operations._connection_operations import ConnectionOperations
from promptflow.connections import ConnectionProvider
from promptflow.core import _prompty_utils as prompty_utils
from promptflow.core._connection_provider._dict_connection_provider import DictConnectionProvider
from promptflow.core._serving.app import create_app

HERE = Path(__file__).parent
DEPLOYMENT = "LLMOPS_DEPLOYMENT"
DEPLOYMENT_HEADER = "azureml-model-deployment"
"""By which online endpoints say who answered; a web app can tell by it whether the new image is up already."""
_SECRET_WORDS = ("key", "secret", "token", "password")


class Connections(ConnectionProvider):  # type: ignore[misc]
    """Connections from environment variables, and from a workspace those that have none."""

    def __init__(self, names: list[str], environ: Mapping[str, str]) -> None:
        self._names = names
        self._environ = environ
        self._workspace: Any = None

    def get(self, name: Any) -> Any:
        """Return prompt flow's connection of that name."""
        if not isinstance(name, str):
            return name
        values = self._values(name)
        if not values:
            return self._from_workspace(name)
        kind = values.pop("connection_type", "") or _guess(values)
        form = {"name": name, "type": kind, "module": "promptflow.connections", "value": values}
        secrets = [key for key in values if any(word in key for word in _SECRET_WORDS)]
        return DictConnectionProvider._build_connection(form | {"secret_keys": secrets})

    def list(self, **_: Any) -> list[Any]:
        """Return all connections of the flow."""
        return [self.get(name) for name in self._names]

    def install(self) -> None:
        """Make this process find these connections and no others: the image holds no local store of connections."""
        ConnectionProvider._instance = self
        prompty_utils.get_connection_by_name = self._for_prompty
        ConnectionOperations._get = lambda _, name, **__: SDKConnection._from_core_connection(self.get(name))

    def _for_prompty(self, name: str) -> tuple[dict[str, Any], str]:
        form = self.get(name)._to_execution_connection_dict()
        return form["value"], form["type"].removesuffix("Connection")

    def _values(self, name: str) -> dict[str, str]:
        """Return the properties of a connection that variables hold.

        AOAI_EU_API_KEY belongs to ``aoai_eu``, not to ``aoai``, where there are both.
        """
        prefix = _prefix(name)
        longer = tuple(_prefix(other) for other in self._names if _prefix(other) != prefix)
        others = tuple(other for other in longer if other.startswith(prefix))
        return {
            variable[len(prefix) :].lower(): value
            for variable, value in self._environ.items()
            if variable.startswith(prefix) and not variable.startswith(others)
        }

    def _from_workspace(self, name: str) -> Any:
        provider = self._environ.get(self.PROVIDER_CONFIG_KEY, "")
        if not provider:
            key, prefix = self.PROVIDER_CONFIG_KEY, _prefix(name)
            raise LookupError(
                f"connection '{name}' is not there; set {prefix}API_KEY and so on, or {key} to a workspace"
            )
        if self._workspace is None:
            self._workspace = ConnectionProvider.init_from_provider_config(provider)
        return self._workspace.get(name)


def flow_folder(definition: str, environ: Mapping[str, str]) -> Path:
    """Return the folder of the flow: within the model that is mounted, where there is one, else in the image."""
    mounted = environ.get("AZUREML_MODEL_DIR")
    if mounted is None:
        return HERE / "flow"
    root = Path(mounted)
    found = [folder for folder in (root, *sorted(root.iterdir())) if (folder / definition).is_file()]
    if not found:
        raise LookupError(f"{root} holds no flow: there is no {definition} in it, nor in a folder of it")
    return found[0]


def create() -> Any:
    """Make the application. Called in each worker, because a flow's threads and clients don't survive a fork."""
    settings = json.loads((HERE / "serving.json").read_text(encoding="utf-8"))
    Connections(settings["connections"], os.environ).install()
    folder = flow_folder(settings["definition"], os.environ)
    os.environ["PROMPTFLOW_PROJECT_PATH"] = str(folder)
    # Flows read their files by relative names, and import their modules.
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    app = create_app(flow_file_path=str(folder / settings["definition"]))
    app.after_request(_signed)
    return app


def _signed(response: Any) -> Any:
    if os.environ.get(DEPLOYMENT):
        response.headers[DEPLOYMENT_HEADER] = os.environ[DEPLOYMENT]
    return response


def _prefix(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_"


def _guess(values: Mapping[str, str]) -> str:
    """Tell the type of a connection that doesn't say it by <CONNECTION>_CONNECTION_TYPE."""
    if "api_base" in values or "azure" in values.get("api_type", ""):
        return "AzureOpenAIConnection"
    return "OpenAIConnection" if "api_key" in values else "CustomConnection"
