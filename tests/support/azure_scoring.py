"""What is served behind the emulated endpoints: requests go to a deployment as the traffic says, or as they ask."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from azure_endpoint_routes import key_of, token_of
from azure_routes import Answer, Request, Routes, error
from azure_state import State
from azure_tls import REGION

HOST = f"{{endpoint}}.{REGION}.inference.ml.azure.com"
Served = Callable[[Any], Any] | str
"""A flow: a function of the request's body, or the address of a server that the body is sent to.

What the function raises is an answer 400, as of `pf flow serve`; it may return an ``Answer`` of its own.
"""


def echo(body: Any) -> Any:
    """Serve a flow that answers with what it was asked."""
    return {"answer": body}


@dataclass(slots=True)
class Scoring:
    """Who answers for the deployments of the emulated endpoints; ``other`` does where nobody was named."""

    state: State
    served: dict[tuple[str, str], Served] = field(default_factory=dict)
    other: Served = echo
    asked: Iterator[int] = field(default_factory=itertools.count)

    def add(self, routes: Routes) -> None:
        """Add the routes of what is served."""
        for path in ("", "/api/v1/endpoint/{name}"):
            routes.add("POST", HOST, f"{path}/score", self._score)
            # Nothing but the scoring route is let through to the container.
            routes.add("GET", HOST, f"{path}/health", lambda _: error(404, "NotFound", "No such route."))

    def _score(self, request: Request) -> Answer:
        endpoint = request.names["endpoint"]
        with self.state.lock:
            found = self.state.resources.get(f"onlineEndpoints/{endpoint}")
            if found is None:
                return error(404, "NotFound", "No such endpoint.")
            if not _is_allowed(endpoint, found, request.headers.get("authorization", "").removeprefix("Bearer ")):
                return error(401, "Unauthorized", "The key or token is not valid.")
            deployment = request.headers.get("azureml-model-deployment") or self._chosen(endpoint)
            state = self.state.deployments(endpoint).get(deployment)
        if not deployment or state is None:
            return error(404, "NotFound", "The endpoint does not have any valid deployment with positive weight.")
        if state != "Succeeded":
            return error(503, "ServiceUnavailable", f"Deployment {deployment} is not ready.")
        return _asked(self.served.get((endpoint, deployment), self.other), request, deployment)

    def _chosen(self, endpoint: str) -> str:
        """Return whose turn it is: any 100 requests in a row are shared exactly as the traffic says."""
        place = next(self.asked) * 37 % 100
        for name, share in sorted(self.state.traffic(endpoint).items()):
            place -= share
            if place < 0:
                return name
        return ""


def _is_allowed(endpoint: str, resource: Mapping[str, Any], secret: str) -> bool:
    """Tell whether a key or token is of the kind that an endpoint takes."""
    mode = resource["properties"].get("authMode", "").lower()
    if mode == "aadtoken":
        return audience(secret) == "https://ml.azure.com"
    return secret in ({key_of(endpoint), f"{key_of(endpoint)}-2"} if mode == "key" else {token_of(endpoint)})


def audience(token: str) -> str:
    """Return whom an access token is for; empty for text that is none."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    except (IndexError, ValueError):
        return ""
    return str(claims.get("aud", ""))


def _asked(served: Served, request: Request, deployment: str) -> Answer:
    if isinstance(served, str):
        # Past the proxy: what is really served is on loopback.
        direct = requests.Session()
        direct.trust_env = False
        headers = {"Content-Type": "application/json"}
        answer = direct.post(served, data=request.body, headers=headers, timeout=60)
        return Answer(status=answer.status_code, body=answer.content, note=deployment)
    try:
        body = served(json.loads(request.body))
    except Exception as problem:
        return Answer(status=400, body={"error": {"code": "UserError", "message": str(problem)}}, note=deployment)
    return body if isinstance(body, Answer) else Answer(body=body, note=deployment)
