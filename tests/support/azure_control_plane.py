"""The workspace itself: its datastore, connections and computes, as Azure Resource Manager answers for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from azure_blob import ACCOUNT, Azurite
from azure_routes import WORKSPACE, Answer, Request, Routes
from azure_state import State, missing
from azure_tls import ARM, REGION

DATASTORE = "datastores/workspaceblobstore"
KEY = "azure-openai-key"


def add_workspace(routes: Routes, state: State, azurite: Azurite, container: str) -> None:
    """Add the routes of a workspace that keeps its files in a container of Azurite."""
    state.put(DATASTORE, {"properties": _datastore(container)})
    routes.add("GET", ARM, WORKSPACE, lambda _: Answer(body=_workspace(state)))
    routes.add("GET", ARM, f"{WORKSPACE}/mfeOperationsStatus/{{operation}}", state.operation)
    for kind in ("datastores", "connections", "computes"):
        routes.add("GET", ARM, f"{WORKSPACE}/{kind}", partial(_list, state, kind))
        routes.add("GET", ARM, f"{WORKSPACE}/{kind}/{{name}}", partial(_get, state, kind))
    routes.add("POST", ARM, f"{WORKSPACE}/connections/{{name}}/listsecrets", partial(_connection_secrets, state))
    signed = {"secretsType": "Sas"}
    routes.add(
        "POST",
        ARM,
        f"{WORKSPACE}/{DATASTORE}/listSecrets",
        lambda _: Answer(body=signed | {"sasToken": azurite.signature(container)}),
    )


def add_connection(state: State, name: str, metadata: Mapping[str, str] | None = None) -> None:
    """Make a connection to Azure OpenAI in the workspace; its key is ``KEY``."""
    properties = {
        "category": "AzureOpenAI",
        "authType": "ApiKey",
        "target": "https://aoai.openai.azure.com/",
        "metadata": {"ApiType": "azure", "ApiVersion": "2024-06-01"} | dict(metadata or {}),
        "isSharedToAll": False,
    }
    state.put(f"connections/{name}", {"properties": properties})


def add_compute(state: State, name: str, kind: str = "Kubernetes") -> None:
    """Attach a compute to the workspace."""
    cluster = f"/subscriptions/{state.workspace.subscription}/resourceGroups/{state.workspace.resource_group}"
    properties = {
        "computeType": kind,
        "provisioningState": "Succeeded",
        "resourceId": f"{cluster}/providers/Microsoft.ContainerService/managedClusters/{name}",
        "properties": {"namespace": "default", "instanceTypes": {}},
    }
    state.put(f"computes/{name}", {"properties": properties, "location": REGION})


def _workspace(state: State) -> Mapping[str, Any]:
    workspace = state.workspace
    group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.resource_group}/providers"
    return {
        "id": workspace.id,
        "name": workspace.name,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": REGION,
        "kind": "Default",
        "identity": {"type": "SystemAssigned", "principalId": "7d1c0f7e-0000-4000-8000-000000000001"},
        "tags": {},
        "properties": {
            "friendlyName": workspace.name,
            "workspaceId": "5b7ad1de-0000-4000-8000-000000000002",
            "discoveryUrl": f"https://{REGION}.api.azureml.ms/discovery",
            "mlFlowTrackingUri": f"azureml://{REGION}.api.azureml.ms/mlflow/v1.0{workspace.id}",
            "storageAccount": f"{group}/Microsoft.Storage/storageAccounts/{ACCOUNT}",
            "keyVault": f"{group}/Microsoft.KeyVault/vaults/wsvault",
            "applicationInsights": f"{group}/Microsoft.Insights/components/wsinsights",
            "containerRegistry": f"{group}/Microsoft.ContainerRegistry/registries/wsregistry",
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
        },
    }


def _datastore(container: str) -> Mapping[str, Any]:
    return {
        "datastoreType": "AzureBlob",
        "accountName": ACCOUNT,
        "containerName": container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "isDefault": True,
        "credentials": {"credentialsType": "AccountKey"},
    }


def _list(state: State, kind: str, _: Request) -> Answer:
    return Answer(body={"value": state.below(kind)})


def _get(state: State, kind: str, request: Request) -> Answer:
    found = state.resources.get(f"{kind}/{request.names['name']}")
    return Answer(body=found) if found else missing(request)


def _connection_secrets(state: State, request: Request) -> Answer:
    found = state.resources.get(f"connections/{request.names['name']}")
    if found is None:
        return missing(request)
    return Answer(body=found | {"properties": found["properties"] | {"credentials": {"key": KEY}}})
