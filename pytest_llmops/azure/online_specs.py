"""What is asked of Azure Machine Learning for an online endpoint and a deployment, as entities of its library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.azure.failures import installed
from pytest_llmops.azure.images import HEALTH, PORT, SCORE, write_context
from pytest_llmops.records.cloud import Workspace
from pytest_llmops.records.deployment import ModelVersion, Release
from pytest_llmops.records.experiment import Flow

_SECONDS = 90
"""How long a request may take. Azure's default of 5 s is too short for an LLM; managed endpoints allow 180."""
_DOCKERFILES = ("docker/dockerfile", "docker/Dockerfile")
"""Where a flow of Microsoft's template has an image of its own."""
_CLIENT_ID = "AZURE_CLIENT_ID"


def endpoint_of(release: Release) -> Any:
    """Describe the endpoint of a release, for one that does not exist. It has no traffic."""
    with installed():
        from azure.ai.ml.entities import IdentityConfiguration, KubernetesOnlineEndpoint, ManagedOnlineEndpoint
        from azure.ai.ml.entities._credentials import ManagedIdentityConfiguration

    identity, properties = IdentityConfiguration(type="system_assigned"), {}
    if release.identity:
        named = ManagedIdentityConfiguration(resource_id=release.identity)
        identity = IdentityConfiguration(type="user_assigned", user_assigned_identities=[named])
    elif release.connections and release.kind == "managed":
        # Azure then gives the new identity the right to read the secrets of the workspace's connections.
        properties = {"enforce_access_to_default_secret_stores": "enabled"}
    common = {
        "name": release.endpoint,
        "description": release.endpoint_description or None,
        "auth_mode": release.auth,
        "identity": identity,
        "properties": properties,
    }
    if release.kubernetes:
        return KubernetesOnlineEndpoint(compute=release.kubernetes.compute, **common)
    return ManagedOnlineEndpoint(**common)


def deployment_of(
    release: Release, model: ModelVersion, environment: Any, variables: Mapping[str, str], tags: Mapping[str, str]
) -> Any:
    """Describe the deployment of a release."""
    with installed():
        from azure.ai.ml.entities import (
            KubernetesOnlineDeployment,
            ManagedOnlineDeployment,
            OnlineRequestSettings,
            ResourceRequirementsSettings,
            ResourceSettings,
        )

    common = {
        "name": release.deployment,
        "endpoint_name": release.endpoint,
        "description": release.description or None,
        "model": model.id,
        "environment": environment,
        "environment_variables": dict(variables),
        "instance_count": release.instance_count,
        "app_insights_enabled": True,
        "request_settings": OnlineRequestSettings(request_timeout_ms=_SECONDS * 1000),
        "tags": dict(tags),
    }
    if release.kubernetes:
        asked = ResourceSettings(cpu=release.kubernetes.cpu, memory=release.kubernetes.memory)
        return KubernetesOnlineDeployment(
            instance_type=release.instance_type or None,
            resources=ResourceRequirementsSettings(requests=asked, limits=asked),
            **common,
        )
    return ManagedOnlineDeployment(instance_type=release.instance_type, **common)


def environment_of(flow: Flow, release: Release, folder: Path) -> Any:
    """Describe the image that serves a flow, by a build context: the flow's own, or one that is written to a folder.

    The model is mounted, so that one image serves all versions of a flow that need the same packages.
    """
    with installed():
        from azure.ai.ml.entities import BuildContext, Environment

    own = next((flow.folder / name for name in _DOCKERFILES if (flow.folder / name).is_file()), None)
    if own is not None:
        context, dockerfile = own.parent, own.name
    else:
        context, dockerfile = write_context(flow, folder, connections=release.connections, mounted=True), "Dockerfile"
    routes = {"liveness_route": HEALTH, "readiness_route": HEALTH, "scoring_route": SCORE}
    return Environment(
        build=BuildContext(path=str(context), dockerfile_path=dockerfile),
        inference_config={name: {"path": path, "port": PORT} for name, path in routes.items()},
    )


def variables_of(release: Release, workspace: Workspace, client_id: str = "") -> dict[str, str]:
    """Return the environment variables of a deployment: the release's own, and those by which it finds connections.

    ``client_id`` is that of the identity, where it is a user-assigned one.
    """
    place = {
        "subscription_id": workspace.subscription,
        "resource_group": workspace.resource_group,
        "workspace_name": workspace.name,
        "endpoint_name": release.endpoint,
        "deployment_name": release.deployment,
    }
    return {
        **({_CLIENT_ID: client_id} if client_id else {}),
        "PF_CONNECTION_PROVIDER": f"azureml:/{workspace.id}",
        **release.environment_variables,
        "PROMPTFLOW_RUN_MODE": "serving",
        "PRT_CONFIG_OVERRIDE": ",".join(f"deployment.{name}={value}" for name, value in place.items()),
    }
