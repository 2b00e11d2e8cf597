"""Online endpoints of a workspace, managed by Azure or on an attached Kubernetes cluster.

What exists is changed by its deployments and its traffic alone: to put an endpoint again would reset its traffic. What
became of a request whose answer was lost is looked at, not guessed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pytest_llmops.azure import online_specs
from pytest_llmops.azure.arm import ResourceManager
from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.connections import check_connections
from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.azure.operations import Outcome, carry_out, outcome_of, settled
from pytest_llmops.azure.quiet import quiet
from pytest_llmops.errors import CloudError, ConfigurationError
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.deployment import (
    FLOW_DIGEST,
    SETTINGS,
    TRAFFIC_BEFORE,
    DeploymentState,
    EndpointState,
    ModelVersion,
    Release,
    Traffic,
)
from pytest_llmops.records.experiment import Flow

_PATIENCE = 1800.0
"""How long traffic may take to move, and a deployment to vanish, in seconds."""
_VERSION = "2023-10-01"
"""Of the REST API of machine learning, for what its library can't do."""
_RIGHTS = (
    "where its log says that connections can't be read: identity {identity} of the endpoint needs the role "
    "'Azure Machine Learning Workspace Connection Secrets Reader' on the workspace"
)


class OnlineEndpoints:
    """A Service of online endpoints. ``flow`` is what its deployments serve; ``say`` is told how long things take."""

    in_place = False

    def __init__(
        self,
        client: Client,
        kind: Literal["managed", "kubernetes"],
        *,
        flow: Flow | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._client = client
        self._kind = kind
        self._flow = flow
        self._say = say

    def find(self, endpoint: str) -> EndpointState | None:
        """Return an endpoint with its deployments, None where there is none."""
        with translated(f"endpoint '{endpoint}'"):
            found = self._get(endpoint)
            return None if found is None else self._state(found)

    def list(self) -> list[EndpointState]:
        """Return all endpoints of this kind."""
        with translated("endpoints of the workspace"):
            mine = [found for found in self._client.ml.online_endpoints.list() if _kind_of(found) == self._kind]
            return [self._state(found) for found in mine]

    def check(self, release: Release) -> None:
        """Look for all that a release needs to be there: an endpoint of its kind, if any, connections, the cluster.

        Whether the identity of a deployment may read the connections can't be told from here.

        Raises:
            ConfigurationError: with the first that is missing.
        """
        with installed():
            from azure.core.exceptions import ResourceNotFoundError
        with translated(f"endpoint '{release.endpoint}'"):
            found = self._get(release.endpoint)
        if found is not None and _kind_of(found) != self._kind:
            what = f"endpoint '{release.endpoint}' is of kind {_kind_of(found)}"
            raise ConfigurationError([release.problem("endpoint", what, "name another one, or correct the kind")])
        check_connections(self._client, release)
        if release.kubernetes:
            name = release.kubernetes.compute
            with translated(f"compute '{name}'"):
                try:
                    self._client.ml.compute.get(name)
                except ResourceNotFoundError:
                    what = f"no compute '{name}' is attached to the workspace"
                    raise ConfigurationError([release.problem("compute", what, "attach the cluster first")]) from None

    def create_endpoint(self, release: Release) -> None:
        """Make an endpoint that does not exist, without traffic, and wait for it."""
        entity = online_specs.endpoint_of(release)

        def look() -> Outcome:
            found = self._get(release.endpoint)
            return "not done" if found is None else outcome_of(found.provisioning_state)

        carry_out(
            f"endpoint '{release.endpoint}': create",
            lambda: self._client.ml.online_endpoints.begin_create_or_update(entity),
            look,
            release.timeout,
            self._say,
        )

    def create_deployment(self, release: Release, model: ModelVersion, tags: Mapping[str, str]) -> None:
        """Make a deployment, or finish one that failed, and wait until it is healthy. No traffic is moved."""
        if self._flow is None:
            raise TypeError("a deployment needs a flow")
        what = f"deployment '{release.deployment}' of endpoint '{release.endpoint}'"
        with translated(what):
            endpoint = self._get(release.endpoint)
        if endpoint is None:
            raise CloudError(f"{what}: there is no such endpoint")
        end = time.monotonic() + release.timeout

        def look() -> Outcome:
            return self._made(release, tags)

        with translated(what):
            if settled(look, end) == "done":
                return
        with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
            environment = online_specs.environment_of(self._flow, release, Path(folder) / "image")
            variables = online_specs.variables_of(release, self._client.workspace, _client_id(endpoint))
            entity = online_specs.deployment_of(release, model, environment, variables, tags)

            def begin() -> Any:
                with quiet():
                    return self._client.ml.online_deployments.begin_create_or_update(entity)

            try:
                carry_out(f"{what}: create", begin, look, end - time.monotonic(), self._say)
            except CloudError:
                if release.connections:
                    self._say(_RIGHTS.format(identity=_principal(endpoint)))
                raise

    def retag(self, endpoint: str, deployment: str, tags: Mapping[str, str]) -> bool:
        """Give a deployment that is there these tags, which its instances don't notice.

        Azure's library can but put the whole deployment again. Source: REST reference, Online Deployments - Update.
        """
        what = f"tags of deployment '{deployment}' of endpoint '{endpoint}'"
        resource = f"{self._client.workspace.id}/onlineEndpoints/{endpoint}/deployments/{deployment}"

        def look() -> Outcome:
            found = self._deployments(endpoint).get(deployment)
            if found is None:
                return "not done"
            state = outcome_of(found.state)
            return "not done" if state == "done" and not tags.items() <= found.tags.items() else state

        manager, body = ResourceManager(self._client), {"tags": dict(tags)}
        carry_out(what, lambda: manager.begin("PATCH", resource, _VERSION, body), look, _PATIENCE)
        return True

    def log(self, endpoint: str, deployment: str, lines: int) -> str:
        """Return the last lines of a deployment's log; empty where there is none."""
        with installed():
            from azure.core.exceptions import ResourceNotFoundError
        with translated(f"log of deployment '{deployment}' of endpoint '{endpoint}'"):
            try:
                return str(self._client.ml.online_deployments.get_logs(deployment, endpoint, lines))
            except ResourceNotFoundError:
                return ""

    def set_traffic(self, endpoint: str, traffic: Traffic) -> None:
        """Give deployments their shares, those that are not named none, and wait until it is so."""
        what = f"traffic of endpoint '{endpoint}'"
        wanted = {name: share for name, share in traffic.items() if share}
        with translated(what):
            found = self._get(endpoint)
        if found is None:
            raise CloudError(f"{what}: there is no such endpoint")
        found.traffic = dict(wanted)

        def look() -> Outcome:
            now = self._get(endpoint)
            if now is None:
                return "not done"
            state = outcome_of(now.provisioning_state)
            return "not done" if state == "done" and _traffic_of(now) != wanted else state

        carry_out(what, lambda: self._client.ml.online_endpoints.begin_create_or_update(found), look, _PATIENCE)

    def delete_deployment(self, endpoint: str, deployment: str) -> None:
        """Remove a deployment that has no traffic. One that is not there is fine."""

        def look() -> Outcome:
            found = self._deployments(endpoint).get(deployment)
            if found is None:
                return "done"
            return "under way" if found.state == "Deleting" else "not done"

        carry_out(
            f"deployment '{deployment}' of endpoint '{endpoint}': delete",
            lambda: self._client.ml.online_deployments.begin_delete(deployment, endpoint),
            look,
            _PATIENCE,
        )

    def address(self, endpoint: str, deployment: str = "") -> Address:
        """Return where to send requests, to one deployment or to whom the traffic says, with a key or token."""
        with translated(f"endpoint '{endpoint}': key or token"):
            found = self._get(endpoint)
            if found is None:
                raise CloudError(f"there is no endpoint '{endpoint}'")
            keys = self._client.ml.online_endpoints.get_keys(endpoint)
        token = getattr(keys, "primary_key", None) or getattr(keys, "access_token", None) or ""
        return Address(url=found.scoring_uri, deployment=deployment, token=token)

    def _get(self, endpoint: str) -> Any:
        """Return the library's endpoint, None where there is none. A workspace that is not there fails."""
        with installed():
            from azure.core.exceptions import ResourceNotFoundError
        try:
            return self._client.ml.online_endpoints.get(endpoint)
        except ResourceNotFoundError:
            self._client.ml.workspaces.get(self._client.workspace.name)
            return None

    def _state(self, found: Any) -> EndpointState:
        return EndpointState(
            name=found.name,
            state=found.provisioning_state or "",
            changing=outcome_of(found.provisioning_state) == "under way",
            url=found.scoring_uri or "",
            traffic=_traffic_of(found),
            deployments=self._deployments(found.name),
        )

    def _deployments(self, endpoint: str) -> dict[str, DeploymentState]:
        with installed():
            from azure.core.exceptions import ResourceNotFoundError
        try:
            found = list(self._client.ml.online_deployments.list(endpoint))
        except ResourceNotFoundError:
            return {}
        return {
            each.name: DeploymentState(name=each.name, state=each.provisioning_state or "", tags=dict(each.tags or {}))
            for each in found
        }

    def _made(self, release: Release, tags: Mapping[str, str]) -> Outcome:
        """Tell what became of a deployment: it is done where it is healthy, of this flow, and set like this."""
        found = self._deployments(release.endpoint).get(release.deployment)
        if found is None:
            return "not done"
        same = all(found.tags.get(name) == tags.get(name) for name in (FLOW_DIGEST, SETTINGS, TRAFFIC_BEFORE))
        state = outcome_of(found.state)
        return "not done" if state == "done" and not same else state


def _traffic_of(endpoint: Any) -> dict[str, int]:
    return {name: int(share) for name, share in (endpoint.traffic or {}).items() if int(share)}


def _kind_of(endpoint: Any) -> str:
    return "kubernetes" if getattr(endpoint, "compute", None) else "managed"


def _client_id(endpoint: Any) -> str:
    """Return the client id of an endpoint's user-assigned identity; empty for one of its own."""
    named = getattr(endpoint.identity, "user_assigned_identities", None) or ()
    return next((each.client_id for each in named if each.client_id), "")


def _principal(endpoint: Any) -> str:
    """Return the object id of an endpoint's identity, as far as Azure says it."""
    named = getattr(endpoint.identity, "user_assigned_identities", None) or ()
    known = (getattr(endpoint.identity, "principal_id", None), *(each.principal_id for each in named))
    return next((str(found) for found in known if found), "(unknown)")
