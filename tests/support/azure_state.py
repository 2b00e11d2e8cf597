"""What the emulated workspace holds: resources as Azure Resource Manager words them, and operations that take time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from azure_faults import ENDINGS
from azure_routes import Answer, Request, error
from azure_tls import ARM

from pytest_llmops.records.cloud import Workspace

Resource = dict[str, Any]
_PROVIDER = "Microsoft.MachineLearningServices/workspaces"
_BY = {"By": "build", "ByType": "Application", "At": "2026-09-01T08:00:00.000000Z"}
_SYSTEM_DATA = {f"{what}{key}": value for what in ("created", "lastModified") for key, value in _BY.items()}
_KEPT = {"properties", "location", "kind", "identity", "sku"}


@dataclass(slots=True, kw_only=True)
class Operation:
    """A long-running operation on a resource. It ends by itself at ``due``, in seconds of the monotonic clock."""

    target: str
    due: float
    fault: str
    finish: Callable[[str], None]
    """Called once at the end, with the fault or nothing."""
    ended: bool = False

    def body(self) -> Mapping[str, Any]:
        """Return its state as Azure tells it."""
        if not self.ended:
            return {"status": "InProgress"}
        if not self.fault:
            return {"status": "Succeeded"}
        code, message = ENDINGS[self.fault]
        return {"status": "Failed", "error": {"code": code, "message": message}}


@dataclass(slots=True, kw_only=True)
class State:
    """All that the emulator knows. Resources are kept by their address below the workspace.

    ``seconds`` is how long an operation takes. ``log`` is for people: a line for every request and change of traffic.
    """

    workspace: Workspace
    seconds: float = 0.02
    resources: dict[str, Resource] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    """What a deployment's container has printed, by the deployment's address."""
    log: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, address: str, body: Mapping[str, Any]) -> Resource:
        """Keep a resource, whole; the one that was there is replaced."""
        parts = address.split("/")
        kept = {
            "id": f"{self.workspace.id}/{address}",
            "name": parts[-1],
            "type": "/".join([_PROVIDER, *parts[0::2]]),
            "tags": body.get("tags") or {},
            "systemData": _SYSTEM_DATA,
            **{key: value for key, value in body.items() if key in _KEPT},
        }
        self.resources[address] = kept
        return kept

    def below(self, address: str) -> list[Resource]:
        """Return the resources directly below an address, oldest first."""
        prefix = f"{address}/"
        found = [key for key in self.resources if key.startswith(prefix) and "/" not in key.removeprefix(prefix)]
        return [self.resources[key] for key in found]

    def traffic(self, endpoint: str) -> dict[str, int]:
        """Return an endpoint's traffic, without those that have none."""
        self.settle()
        shares = self.resources[f"onlineEndpoints/{endpoint}"]["properties"]["traffic"]
        return {name: share for name, share in shares.items() if share}

    def deployments(self, endpoint: str) -> dict[str, str]:
        """Return the deployments of an endpoint with their provisioning state."""
        self.settle()
        found = self.below(f"onlineEndpoints/{endpoint}/deployments")
        return {resource["name"]: resource["properties"]["provisioningState"] for resource in found}

    def begin(self, target: str, request: Request, finish: Callable[[str], None]) -> Mapping[str, str]:
        """Begin an operation on the resource at ``target`` and return the headers that tell where to look after it."""
        number = str(next(self.numbers))
        due = time.monotonic() + self.seconds
        self.operations[number] = Operation(target=target, due=due, fault=request.fault, finish=finish)
        address = f"https://{ARM}{self.workspace.id}/mfeOperationsStatus/{number}?api-version=2023-04-01-preview"
        return {"Azure-AsyncOperation": address, "retry-after-ms": "20"}

    def busy(self, target: str) -> bool:
        """Whether an operation on the resource is under way."""
        return any(operation.target == target and not operation.ended for operation in self.operations.values())

    def settle(self) -> None:
        """End the operations whose time has come."""
        with self.lock:
            for operation in self.operations.values():
                if not operation.ended and time.monotonic() >= operation.due:
                    operation.ended = True
                    operation.finish(operation.fault)

    def operation(self, request: Request) -> Answer:
        """Answer how an operation stands."""
        found = self.operations.get(request.names["operation"])
        if found is None:
            return error(404, "NotFound", "The operation was not found.")
        note = f"{found.target} {found.body()['status']}"
        return Answer(body=found.body(), headers={"retry-after-ms": "20"}, note=note, quiet=not found.ended)


def missing(request: Request) -> Answer:
    """Say that what a request is about does not exist."""
    return error(404, "ResourceNotFound", f"The Resource '{request.label}' was not found.")
