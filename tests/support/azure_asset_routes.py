"""Assets of the emulated workspace: data, models and environments, each in versions."""

from __future__ import annotations

from functools import partial
from typing import Any

from azure_routes import WORKSPACE, Answer, Request, Routes, error
from azure_state import Resource, State, missing
from azure_tls import ARM

_CONTENT = {"data": "dataUri", "models": "modelUri", "environments": "image"}
"""Property of a version that can't be changed."""
_DEFAULTS: dict[str, dict[str, Any]] = {"models": {"flavors": {}}}
"""What Azure's answers always have, and the SDK relies on."""


def add_assets(routes: Routes, state: State) -> None:
    """Add the routes of all kinds of assets."""
    for kind in _CONTENT:
        base = f"{WORKSPACE}/{kind}"
        routes.add("GET", ARM, base, partial(_containers, state, kind))
        routes.add("GET", ARM, f"{base}/{{name}}", partial(_container, state, kind))
        routes.add("GET", ARM, f"{base}/{{name}}/versions", partial(_versions, state, kind))
        routes.add("GET", ARM, f"{base}/{{name}}/versions/{{version}}", partial(_version, state))
        routes.add("PUT", ARM, f"{base}/{{name}}/versions/{{version}}", partial(_put, state, kind))


def _containers(state: State, kind: str, _: Request) -> Answer:
    names = sorted({address.split("/")[1] for address in state.resources if address.startswith(f"{kind}/")})
    return Answer(body={"value": [_container_of(state, kind, name) for name in names]})


def _container(state: State, kind: str, request: Request) -> Answer:
    found = _container_of(state, kind, request.names["name"])
    return Answer(body=found) if found else missing(request)


def _container_of(state: State, kind: str, name: str) -> Resource | None:
    versions = state.below(f"{kind}/{name}/versions")
    if not versions:
        return None
    numbers = [int(version["name"]) for version in versions if version["name"].isdecimal()]
    return {
        "id": f"{state.workspace.id}/{kind}/{name}",
        "name": name,
        "systemData": versions[0]["systemData"],
        "properties": {
            "latestVersion": versions[-1]["name"],
            "nextVersion": str(max(numbers, default=0) + 1),
            "dataType": versions[-1]["properties"].get("dataType"),
            "tags": {},
            "isArchived": False,
        },
    }


def _versions(state: State, kind: str, request: Request) -> Answer:
    """List versions, newest first if so asked. A model that has none is an empty list, as of an unknown one."""
    found = state.below(f"{kind}/{request.names['name']}/versions")
    newest_first = "desc" in request.query.get("$orderBy", "").lower()
    ordered = found[::-1] if newest_first else found
    return Answer(body={"value": ordered[: int(request.query.get("$top", len(ordered)))]})


def _version(state: State, request: Request) -> Answer:
    found = state.resources.get(request.label)
    return Answer(body=found) if found else missing(request)


def _put(state: State, kind: str, request: Request) -> Answer:
    before = state.resources.get(request.label)
    properties = _DEFAULTS.get(kind, {}) | request.json["properties"]
    content = _CONTENT[kind]
    if before and before["properties"].get(content) != properties.get(content):
        return error(409, "UserError", f"{request.label} exists; a version can't be changed.")
    kept = state.put(request.label, {"properties": properties})
    return Answer(status=200 if before else 201, body=kept)
