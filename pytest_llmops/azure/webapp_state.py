"""A web app as it is: production and the slot beside it, what each holds, and who gets which share of the requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.azure.arm import ResourceManager
from pytest_llmops.azure.images import HEALTH, SCORE
from pytest_llmops.azure.webapp_places import WEB
from pytest_llmops.azure.webapp_settings import Held
from pytest_llmops.records.deployment import DeploymentState, EndpointState

SLOT = "llmops"
ALL = 100
TO_ITSELF = "?x-ms-routing-name=self"
"""Keeps a request from being passed on to a slot by a rule."""
_HEADER = "azureml-model-deployment"
"""By which an image says which deployment it is; see ``image/serve.py``."""
_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Production or the slot: its resource, where it answers, its configuration, and what it holds."""

    resource: Mapping[str, Any]
    config: Mapping[str, Any] = field(repr=False)
    held: Held

    @property
    def id(self) -> str:
        """Its resource id."""
        return str(self.resource["id"])

    @property
    def host(self) -> str:
        """Name of the host where it answers."""
        return str(self.resource["properties"]["defaultHostName"])

    @property
    def is_running(self) -> bool:
        """Whether it was not stopped."""
        return bool(self.resource["properties"].get("state") == "Running")

    @property
    def is_busy(self) -> bool:
        """Whether an operation is under way."""
        return bool(self.resource["properties"].get("inProgressOperationId"))

    @property
    def rules(self) -> list[Mapping[str, Any]]:
        """Rules by which it passes requests on to slots."""
        return (self.config.get("experiments") or {}).get("rampUpRules") or []


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A web app. Deployments are named as their settings say; ``production`` is what others have put there."""

    production: Spot
    slot: Spot | None

    @property
    def is_busy(self) -> bool:
        """Whether an operation is under way."""
        return self.production.is_busy or (self.slot is not None and self.slot.is_busy)

    @property
    def share(self) -> int:
        """What the slot gets of the requests, in percent."""
        return sum(int(rule["reroutePercentage"]) for rule in self.production.rules if rule["name"] == SLOT)

    @property
    def held(self) -> tuple[Held, Held | None, int]:
        """All that deployments change: what production and the slot hold, and the slot's share."""
        return self.production.held, self.slot.held if self.slot else None, self.share

    @property
    def beside(self) -> str:
        """Name of the deployment in the slot; empty where there is none."""
        return self.slot.held.deployment if self.slot else ""

    @property
    def spots(self) -> dict[str, Spot]:
        """Production and the slot by the names of their deployments; production's wins."""
        found = [self.slot] if self.slot else []
        return {spot.held.deployment: spot for spot in (*found, self.production) if spot.held.deployment}

    @property
    def traffic(self) -> dict[str, int]:
        """Shares of the deployments, without those that have none."""
        shares = {self.beside: self.share, self.production.held.deployment: ALL - self.share}
        return {name: share for name, share in shares.items() if name and share}

    def state(self, *, in_place: bool) -> EndpointState:
        """Return it as an endpoint; ``in_place``, what was replaced counts as a deployment that can be restored."""
        deployments = {name: _deployment(name, spot) for name, spot in self.spots.items()}
        previous = self.production.held.previous if in_place else None
        if previous and previous.deployment:
            kept = DeploymentState(name=previous.deployment, state="Succeeded", tags=previous.tags)
            deployments.setdefault(previous.deployment, kept)
        return EndpointState(
            name=self.production.resource["name"],
            state="Updating" if self.is_busy else "Succeeded" if self.production.is_running else "Stopped",
            changing=self.is_busy,
            url=f"https://{self.production.host}{SCORE}",
            traffic=self.traffic,
            deployments=deployments,
        )


def read_app(arm: ResourceManager, site: str) -> App | None:
    """Ask Azure for a web app, None where there is none."""
    resource = arm.get(site, WEB)
    if resource is None:
        return None
    beside = arm.get(f"{site}/slots/{SLOT}", WEB)
    return App(production=read_spot(arm, resource), slot=read_spot(arm, beside) if beside else None)


def read_spot(arm: ResourceManager, resource: Mapping[str, Any]) -> Spot:
    """Ask Azure what a web app, or a slot of it, holds."""
    config = arm.send("GET", f"{resource['id']}/config/web", WEB)["properties"]
    settings = arm.send("POST", f"{resource['id']}/config/appsettings/list", WEB).get("properties") or {}
    held = Held(image=config.get("linuxFxVersion") or "", settings=settings)
    return Spot(resource=resource, config=config, held=held)


def answers(host: str, deployment: str) -> bool:
    """Tell whether a host is healthy, and serves a deployment: while an image starts, the old one still answers."""
    import requests

    try:
        answer = requests.get(f"https://{host}{HEALTH}{TO_ITSELF}", timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        return False
    return answer.status_code == 200 and answer.headers.get(_HEADER) == deployment


def _deployment(name: str, spot: Spot) -> DeploymentState:
    healthy = answers(spot.host, name) if spot.held.is_ours else spot.is_running
    return DeploymentState(name=name, state="Succeeded" if healthy else "Unhealthy", tags=spot.held.tags)
