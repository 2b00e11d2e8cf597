"""Production and the slot of a web app: made, filled with an image and settings, and waited for.

Source: the REST reference of App Service, 2023-12-01. Known from there only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import chain, repeat
from typing import Any

from pytest_llmops.azure import webapp_settings
from pytest_llmops.azure.arm import ResourceManager
from pytest_llmops.azure.images import HEALTH
from pytest_llmops.azure.operations import Outcome, begun, carry_out
from pytest_llmops.azure.webapp_places import WEB, Identity, Plan
from pytest_llmops.azure.webapp_state import SLOT, App, Spot, answers, read_spot
from pytest_llmops.durations import format_duration
from pytest_llmops.errors import CloudError
from pytest_llmops.records.deployment import Release

_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""How long to wait between looks at a container that starts, in seconds; the last one from then on."""
_COPIED = ("serverFarmId", "reserved", "httpsOnly", "keyVaultReferenceIdentity", "virtualNetworkSubnetId")
"""What a slot has of production beside its configuration."""

_EMPTY: Mapping[str, Any] = {
    "linuxFxVersion": webapp_settings.PLACEHOLDER,
    "appSettings": [{"name": name, "value": value} for name, value in webapp_settings.empty_settings().items()],
}
"""Configuration of what nothing was deployed to yet."""


def make_site(
    arm: ResourceManager,
    site: str,
    release: Release,
    *,
    plan: Plan,
    identity: Identity,
    what: str,
    say: Callable[[str], None],
) -> None:
    """Make a web app with App Service's own page in it, and wait for it."""
    config = {
        **identity.config,
        **_EMPTY,
        "healthCheckPath": HEALTH,
        "alwaysOn": not release.webapp or not release.webapp.sku.upper().startswith("F"),
        "ftpsState": "Disabled",
        "minTlsVersion": "1.2",
    }
    body = {
        "kind": "app,linux,container",
        "location": plan.location,
        "identity": identity.body,
        "properties": {
            "serverFarmId": plan.id,
            "reserved": True,
            "httpsOnly": True,
            "keyVaultReferenceIdentity": identity.id,
            "siteConfig": config,
        },
    }
    _put(arm, site, body, what=what, patience=release.timeout, say=say)


def make_slot(arm: ResourceManager, app: App, patience: float, say: Callable[[str], None]) -> Spot:
    """Make the slot, with production's configuration: a swap gives production what the slot has."""
    resource = f"{app.production.id}/slots/{SLOT}"
    what = f"slot '{SLOT}' of web app '{app.production.resource['name']}': create"
    properties = app.production.resource["properties"]
    kept = {name: properties[name] for name in _COPIED if properties.get(name) is not None}
    config = webapp_settings.copied(app.production.config) | dict(_EMPTY)
    body = {
        "kind": app.production.resource.get("kind", ""),
        "location": app.production.resource["location"],
        "identity": _assigned(app.production.resource),
        "properties": {**kept, "siteConfig": config},
    }
    _put(arm, resource, body, what=what, patience=patience, say=say)
    with begun(what):
        strings = arm.send("POST", f"{app.production.id}/config/connectionstrings/list", WEB)["properties"]
        if strings:
            arm.send("PUT", f"{resource}/config/connectionstrings", WEB, {"properties": strings})
        made = arm.get(resource, WEB)
        if made is None:
            raise CloudError(f"{what}: it is gone")
        return read_spot(arm, made)


def fill(arm: ResourceManager, spot: Spot, settings: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Give a spot its settings and its image, in an order in which a container never starts with wrong settings."""
    arm.send("PUT", f"{spot.id}/config/appsettings", WEB, {"properties": dict(settings)})
    with begun(f"image of {spot.host}"):
        arm.send("PATCH", f"{spot.id}/config/web", WEB, {"properties": dict(config)})


def wait_for(spot: Spot, deployment: str, end: float, todo: str) -> None:
    """Wait until a spot serves a deployment, at most until the monotonic clock is at ``end``.

    Raises:
        CloudError: where it does not. ``todo`` is where to look then.
    """
    start = time.monotonic()
    for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
        if answers(spot.host, deployment):
            return
        if time.monotonic() >= end:
            break
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
    waited = format_duration(round(time.monotonic() - start))
    raise CloudError(f"https://{spot.host}{HEALTH} does not answer as deployment '{deployment}' after {waited}; {todo}")


def _put(
    arm: ResourceManager,
    resource: str,
    body: Mapping[str, Any],
    *,
    what: str,
    patience: float,
    say: Callable[[str], None],
) -> None:
    def look() -> Outcome:
        return "not done" if arm.get(resource, WEB) is None else "done"

    carry_out(what, lambda: arm.begin("PUT", resource, WEB, body), look, patience, say)


def _assigned(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identities of a web app as a request names them: what Azure knows of them can't be sent back."""
    identity = resource.get("identity") or {}
    users: dict[str, Any] = {name: {} for name in identity.get("userAssignedIdentities") or {}}
    return {"type": identity.get("type", "None"), **({"userAssignedIdentities": users} if users else {})}
