"""Online endpoints and deployments of the emulated workspace, managed and on Kubernetes alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from azure_routes import WORKSPACE, Answer, Request, Routes, error
from azure_state import State, missing
from azure_tls import ARM, REGION

ENDPOINT = f"{WORKSPACE}/onlineEndpoints/{{endpoint}}"
DEPLOYMENT = f"{ENDPOINT}/deployments/{{deployment}}"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
CRASHED = """Traceback (most recent call last):
  File "/app/start.py", line 3, in <module>
ModuleNotFoundError: No module named 'missing_package'
"""


def add_endpoints(routes: Routes, state: State) -> None:
    """Add the routes of endpoints and deployments."""
    routes.add("GET", ARM, f"{WORKSPACE}/onlineEndpoints", partial(_list, state))
    routes.add("GET", ARM, ENDPOINT, partial(_get, state))
    routes.add("PUT", ARM, ENDPOINT, partial(_put_endpoint, state))
    routes.add("DELETE", ARM, ENDPOINT, partial(_delete_endpoint, state))
    routes.add("POST", ARM, f"{ENDPOINT}/listKeys", partial(_keys, state))
    routes.add("POST", ARM, f"{ENDPOINT}/token", partial(_token, state))
    routes.add("GET", ARM, f"{ENDPOINT}/deployments", partial(_deployments, state))
    routes.add("GET", ARM, DEPLOYMENT, partial(_get, state))
    routes.add("PUT", ARM, DEPLOYMENT, partial(_put_deployment, state))
    routes.add("PATCH", ARM, DEPLOYMENT, partial(_tag_deployment, state))
    routes.add("DELETE", ARM, DEPLOYMENT, partial(_delete_deployment, state))
    routes.add("POST", ARM, f"{DEPLOYMENT}/getLogs", partial(_logs, state))


def key_of(endpoint: str) -> str:
    """Return the key that an endpoint's requests need."""
    return f"key-of-{endpoint}"


def token_of(endpoint: str) -> str:
    """Return the token that an endpoint's requests need where it takes tokens."""
    return f"token-of-{endpoint}"


def _list(state: State, request: Request) -> Answer:
    return Answer(body={"value": state.below(request.label)})


def _get(state: State, request: Request) -> Answer:
    found = state.resources.get(request.label)
    return Answer(body=found) if found else missing(request)


def _deployments(state: State, request: Request) -> Answer:
    if f"onlineEndpoints/{request.names['endpoint']}" not in state.resources:
        return missing(request)
    return _list(state, request)


def _put_endpoint(state: State, request: Request) -> Answer:
    """Create or replace an endpoint: what a request leaves out, traffic too, is gone."""
    address, name = request.label, request.names["endpoint"]
    wanted = request.json["properties"]
    shares = wanted.get("traffic") or {}
    refused = _refusal(state, address, name) or _refused_traffic(state, name, shares)
    if refused:
        return refused
    before = state.resources.get(address)
    path = f"api/v1/endpoint/{name}/score" if wanted.get("compute") else "score"
    host = f"https://{name}.{REGION}.inference.ml.azure.com"
    properties = {"properties": {}, **wanted} | {
        "scoringUri": f"{host}/{path}",
        "swaggerUri": f"{host}/swagger.json",
        "provisioningState": "Updating" if before else "Creating",
        "traffic": before["properties"]["traffic"] if before else {},
    }
    identity = {"principalId": "7d1c0f7e-0000-4000-8000-000000000003", **(request.json.get("identity") or {})}
    kept = state.put(address, request.json | {"properties": properties, "identity": identity})
    headers = state.begin(address, request, partial(_endpoint_done, state, name, shares))
    return Answer(status=200 if before else 201, body=kept, headers=headers)


def _endpoint_done(state: State, name: str, shares: Mapping[str, int], fault: str) -> None:
    properties = state.resources[f"onlineEndpoints/{name}"]["properties"]
    properties["provisioningState"] = "Failed" if fault else "Succeeded"
    if not fault and properties["traffic"] != shares:
        properties["traffic"] = dict(shares)
        told = ", ".join(f"{deployment} {share}" for deployment, share in sorted(shares.items())) or "none"
        state.log.append(f"traffic {name}: {told}")


def _refusal(state: State, address: str, name: str) -> Answer | None:
    if not _NAME.fullmatch(name):
        return error(400, "BadArgument", f"The name {name} is not allowed.")
    if state.busy(address):
        return error(409, "Conflict", f"Another operation on {name} is in progress.")
    return None


def _refused_traffic(state: State, endpoint: str, shares: Mapping[str, Any]) -> Answer | None:
    unknown = sorted(set(shares) - set(state.deployments(endpoint)))
    if unknown:
        return error(400, "BadArgument", f"Traffic names deployments that do not exist: {', '.join(unknown)}.")
    if sum(map(int, shares.values())) not in {0, 100}:
        return error(400, "BadArgument", "The traffic of an endpoint must add up to 0 or 100 percent.")
    return None


