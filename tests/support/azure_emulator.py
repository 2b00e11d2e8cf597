"""An emulator of Azure on loopback, for the real SDKs and unchanged product code.

It is our reading of Azure, from its documentation and from what the SDKs send and expect: it can show that the product
does what we mean it to, not that Azure takes it. Clients reach it by a proxy and a certificate authority of its own,
both named by environment variables, under the names that Azure's hosts have.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import azure_guard
from azure_asset_routes import add_assets
from azure_blob import Azurite, azurite_program
from azure_control_plane import add_workspace
from azure_endpoint_routes import add_endpoints
from azure_faults import ANSWERS, ENDINGS, LOSSES, Faults, lose
from azure_identity import token
from azure_routes import Answer, Request, Routes, error
from azure_scoring import Scoring, Served
from azure_servers import Proxy, TlsServer, running
from azure_state import State
from azure_tls import ARM, BLOBS, EMULATED, WEB_APPS, Authority

from pytest_llmops.records.cloud import Workspace

WORKSPACE = Workspace(subscription="11111111-2222-3333-4444-555555555555", resource_group="rg-llmops", name="ws-llmops")

_READING = re.compile(r"GET |HEAD |POST .*/(listKeys|listSecrets|token|getLogs) ", re.IGNORECASE)


class Emulator:
    """A workspace with nothing in it. Clients find it while it is ``started`` and ``environ`` is set.

    ``settings`` are more environment variables for them.
    """

    def __init__(self, authority: Authority, azurite: Azurite, settings: Mapping[str, str]) -> None:
        self.state = State(workspace=WORKSPACE)
        self.routes = Routes()
        self.unknown: list[str] = []
        self.azurite = azurite
        self.container = f"c{uuid.uuid4().hex}"
        self._has_container = False
        self.scoring = Scoring(self.state)
        self._authority = authority
        self._settings = settings
        self._faults = Faults()
        self._server = TlsServer(authority.server, self._answer)
        ports = dict.fromkeys(EMULATED, lambda: self._server.server_port)
        self._proxy = Proxy(ports | {BLOBS: self._blobs})
        add_workspace(self.routes, self.state, azurite, self.container)
        add_assets(self.routes, self.state)
        add_endpoints(self.routes, self.state)
        self.scoring.add(self.routes)

    @property
    def log(self) -> list[str]:
        """A line for every request and every change of traffic so far."""
        return self.state.log

    @property
    def changes(self) -> list[str]:
        """The lines of the log that are not about reading."""
        return [line for line in self.log if not _READING.match(line)]

    @property
    def refused(self) -> list[str]:
        """Hosts that were asked for and are not emulated."""
        return self._proxy.refused

    @property
    def escaped(self) -> list[str]:
        """Hosts that other processes tried to reach past the proxy."""
        notes = Path(self._settings[azure_guard.NOTES])
        return notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that lead here, for this process and others."""
        proxy = f"http://127.0.0.1:{self._proxy.server_port}"
        bundle = str(self._authority.bundle)
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy)
        return {
            **proxies,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            **dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), bundle),
            "LLMOPS_SUBSCRIPTION": WORKSPACE.subscription,
            "LLMOPS_RESOURCE_GROUP": WORKSPACE.resource_group,
            "LLMOPS_WORKSPACE": WORKSPACE.name,
            **self._settings,
        }

    def fail(self, method: str, pattern: str, how: str, *, times: int = 1, after: int = 0) -> None:
        """Let requests go wrong whose label (see ``log``) has the pattern; ``how`` is one of ``azure_faults``."""
        self._faults.add(method, pattern, how, times, after)

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.planned.clear()

    def serve(self, served: Served, endpoint: str = "", deployment: str = "") -> None:
        """Say what answers requests to a deployment; without one, to all that nothing was said of."""
        if deployment:
            self.scoring.served[endpoint, deployment] = served
        else:
            self.scoring.other = served

    def client(self) -> Any:
        """Return a client of the product that is logged in to the workspace."""
        from pytest_llmops.azure.clients import connect

        return connect(WORKSPACE, Credential())

    def _blobs(self) -> int | None:
        """Return where Azurite is, with the container of this workspace made; None where it is not installed."""
        if azurite_program() is None:
            return None
        with self.state.lock:
            if not self._has_container:
                self.azurite.create_container(self.container)
                self._has_container = True
        return self.azurite.port

    @contextmanager
    def started(self) -> Iterator[None]:
        """Serve for as long as it is needed."""
        with ExitStack() as stack:
            stack.enter_context(running(self._server))
            stack.enter_context(running(self._proxy))
            try:
                yield
            finally:
                self._conclude()

    def _conclude(self) -> None:
        """End what is under way: threads of the SDK ask how it stands until it has ended, and would ask Azure next."""
        under_way = [operation for operation in self.state.operations.values() if not operation.ended]
        for operation in under_way:
            operation.due = 0
        if under_way:
            time.sleep(0.2)

    def _answer(self, request: Request) -> Answer:
        """Answer a request, or let it go wrong, and log it."""
        with self.state.lock:
            self.state.settle()
            fault = self._faults.take(request)
        if fault in {"drop", "hang"}:
            self.log.append(f"{request.method} {request.label} -> connection lost")
            lose(fault)
        ending = fault if fault in ENDINGS else ""
        answer = ANSWERS[fault]() if fault in ANSWERS else self._handled(replace(request, fault=ending))
        if not answer.quiet:
            outcome = f"{answer.status} {answer.note}".rstrip()
            self.log.append(f"{request.method} {request.label} -> {outcome}{', answer lost' * (fault in LOSSES)}")
        if fault in LOSSES:
            lose(fault)
        return answer

    def _handled(self, request: Request) -> Answer:
        if "authorization" not in request.headers and not request.host.endswith(WEB_APPS[1:]):
            return error(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        nowhere = _nowhere(request.path)
        if nowhere:
            return nowhere
        found = self.routes.find(request.method, request.host, request.path)
        if found is None:
            self.unknown.append(f"{request.method} {request.host}{request.path}")
            return error(501, "NotEmulated", f"The emulator has no answer for {request.method} {request.label}.")
        handler, names = found
        # What is served takes its time; the control plane does one thing at a time.
        with self.state.lock if request.host == ARM else nullcontext():
            return handler(replace(request, names=names))


def _nowhere(path: str) -> Answer | None:
    """Say what of a path does not exist: its subscription, or the resource group or name of its workspace."""
    named = {key.lower(): value for key, value in pairwise(path.split("/"))}
    subscription, group, name = (named.get(key, "") for key in ("subscriptions", "resourcegroups", "workspaces"))
    if subscription and subscription.lower() != WORKSPACE.subscription:
        return error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    if name and group.lower() != WORKSPACE.resource_group:
        return error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    if name and name.lower() != WORKSPACE.name:
        resource = f"Microsoft.MachineLearningServices/workspaces/{name}"
        told = f"The Resource '{resource}' under resource group '{group}' was not found."
        return error(404, "ResourceNotFound", told)
    return None


def quiet(folder: Path) -> dict[str, str]:
    """Return environment variables that keep SDKs quiet and other processes on loopback; their files in a folder."""
    (folder / "pf.yaml").write_text("telemetry:\n  enabled: false\ntrace:\n  destination: none\n", encoding="utf-8")
    shutil.copy(azure_guard.__file__, folder / "sitecustomize.py")
    modules = filter(None, (str(folder), os.environ.get("PYTHONPATH")))
    return {
        "PYTHONPATH": os.pathsep.join(modules),
        azure_guard.NOTES: str(folder / "connections.txt"),
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "PF_TRACING_SKIP_LOCAL_SETUP": "true",
        "PF_HOME_DIRECTORY": str(folder),
    }


@contextmanager
def emulated(folder: Path) -> Iterator[Emulator]:
    """Run an emulator for a script: its files in a folder, and this process led to it by its environment."""
    authority = Authority(folder)
    azurite = Azurite(authority)
    emulator = Emulator(authority, azurite, quiet(folder))
    before = dict(os.environ)
    try:
        with emulator.started():
            os.environ.update(emulator.environ)
            yield emulator
    finally:
        os.environ.clear()
        os.environ.update(before)
        azurite.stop()


class Credential:
    """A login that always works: tokens are JWTs for the scope that is asked for, not signed by anybody."""

    def get_token(self, *scopes: str, **_: Any) -> Any:
        """Return an access token of an hour."""
        from azure.core.credentials import AccessToken

        return AccessToken(token(scopes[0]), int(time.time()) + 3600)
