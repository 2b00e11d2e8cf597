"""What a web app needs around it: its identity, its plan, the registry, connections. All of it is looked at first.

Source of requests and answers: the REST reference of App Service plans (2023-12-01), user-assigned identities
(2023-01-31) and resource groups (2021-04-01). Known from there only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.azure.arm import ResourceManager
from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.connections import check_connections
from pytest_llmops.azure.failures import translated
from pytest_llmops.azure.operations import Outcome, carry_out
from pytest_llmops.azure.webapp_settings import has_slots
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.deployment import Release, WebApp

WEB = "2023-12-01"
_IDENTITIES = "2023-01-31"
_GROUPS = "2021-04-01"
_REGISTRIES = "2023-07-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user-assigned identity: with it a web app pulls its image, and reads connections of the workspace."""

    id: str
    client_id: str

    @property
    def body(self) -> dict[str, Any]:
        """As a web app's request names it."""
        return {"type": "UserAssigned", "userAssignedIdentities": {self.id: {}}}

    @property
    def config(self) -> dict[str, Any]:
        """The configuration by which images are pulled as this identity."""
        return {"acrUseManagedIdentityCreds": True, "acrUserManagedIdentityID": self.client_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan that web apps run on, its region, and whether it was made just now."""

    id: str
    location: str
    made: bool = False


class Places:
    """Resources by their names in a release."""

    def __init__(self, client: Client, arm: ResourceManager, where: WebApp) -> None:
        self._client = client
        self._arm = arm
        self._where = where

    def site(self, name: str) -> str:
        """Return the id of a web app; of all of them, where the name is empty."""
        return self._id(self._where.resource_group, "Microsoft.Web/sites", name).rstrip("/")

    @property
    def registry(self) -> str:
        """The id of the registry."""
        return self._id(
            self._where.registry_resource_group, "Microsoft.ContainerRegistry/registries", self._where.registry
        )

    def identity(self, release: Release) -> Identity:
        """Return the identity of the web app.

        Raises:
            ConfigurationError: where none is named, or it is not there.
        """
        named = self._where.identity
        if not named:
            todo = "name a user-assigned identity that has the role AcrPull on the registry"
            raise ConfigurationError([release.problem("identity", "is needed for the web app to pull its image", todo)])
        kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
        resource = named if named.startswith("/") else self._id(self._where.resource_group, kind, named)
        name = resource.rpartition("/")[2]
        with translated(f"identity '{name}'"):
            found = self._arm.get(resource, _IDENTITIES)
        if found is None:
            todo = "make it, and give it the role AcrPull on the registry"
            raise ConfigurationError([release.problem("identity", f"there is no identity '{name}'", todo)])
        return Identity(id=resource, client_id=found["properties"]["clientId"])

    @property
    def _plan(self) -> str:
        return self._id(self._where.resource_group, "Microsoft.Web/serverfarms", self._where.plan)

    def check(self, release: Release) -> None:
        """Look for what has to be there before anything is made.

        Raises:
            ConfigurationError: for what is not there, and for a plan that makes a difference to what was planned.
        """
        self.identity(release)
        with translated(f"registry '{self._where.registry}'"):
            if self._arm.get(self.registry, _REGISTRIES) is None:
                what = f"there is no registry '{self._where.registry}' in '{self._where.registry_resource_group}'"
                raise ConfigurationError([release.problem("registry", what, "make it, or correct its name")])
        check_connections(self._client, release)

    def check_plan(self, release: Release) -> None:
        """Check that the plan, if it is there, is one as the release says.

        Raises:
            ConfigurationError: where it makes a difference to what was planned.
        """
        with translated(f"plan '{self._where.plan}'"):
            found = self._arm.get(self._plan, WEB)
        if found is not None:
            self._check_plan(release, found)

    def check_app(self, release: Release, resource: Mapping[str, Any]) -> None:
        """Check that a web app which is there can take the deployment as the release says.

        Raises:
            ConfigurationError: where it has not the identity, or a plan that makes a difference to what was planned.
        """
        identity = self.identity(release)
        assigned = {name.lower() for name in (resource.get("identity") or {}).get("userAssignedIdentities") or {}}
        if identity.id.lower() not in assigned:
            what = f"web app '{release.endpoint}' has not the identity '{identity.id.rpartition('/')[2]}'"
            raise ConfigurationError([release.problem("identity", what, "assign it: az webapp identity assign")])
        plan = resource["properties"]["serverFarmId"]
        with translated(f"plan of web app '{release.endpoint}'"):
            found = self._arm.send("GET", plan, WEB)
        self._check_plan(release, found)

    def plan(self, release: Release, say: Callable[[str], None]) -> Plan:
        """Return the plan. One that is not there is made, in the resource group's region."""
        plan, what = self._plan, f"plan '{self._where.plan}'"
        with translated(what):
            found = self._arm.get(plan, WEB)
            if found is not None:
                return Plan(id=plan, location=found["location"])
            subscription = self._client.workspace.subscription
            group = f"/subscriptions/{subscription}/resourceGroups/{self._where.resource_group}"
            location = self._arm.send("GET", group, _GROUPS)["location"]
        body = {
            "kind": "linux",
            "location": location,
            "sku": {"name": self._where.sku},
            "properties": {"reserved": True},
        }

        def look() -> Outcome:
            return "not done" if self._arm.get(plan, WEB) is None else "done"

        carry_out(f"{what}: create", lambda: self._arm.begin("PUT", plan, WEB, body), look, release.timeout, say)
        return Plan(id=plan, location=location, made=True)

    def _check_plan(self, release: Release, found: Mapping[str, Any]) -> None:
        name, sku = found["name"], found["sku"]["name"]
        if not found["properties"].get("reserved"):
            what = f"plan '{name}' is not of Linux, and takes no such containers"
            raise ConfigurationError([release.problem("plan", what, "name another one")])
        if has_slots(sku) != has_slots(self._where.sku):
            beside = "beside the old one" if has_slots(self._where.sku) else "in place of the old one"
            what = f"plan '{name}' is of pricing tier {sku}, so the new image can't be put {beside}"
            raise ConfigurationError([release.problem("sku", what, f"write {sku}, or name another plan")])

    def _id(self, group: str, kind: str, name: str) -> str:
        return f"/subscriptions/{self._client.workspace.subscription}/resourceGroups/{group}/providers/{kind}/{name}"
