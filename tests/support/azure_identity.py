"""Where the real azure-identity logs in on this machine: a token endpoint on loopback, and an Azure CLI on PATH."""

from __future__ import annotations

import base64
import json
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from azure_routes import Answer, Request
from azure_servers import TlsServer, running
from azure_tls import Authority

TENANT = "aaaaaaaa-0000-0000-0000-00000000000a"
CLIENT = "bbbbbbbb-0000-0000-0000-00000000000b"
CONNECTION = "cccccccc-0000-0000-0000-00000000000c"
SCOPE = "https://management.azure.com/.default"
ML_SCOPE = "https://ml.azure.com/.default"
SYSTEM_TOKEN = "system-access-token-of-the-job"
NOT_LOGGED_IN = "ERROR: Please run 'az login' to setup account."
EXPIRED = """\
ERROR: AADSTS700082: The refresh token has expired due to inactivity. The token was issued on 2026-01-01T00:00:00Z.
Trace ID: 1 Correlation ID: 2
Interactive authentication is needed. Please run:
az login --scope https://management.core.windows.net//.default
"""


def token(audience: str = SCOPE) -> str:
    """Return an access token as Entra makes them, but for its signature."""
    expiry = int(time.time()) + 3600
    claims = {"aud": audience.removesuffix("/.default"), "oid": "build", "tid": TENANT, "exp": expiry}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)] + [b"unsigned"]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@dataclass(slots=True)
class Directory:
    """Microsoft Entra, the OIDC endpoint of Azure Pipelines, and the identity endpoint of a virtual machine.

    ``refuse`` maps the first part of a path (a tenant, ``oidc``, ``metadata``) to the answer given in place of a token.
    """

    authority: Authority
    requests: list[Request] = field(default_factory=list)
    refuse: dict[str, Answer] = field(default_factory=dict)
    url: str = ""

    @contextmanager
    def started(self) -> Iterator[None]:
        """Serve for as long as it is needed."""
        server = TlsServer(self.authority.server, self._answer)
        self.url = f"https://127.0.0.1:{server.server_port}"
        with running(server):
            yield

    @property
    def environ(self) -> dict[str, str]:
        """Variables that have clients log in here."""
        return {
            "AZURE_AUTHORITY_HOST": self.url,
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url,
            "REQUESTS_CA_BUNDLE": str(self.authority.bundle),
        }

    @property
    def of_the_agent(self) -> dict[str, str]:
        """Variables of a job in Azure Pipelines that has a service connection, with its token mapped."""
        return {
            "TF_BUILD": "True",
            "SYSTEM_OIDCREQUESTURI": f"{self.url}/oidc",
            "SYSTEM_ACCESSTOKEN": SYSTEM_TOKEN,
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": CONNECTION,
            "AZURESUBSCRIPTION_CLIENT_ID": CLIENT,
            "AZURESUBSCRIPTION_TENANT_ID": TENANT,
        }

    def form(self) -> dict[str, str]:
        """Return the fields of the last request for a token."""
        return {name: values[0] for name, values in parse_qs(self.requests[-1].body.decode()).items()}

    def _answer(self, request: Request) -> Answer:
        self.requests.append(request)
        kind = request.path.strip("/").partition("/")[0]
        if kind in self.refuse:
            return self.refuse[kind]
        if kind == "oidc":
            return Answer(body={"oidcToken": "oidc-token-of-the-job"})
        expiry = {"expires_in": 3600, "expires_on": str(int(time.time()) + 3600)}
        return Answer(body={"access_token": token(), "token_type": "Bearer", "resource": SCOPE, **expiry})


def install_az(folder: Path, *, error: str = "", output: str = "") -> Path:
    """Put an ``az`` into a folder that gives tokens, or fails, or prints something; ``az.log`` counts its calls."""
    program = folder / "az"
    (folder / "answer").write_text(error or output or _login(SCOPE), encoding="utf-8")
    (folder / "answer-ml").write_text(error or output or _login(ML_SCOPE), encoding="utf-8")
    choice = 'case "$*" in *ml.azure.com*) answer=answer-ml;; *) answer=answer;; esac\n'
    ending = choice + ("cat '{0}'/$answer >&2; exit 1" if error else "cat '{0}'/$answer")
    program.write_text(f"#!/bin/sh\necho \"$@\" >>'{folder}/az.log'\n{ending.format(folder)}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def _login(scope: str) -> str:
    """Return what the Azure CLI prints of a token."""
    return json.dumps({"accessToken": token(scope), "expires_on": int(time.time()) + 3600, "tenant": TENANT})


def calls_of_az(folder: Path) -> list[str]:
    """Return the arguments of each call of that ``az``."""
    log = folder / "az.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []
