"""What a web app's settings say of the deployment that runs in it. Nothing here asks Azure.

App settings go along when slots are swapped, unlike tags. So what a container is, and what is set for it, is kept in
settings of its own; those of other people are not touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.records.deployment import Release

FOREIGN = "production"
"""Name of what runs in a web app that was not made here."""
PLACEHOLDER = "DOCKER|mcr.microsoft.com/appsvc/staticsite:latest"
"""What a new web app runs before its first deployment: App Service's own page."""
DEPLOYMENT = "LLMOPS_DEPLOYMENT"
_TAGS = "LLMOPS_TAGS"
_NAMES = "LLMOPS_SETTINGS"
_PREVIOUS = "LLMOPS_PREVIOUS"
_OURS = (DEPLOYMENT, _TAGS, _NAMES, _PREVIOUS)
# Free, shared and basic plans have no slots beside production.
_WITHOUT_SLOTS = re.compile(r"[FDB]\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a web app, or a slot of it, holds: an image, and all of its settings by name."""

    image: str
    settings: Mapping[str, str] = field(repr=False)

    @property
    def deployment(self) -> str:
        """Name of the deployment; empty where nothing was deployed yet."""
        return self.settings.get(DEPLOYMENT, FOREIGN)

    @property
    def is_ours(self) -> bool:
        """Whether it was deployed from here."""
        return bool(self.settings.get(DEPLOYMENT))

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of the deployment."""
        return dict(json.loads(self.settings.get(_TAGS, "{}")))

    @property
    def previous(self) -> Held | None:
        """What was there before, if it was replaced in place."""
        kept = json.loads(self.settings.get(_PREVIOUS, "null"))
        return None if kept is None else Held(image=kept["image"], settings=kept["settings"])

    @property
    def others(self) -> dict[str, str]:
        """The settings of other people."""
        own = {*_OURS, *json.loads(self.settings.get(_NAMES, "[]"))}
        return {name: value for name, value in self.settings.items() if name not in own}


def has_slots(sku: str) -> bool:
    """Tell whether a plan of a pricing tier lets a new image run beside the old one."""
    return not _WITHOUT_SLOTS.fullmatch(sku)


def empty_settings() -> dict[str, str]:
    """Return the settings of a web app that nothing was deployed to yet."""
    return {DEPLOYMENT: ""}


def settings_for(
    release: Release, tags: Mapping[str, str], *, port: int, workspace_id: str, client_id: str, base: Held
) -> dict[str, str]:
    """Return all settings of a release's container, where ``base`` is what runs in production.

    No secret is among them: connections are read from the workspace, as the identity of ``client_id``.
    """
    variables = {
        "WEBSITES_PORT": str(port),
        "WEBSITES_ENABLE_APP_SERVICE_STORAGE": "false",
        "WEBSITES_CONTAINER_START_TIME_LIMIT": "600",
        "PF_CONNECTION_PROVIDER": f"azureml:/{workspace_id}",
        "AZURE_CLIENT_ID": client_id,
        **release.environment_variables,
    }
    own = {DEPLOYMENT: release.deployment, _TAGS: json.dumps(dict(tags)), _NAMES: json.dumps(sorted(variables))}
    return base.others | variables | own


def replacing(held: Held, settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings that remember what they replace in place.

    What failed there and is deployed again does not become the one before itself.
    """
    if held.deployment == settings[DEPLOYMENT]:
        kept = held.settings.get(_PREVIOUS)
        return {**settings, _PREVIOUS: kept} if kept else dict(settings)
    stays = {*Held(image="", settings=settings).others, _PREVIOUS}
    gone = {name: value for name, value in held.settings.items() if name not in stays}
    return {**settings, _PREVIOUS: json.dumps({"image": held.image, "settings": gone})}


def restoring(held: Held, previous: Held) -> dict[str, str]:
    """Return the settings of what was there before."""
    return held.others | dict(previous.settings)


def copied(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parts of production's configuration that a slot is made with, as the Azure CLI does."""
    left_out = {"experiments", "appSettings", "connectionStrings", "metadata", "machineKey", "azureStorageAccounts"}
    kept = {name: value for name, value in config.items() if value is not None and name not in left_out}
    return {name: value for name, value in kept.items() if not name.startswith("publishing")}
