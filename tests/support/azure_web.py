"""App Service and a container registry in the Azure emulator: plans, web apps with slots, images and their builds.

Our reading of the REST reference, like all of the emulator. Containers are not run: what is at an address is known from
the image and the settings that are there, and answers through a function that the test gives.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from azure_emulator import WORKSPACE, Emulator
from azure_routes import RESOURCES, Answer, Request, error
from azure_tls import ARM, REGION, WEB_APPS

HOST = WEB_APPS.removeprefix("*.")
GROUP = f"/subscriptions/{WORKSPACE.subscription}/resourceGroups"
REGISTRY = f"{GROUP}/rg-images/providers/Microsoft.ContainerRegistry/registries/imagesreg"
IDENTITY = f"{GROUP}/rg-web/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-web"
CLIENT_ID = "0c11e47d-0000-4000-8000-0000000000aa"
_SITES = RESOURCES + "Microsoft.Web/sites"
_SITE = _SITES + "/{site}"
_SLOT = _SITE + "/slots/{slot}"
_REGISTRY = RESOURCES + "Microsoft.ContainerRegistry/registries/{registry}"
_NONE = error(404, "ResourceNotFound", "The resource was not found.")


@dataclass(slots=True, kw_only=True)
class Spot:
    """Production or a slot of a web app."""

    body: dict[str, Any]
    config: dict[str, Any]
    settings: dict[str, str]
    strings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Web:
    """All that there is of App Service. ``sick`` are deployments whose container does not answer."""

    azure: Emulator
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    spots: dict[str, Spot] = field(default_factory=dict)
    """By the part of the address after ``sites/``: ``app``, ``app/slots/llmops``."""
    contexts: dict[str, dict[str, str]] = field(default_factory=dict)
    """Files of the build contexts of images, names and texts, by the images' names."""
    build: str = "Succeeded"
    build_log: str = ""
    sick: set[str] = field(default_factory=set)
    served: Callable[[str, Any], Any] = lambda deployment, body: {"answer": deployment}
    runs: dict[str, tuple[str, int]] = field(default_factory=dict)

    def plan(self, name: str, sku: str, *, linux: bool = True) -> None:
        """Make a plan."""
        resource = f"{GROUP}/rg-web/providers/Microsoft.Web/serverfarms/{name}"
        body = {"id": resource, "name": name, "location": REGION, "sku": {"name": sku}}
        self.plans[name] = body | {"properties": {"reserved": linux}}

    def site(self, name: str, plan: str, settings: Mapping[str, str], config: Mapping[str, Any]) -> None:
        """Make a web app as somebody else would."""
        self._make(name, self._body(name, {"properties": {"serverFarmId": self.plans[plan]["id"]}}), config, settings)
        self.spots[name].body["identity"] = {
            "type": "UserAssigned",
            "userAssignedIdentities": {IDENTITY: {"clientId": CLIENT_ID, "principalId": "p"}},
        }

    def traffic(self, name: str) -> dict[str, float]:
        """Return who gets which share of the requests, by deployment."""
        rules = (self.spots[name].config.get("experiments") or {}).get("rampUpRules") or []
        shares = {self._deployment(f"{name}/slots/{rule['name']}"): rule["reroutePercentage"] for rule in rules}
        shares[self._deployment(name)] = 100 - sum(shares.values())
        return {deployment: share for deployment, share in shares.items() if share}

    def add(self) -> None:
        """Add the routes."""
        add = self.azure.routes.add
        add("GET", ARM, "/subscriptions/{s}/resourceGroups/{g}", lambda _: Answer(body={"location": REGION}))
        add("GET", ARM, RESOURCES + "Microsoft.ManagedIdentity/userAssignedIdentities/{name}", self._identity)
        add("GET", ARM, RESOURCES + "Microsoft.Web/serverfarms/{plan}", self._get_plan)
        add("PUT", ARM, RESOURCES + "Microsoft.Web/serverfarms/{plan}", self._put_plan)
        add("GET", ARM, _SITES, lambda _: Answer(body={"value": [self.spots[n].body for n in self._sites()]}))
        for place in (_SITE, _SLOT):
            add("GET", ARM, place, self._at(lambda spot, _: Answer(body=spot.body)))
            add("PUT", ARM, place, self._put_site)
            add("GET", ARM, f"{place}/config/web", self._at(lambda spot, _: Answer(body={"properties": spot.config})))
            add("PATCH", ARM, f"{place}/config/web", self._at(self._patch_config))
            for name in ("appsettings", "connectionstrings"):
                add("POST", ARM, f"{place}/config/{name}/list", self._at(_list(name)))
                add("PUT", ARM, f"{place}/config/{name}", self._at(self._put(name)))
            add(
                "POST",
                ARM,
                f"{place}/containerlogs",
                self._at(lambda *_: Answer(body=b"booting\nkey=eyJhbGci.e30.x\n")),
            )
        add("DELETE", ARM, _SLOT, self._delete)
        add("POST", ARM, f"{_SITE}/slotsswap", self._at(self._swap))
        add("GET", f"{{label}}.{HOST}", "/health", self._health)
        add("POST", f"{{label}}.{HOST}", "/score", self._score)
        self._add_registry()

    def _add_registry(self) -> None:
        add = self.azure.routes.add
        found = {"id": REGISTRY, "name": "imagesreg", "properties": {"loginServer": "imagesreg.azurecr.io"}}
        add("GET", ARM, _REGISTRY, lambda r: Answer(body=found) if r.names["registry"] == "imagesreg" else _NONE)
        add("POST", ARM, f"{_REGISTRY}/listBuildSourceUploadUrl", self._upload_url)
        add("POST", ARM, f"{_REGISTRY}/scheduleRun", self._schedule)
        add("GET", ARM, f"{_REGISTRY}/runs/{{run}}", self._run)
        add("POST", ARM, f"{_REGISTRY}/runs/{{run}}/cancel", lambda _: Answer(status=202))
        add("POST", ARM, f"{_REGISTRY}/runs/{{run}}/listLogSasUrl", self._log_url)

    def _identity(self, request: Request) -> Answer:
        body = {"id": IDENTITY, "name": "id-web", "properties": {"clientId": CLIENT_ID, "principalId": "p"}}
        return Answer(body=body) if request.names["name"] == "id-web" else _NONE

    def _get_plan(self, request: Request) -> Answer:
        found = self.plans.get(request.names["plan"])
        return Answer(body=found) if found else _NONE

    def _put_plan(self, request: Request) -> Answer:
        self.plan(request.names["plan"], request.json["sku"]["name"], linux=request.json["properties"]["reserved"])
        return Answer(body=self.plans[request.names["plan"]])

    def _put_site(self, request: Request) -> Answer:
        name = _name(request)
        if "/slots/" in name and self._sku(name)[0] in "FDB":
            return error(409, "Conflict", "Cannot complete the operation: the plan has no slots.")
        config = dict(request.json["properties"].pop("siteConfig", {}))
        settings = {each["name"]: each["value"] for each in config.pop("appSettings", [])}
        self._make(name, self._body(name, request.json), config, settings)
        return Answer(status=202, body=self.spots[name].body, headers=self._begin(name, request, lambda: None))

    def _make(self, name: str, body: dict[str, Any], config: Mapping[str, Any], settings: Mapping[str, str]) -> None:
        self.spots[name] = Spot(body=body, config=dict(config), settings=dict(settings))

    def _body(self, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        label = name.replace("/slots/", "-")
        properties = {"state": "Running", "defaultHostName": f"{label}.{HOST}", "inProgressOperationId": None}
        return {
            "id": f"{GROUP}/rg-web/providers/Microsoft.Web/sites/{name}",
            "name": name.replace("/slots/", "/"),
            "location": REGION,
            "kind": "app,linux,container",
            "tags": {},
            "identity": asked.get("identity", {"type": "None"}),
            "properties": {**asked["properties"], **properties},
        }

    def _patch_config(self, spot: Spot, request: Request) -> Answer:
        spot.config.update(request.json["properties"])
        if "experiments" in request.json["properties"]:
            self._log_traffic(request.names["site"])
        return Answer(body={"properties": spot.config})

    def _put(self, name: str) -> Callable[[Spot, Request], Answer]:
        def put(spot: Spot, request: Request) -> Answer:
            setattr(spot, "settings" if name == "appsettings" else "strings", request.json["properties"])
            return Answer(body=request.json)

        return put

    def _delete(self, request: Request) -> Answer:
        return Answer(status=200 if self.spots.pop(_name(request), None) else 404)

    def _swap(self, production: Spot, request: Request) -> Answer:
        name = request.names["site"]
        slot = self.spots[f"{name}/slots/{request.json['targetSlot']}"]

        def finish() -> None:
            rules = production.config.pop("experiments", None)
            for kept in ("config", "settings", "strings"):
                mine, theirs = getattr(production, kept), getattr(slot, kept)
                setattr(production, kept, theirs)
                setattr(slot, kept, mine)
            production.config["experiments"] = rules
            production.body["properties"]["inProgressOperationId"] = None
            self._log_traffic(name)

        production.body["properties"]["inProgressOperationId"] = "swap"
        return Answer(status=202, headers=self._begin(name, request, finish))

    def _begin(self, name: str, request: Request, finish: Callable[[], None]) -> Mapping[str, str]:
        def end(fault: str) -> None:
            spot = self.spots[name.partition("/")[0]]
            spot.body["properties"]["inProgressOperationId"] = None
            if not fault:
                finish()

        return self.azure.state.begin(f"sites/{name}", request, end)

    def _log_traffic(self, name: str) -> None:
        shares = ", ".join(f"{who or 'nothing'} {share}" for who, share in self.traffic(name).items())
        self.azure.log.append(f"traffic {name}: {shares}")

    def _health(self, request: Request) -> Answer:
        spot = self._spot_at(request)
        deployment = spot.settings.get("LLMOPS_DEPLOYMENT", "") if spot else ""
        if spot is None or deployment in self.sick or not self._can_start(spot):
            return error(503, "ServiceUnavailable", "Application Error")
        headers = {"azureml-model-deployment": deployment} if deployment else {}
        return Answer(body={"status": "Healthy"}, headers=headers)

    def _can_start(self, spot: Spot) -> bool:
        """Whether the image was built, listens where it is expected to, and can be pulled."""
        image = spot.config["linuxFxVersion"].removeprefix("DOCKER|imagesreg.azurecr.io/")
        pulls = spot.config.get("acrUserManagedIdentityID") == CLIENT_ID
        return image in self.contexts and pulls and spot.settings.get("WEBSITES_PORT") == "8080"

    def _score(self, request: Request) -> Answer:
        spot = self._spot_at(request)
        return _NONE if spot is None else Answer(body=self.served(spot.settings["LLMOPS_DEPLOYMENT"], request.json))

    def _spot_at(self, request: Request) -> Spot | None:
        host = f"{request.names['label']}.{HOST}"
        return next((spot for spot in self.spots.values() if spot.body["properties"]["defaultHostName"] == host), None)

    def _upload_url(self, _: Request) -> Answer:
        path = f"source/{next(self.azure.state.numbers)}.tar.gz"
        return Answer(body={"uploadUrl": self._blob(path), "relativePath": path})

    def _blob(self, path: str) -> str:
        place = f"https://wsstore.blob.core.windows.net/{self.azure.container}/{path}"
        return f"{place}?{self.azure.azurite.signature(self.azure.container)}"

    def _schedule(self, request: Request) -> Answer:
        container = self.azure.azurite.container(self.azure.container)
        content = container.download_blob(request.json["sourceLocation"]).readall()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            read = {name: archive.extractfile(name) for name in archive.getnames()}
            files = {name: file.read().decode("utf-8", "replace") for name, file in read.items() if file}
        assert request.json["dockerFilePath"] in files
        run = f"cf{next(self.azure.state.numbers)}"
        self.runs[run] = (self.build, 1)
        if self.build == "Succeeded":
            self.contexts[request.json["imageNames"][0]] = files
        return Answer(body={"id": f"{REGISTRY}/runs/{run}", "properties": {"runId": run, "status": "Queued"}})

    def _run(self, request: Request) -> Answer:
        status, looks = self.runs[request.names["run"]]
        self.runs[request.names["run"]] = (status, looks - 1)
        return Answer(body={"properties": {"status": "Running" if looks > 0 else status}})

    def _log_url(self, request: Request) -> Answer:
        path = f"logs/{request.names['run']}"
        self.azure.azurite.container(self.azure.container).upload_blob(path, self.build_log, overwrite=True)
        return Answer(body={"logLink": self._blob(path)})

    def _at(self, handler: Callable[[Spot, Request], Answer]) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            spot = self.spots.get(_name(request))
            return _NONE if spot is None else handler(spot, request)

        return answer

    def _sites(self) -> Iterator[str]:
        return (name for name in self.spots if "/" not in name)

    def _deployment(self, name: str) -> str:
        return self.spots[name].settings.get("LLMOPS_DEPLOYMENT", "production")

    def _sku(self, name: str) -> str:
        plan = self.spots[name.partition("/")[0]].body["properties"]["serverFarmId"].rpartition("/")[2]
        return str(self.plans[plan]["sku"]["name"])


def _name(request: Request) -> str:
    slot = request.names.get("slot")
    return f"{request.names['site']}/slots/{slot}" if slot else request.names["site"]


def _list(name: str) -> Callable[[Spot, Request], Answer]:
    return lambda spot, _: Answer(body={"properties": spot.settings if name == "appsettings" else spot.strings})


def add_web(azure: Emulator) -> Web:
    """Add App Service and a registry to an emulator."""
    web = Web(azure)
    web.add()
    return web
