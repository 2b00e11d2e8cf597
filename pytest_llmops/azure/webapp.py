"""Web apps of App Service that serve a flow from a container image.

The old image runs in production, and a new one beside it in the slot ``llmops``, which gets a share of the requests by
a rule of production, and everything by a swap of the two. Plans without slots have nowhere beside: there the new image
replaces the old one, which is remembered and restored on failure.

A web app has no key of its own: who may call it is up to App Service's authentication and access restrictions.

Source: the REST reference of App Service, 2023-12-01 (Web Apps: slots, swap, configuration with rampUpRules), and "Set
up staging environments in Azure App Service" for what a swap takes along. Known from there only.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from pytest_llmops.azure import webapp_settings
from pytest_llmops.azure.arm import ResourceManager
from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import translated
from pytest_llmops.azure.images import PORT, SCORE, write_context
from pytest_llmops.azure.operations import Outcome, begun, carry_out, settled
from pytest_llmops.azure.registry import Registry
from pytest_llmops.azure.webapp_places import WEB, Places
from pytest_llmops.azure.webapp_settings import has_slots
from pytest_llmops.azure.webapp_spots import fill, make_site, make_slot, wait_for
from pytest_llmops.azure.webapp_state import ALL, SLOT, TO_ITSELF, App, Spot, read_app
from pytest_llmops.errors import CloudError, ConfigurationError, LLMOpsError
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.deployment import EndpointState, ModelVersion, Release, Traffic, WebApp
from pytest_llmops.records.experiment import Flow
from pytest_llmops.secrets import without_secrets

_PATIENCE = 1800.0


class WebApps:
    """A Service of web apps in one resource group.

    ``flow`` is what their images serve, and alone in its folder. ``say`` is told of progress.
    """

    def __init__(
        self,
        client: Client,
        where: WebApp,
        *,
        flow: Flow | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.in_place = not has_slots(where.sku)
        self._arm = ResourceManager(client)
        self._workspace = client.workspace
        self._places = Places(client, self._arm, where)
        self._where = where
        self._flow = flow
        self._say = say

    def find(self, endpoint: str) -> EndpointState | None:
        """Return a web app with its deployments, None where there is none."""
        with translated(f"web app '{endpoint}'"):
            app = read_app(self._arm, self._places.site(endpoint))
            return None if app is None else app.state(in_place=self.in_place)

    def list(self) -> list[EndpointState]:
        """Return the web apps of the resource group that were deployed to from here."""
        with translated("web apps"):
            names = [found["name"] for found in self._arm.list(self._places.site(""), WEB)]
            apps = [read_app(self._arm, self._places.site(name)) for name in names]
            ours = [app for app in apps if app and any(spot.held.is_ours for spot in app.spots.values())]
            return [app.state(in_place=self.in_place) for app in ours]

    def check(self, release: Release) -> None:
        """Look for all that a release needs to be there, and whether its flow can be put into an image.

        Whether the identity may pull images and read connections can't be told from here.

        Raises:
            ConfigurationError: with the first that is missing, or in the way.
        """
        if self._flow is not None:
            with self._context(self._flow, release):
                pass
        self._places.check(release)
        with translated(f"web app '{release.endpoint}'"):
            app = read_app(self._arm, self._places.site(release.endpoint))
        if app is None:
            self._places.check_plan(release)
        else:
            self._places.check_app(release, app.production.resource)
            self._check_room(release, app)

    def create_endpoint(self, release: Release) -> None:
        """Make a web app that does not exist, with App Service's own page in it, and wait for it."""
        identity = self._places.identity(release)
        plan = self._places.plan(release, self._say)
        what = f"web app '{release.endpoint}': create"
        with begun(what) if plan.made else nullcontext():
            site = self._places.site(release.endpoint)
            make_site(self._arm, site, release, plan=plan, identity=identity, what=what, say=self._say)

    def create_deployment(self, release: Release, model: ModelVersion, tags: Mapping[str, str]) -> None:
        """Build the image of the flow, start it in the slot, and wait until it answers. No traffic is moved.

        In place, it is started in production, where it gets all traffic.
        """
        if self._flow is None:
            raise TypeError("a deployment needs a flow")
        what = f"deployment '{release.deployment}' of web app '{release.endpoint}'"
        end = time.monotonic() + release.timeout
        app = self._required(release.endpoint)
        if not self.in_place and app.production.held.deployment == release.deployment:
            todo = "restart the web app, or name a new deployment"
            raise CloudError(f"{what}: has the traffic already, and is not healthy; {todo}")
        identity = self._places.identity(release)
        image = self._build(self._flow, release)
        if self._required(release.endpoint).held != app.held:
            todo = "see what is there, and try again"
            raise CloudError(f"{what}: somebody else deployed to the web app, or moved its traffic, meanwhile; {todo}")
        settings = webapp_settings.settings_for(
            release,
            tags,
            port=PORT,
            workspace_id=self._workspace.id,
            client_id=identity.client_id,
            base=app.production.held,
        )
        config = {**identity.config, "linuxFxVersion": f"DOCKER|{image}"}
        with begun(what):
            if self.in_place:
                spot = app.production
                settings = webapp_settings.replacing(spot.held, settings)
            else:
                spot = app.slot or make_slot(self._arm, app, end - time.monotonic(), self._say)
            fill(self._arm, spot, settings, config)
            self._wait_for(spot, release.deployment, end)

    def retag(self, endpoint: str, deployment: str, tags: Mapping[str, str]) -> bool:
        """Change nothing: tags are settings of the container, which starts again where one changes."""
        return False

    def log(self, endpoint: str, deployment: str, lines: int) -> str:
        """Return the last lines that a deployment's container printed; empty where there is none."""
        with translated(f"log of deployment '{deployment}' of web app '{endpoint}'"):
            app = read_app(self._arm, self._places.site(endpoint))
            spot = app.spots.get(deployment) if app else None
            text = self._arm.text("POST", f"{spot.id}/containerlogs", WEB) if spot else ""
        return "\n".join(map(without_secrets, text.splitlines()[-lines:]))

    def set_traffic(self, endpoint: str, traffic: Traffic) -> None:
        """Give deployments their shares: by a rule, or by a swap to whom has everything; in place, by what was there.

        Raises:
            CloudError: for shares that a web app can't have, too.
        """
        wanted = {name: share for name, share in traffic.items() if share}
        app = self._required(endpoint)
        if wanted == app.traffic:
            return
        what = f"traffic of web app '{endpoint}'"
        if self.in_place:
            self._restore(what, app, wanted)
            return
        missing = sorted(wanted.keys() - app.spots.keys())
        if missing:
            raise CloudError(f"{what}: there is no deployment '{missing[0]}'")
        if app.slot and wanted == ({app.beside: ALL} if app.beside else {}):
            self._swap(what, endpoint, app)
        elif wanted:
            self._route(what, app, wanted.get(app.beside, 0))
        else:
            raise CloudError(f"{what}: a web app can't be without traffic, unless nothing was deployed to it before")

    def delete_deployment(self, endpoint: str, deployment: str) -> None:
        """Remove the slot with a deployment that has no traffic. One that is not there is fine."""
        what = f"deployment '{deployment}' of web app '{endpoint}'"
        with translated(what):
            app = read_app(self._arm, self._places.site(endpoint))
            spot = app.spots.get(deployment) if app else None
            if app is None or spot is None:
                return
            if app.traffic.get(deployment):
                raise CloudError(f"{what}: it has traffic, and is not deleted")
            self._arm.send("DELETE", spot.id, WEB)

    def address(self, endpoint: str, deployment: str = "") -> Address:
        """Return where to send requests: to one deployment, or to production, which passes on what rules say."""
        app = self._required(endpoint)
        if not deployment:
            return Address(url=f"https://{app.production.host}{SCORE}")
        spot = app.spots.get(deployment)
        if spot is None:
            raise CloudError(f"web app '{endpoint}' has no deployment '{deployment}'")
        return Address(url=f"https://{spot.host}{SCORE}{TO_ITSELF}", deployment=deployment)

    def _required(self, endpoint: str) -> App:
        with translated(f"web app '{endpoint}'"):
            app = read_app(self._arm, self._places.site(endpoint))
        if app is None:
            raise CloudError(f"there is no web app '{endpoint}' in resource group '{self._where.resource_group}'")
        return app

    def _check_room(self, release: Release, app: App) -> None:
        """Refuse a deployment whose slot is taken by another one that has traffic."""
        if self.in_place:
            return
        if app.share and release.deployment not in app.spots:
            what = f"the slot is taken by deployment '{app.beside}', which has {app.share} % of the traffic"
            raise ConfigurationError([release.problem("deployment", what, "promote it or roll it back first")])
        if strangers := [rule["name"] for rule in app.production.rules if rule["name"] != SLOT]:
            what = f"web app '{release.endpoint}' sends traffic to slot '{strangers[0]}', which is not ours"
            raise ConfigurationError([release.problem("endpoint", what, "take that rule away first")])

    def _build(self, flow: Flow, release: Release) -> str:
        registry = Registry(self._arm, self._places.registry, self._say)
        with self._context(flow, release) as context:
            return registry.build(context, release.endpoint.lower(), release.timeout)

    @contextmanager
    def _context(self, flow: Flow, release: Release) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
            yield write_context(flow, Path(folder) / "image", connections=release.connections)

    def _wait_for(self, spot: Spot, deployment: str, end: float) -> None:
        todo = f"see its log, and whether its identity has the role AcrPull on registry '{self._where.registry}'"
        wait_for(spot, deployment, end, todo)

    def _route(self, what: str, app: App, share: int) -> None:
        """Let production pass a share of its requests on to the slot."""
        others = [rule for rule in app.production.rules if rule["name"] != SLOT]
        mine = []
        if share and app.slot:
            mine = [{"name": SLOT, "actionHostName": app.slot.host, "reroutePercentage": share}]
        body = {"properties": {"experiments": {"rampUpRules": others + mine}}}
        with translated(what):
            self._arm.send("PATCH", f"{app.production.id}/config/web", WEB, body)

    def _swap(self, what: str, endpoint: str, app: App) -> None:
        """Swap what is in the slot into production. The rule goes first: it would hold for who is in the slot then."""

        def look() -> Outcome:
            now = self._required(endpoint)
            if now.is_busy:
                return "under way"
            return "done" if now.production.held.deployment == app.beside else "not done"

        resource = f"{self._places.site(endpoint)}/slotsswap"
        body = {"targetSlot": SLOT, "preserveVnet": True}
        if app.share:
            self._route(what, app, 0)
        try:
            with begun(what) if app.share else nullcontext():
                carry_out(what, lambda: self._arm.begin("POST", resource, WEB, body), look, _PATIENCE, self._say)
        except BaseException:
            if app.share:
                with suppress(LLMOpsError):  # what went wrong is raised anyhow
                    if settled(look, time.monotonic() + _PATIENCE) != "done":
                        self._route(what, app, app.share)
            raise

    def _restore(self, what: str, app: App, wanted: Traffic) -> None:
        """Put back what was replaced in place."""
        held = app.production.held
        previous = held.previous
        name = previous.deployment if previous else ""
        if previous is None or wanted != ({name: ALL} if name else {}):
            reason = f"a plan of pricing tier {self._where.sku} has no slots"
            raise CloudError(f"{what}: {reason}: all goes to '{held.deployment}', or to what was there before it")
        with translated(what):
            settings = webapp_settings.restoring(held, previous)
            fill(self._arm, app.production, settings, {"linuxFxVersion": previous.image})
        if previous.is_ours:
            self._wait_for(app.production, name, time.monotonic() + _PATIENCE)