def _delete_endpoint(state: State, request: Request) -> Answer:
    address = request.label
    if address not in state.resources:
        return Answer(status=204)

    def finish(fault: str) -> None:
        if not fault:
            for key in [key for key in state.resources if key == address or key.startswith(f"{address}/")]:
                del state.resources[key]

    return Answer(status=202, headers=state.begin(address, request, finish))


def _keys(state: State, request: Request) -> Answer:
    name = request.names["endpoint"]
    if f"onlineEndpoints/{name}" not in state.resources:
        return missing(request)
    return Answer(body={"primaryKey": key_of(name), "secondaryKey": f"{key_of(name)}-2"})


def _token(state: State, request: Request) -> Answer:
    name = request.names["endpoint"]
    if f"onlineEndpoints/{name}" not in state.resources:
        return missing(request)
    times = {"expiryTimeUtc": 4_102_444_800, "refreshAfterTimeUtc": 4_102_441_200}
    return Answer(body={"accessToken": token_of(name), "tokenType": "Bearer", **times})


def _put_deployment(state: State, request: Request) -> Answer:
    address, endpoint = request.label, f"onlineEndpoints/{request.names['endpoint']}"
    if endpoint not in state.resources:
        return missing(request)
    properties = request.json["properties"]
    refused = _refusal(state, address, request.names["deployment"]) or _refused_parts(state, properties)
    if refused:
        return refused
    before = state.resources.get(address)
    new = {"provisioningState": "Updating" if before else "Creating"}
    defaults = {"properties": {}, "scaleSettings": {"scaleType": "Default"}}
    kept = state.put(address, request.json | {"properties": defaults | properties | new})
    state.logs[address] = CRASHED if request.fault == "unhealthy" else "Healthy\n"

    def finish(fault: str) -> None:
        kept["properties"]["provisioningState"] = "Failed" if fault else "Succeeded"

    headers = state.begin(address, request, finish)
    return Answer(status=200 if before else 201, body=kept, headers=headers)


def _tag_deployment(state: State, request: Request) -> Answer:
    """Replace the tags of a deployment, and nothing else."""
    address = request.label
    kept = state.resources.get(address)
    refused = _refusal(state, address, request.names["deployment"])
    if kept is None or refused:
        return refused or missing(request)

    kept["properties"]["provisioningState"] = "Updating"

    def finish(fault: str) -> None:
        kept["properties"]["provisioningState"] = "Succeeded"
        if not fault:
            kept["tags"] = request.json["tags"]

    return Answer(status=202, headers=state.begin(address, request, finish))


def _refused_parts(state: State, properties: Mapping[str, Any]) -> Answer | None:
    """Refuse a deployment of a model or an environment that the workspace does not have."""
    for part in ("model", "environmentId"):
        address = (properties.get(part) or "").removeprefix(f"{state.workspace.id}/")
        if address.startswith(("models/", "environments/")) and address not in state.resources:
            return error(400, "BadArgument", f"{part}: {address} does not exist.")
    return None


def _delete_deployment(state: State, request: Request) -> Answer:
    address, endpoint, name = request.label, request.names["endpoint"], request.names["deployment"]
    if address not in state.resources:
        return Answer(status=204)
    if state.traffic(endpoint).get(name):
        return error(400, "BadArgument", f"Deployment {name} has traffic and can't be deleted.")

    def finish(fault: str) -> None:
        if not fault:
            state.resources.pop(address, None)
            state.resources[f"onlineEndpoints/{endpoint}"]["properties"]["traffic"].pop(name, None)

    return Answer(status=202, headers=state.begin(address, request, finish))


def _logs(state: State, request: Request) -> Answer:
    address = request.label.removesuffix("/getLogs")
    if address not in state.resources:
        return missing(request)
    lines = state.logs.get(address, "").splitlines(keepends=True)
    return Answer(body={"content": "".join(lines[-int((request.json or {}).get("tail") or len(lines) or 1) :])})


def place(state: State, endpoint: str, traffic: Mapping[str, int], tags: Mapping[str, str] | None = None) -> None:
    """Let an endpoint be there already, with a deployment for each that the traffic names; 0 is a share, too."""
    host = f"https://{endpoint}.{REGION}.inference.ml.azure.com"
    properties = {
        "authMode": "Key",
        "properties": {},
        "scoringUri": f"{host}/score",
        "provisioningState": "Succeeded",
        "traffic": {name: share for name, share in traffic.items() if share},
    }
    state.put(f"onlineEndpoints/{endpoint}", {"location": REGION, "properties": properties})
    for name in traffic:
        made = {"endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "provisioningState": "Succeeded"}
        properties = made | {"properties": {}, "scaleSettings": {"scaleType": "Default"}}
        size = {"name": "Default", "capacity": 1}
        body = {"location": REGION, "sku": size, "tags": tags, "properties": properties}
        state.put(f"onlineEndpoints/{endpoint}/deployments/{name}", body)
