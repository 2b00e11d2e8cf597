"""What is to be deployed, where, and what is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pytest_llmops.errors import Problem
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.kinds import FlowKind

EndpointKind = Literal["managed", "kubernetes", "webapp"]
AuthMode = Literal["key", "aad_token"]
OnFailure = Literal["delete", "keep"]
Traffic = Mapping[str, int]
"""Deployment to its share of an endpoint's requests, in percent. All shares add up to 100, or to 0."""

FLOW_DIGEST = "llmops_flow"
"""Tag of models and deployments: the digest of the flow's files, as in gate.json."""
SETTINGS = "llmops_settings"
"""Tag of a deployment: a digest of the settings that it was made with."""
TRAFFIC_BEFORE = "llmops_traffic_before"
"""Tag of a deployment: the endpoint's traffic, as JSON, when the deployment was made, or last began to get some."""

NOT_SERVED: Mapping[FlowKind, tuple[str, str]] = {
    "callable": (
        "is a Python function, which prompt flow can't serve",
        "add a flow.flex.yaml with 'entry: module:function'",
    ),
    "workflow": (
        "is a workflow of Agent Framework, which prompt flow can't serve",
        "serve it yourself, and evaluate it there with --llmops-backend endpoint",
    ),
}
"""Kinds of flows that can't be deployed: why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """What a Kubernetes deployment needs beside: the attached compute, and resources as Kubernetes writes them."""

    compute: str
    cpu: str
    memory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebApp:
    """Where a container image is kept, and the plan that the web app runs on. ``identity`` is user-assigned."""

    registry: str
    registry_resource_group: str
    resource_group: str
    plan: str
    sku: str
    identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How a flow is deployed to one environment, as a file says it.

    ``endpoint`` is the online endpoint or the web app, ``deployment`` the new deployment; empty, it is named after the
    flow's digest. ``traffic`` are the shares, in percent, that the new deployment gets one after the other; with
    ``prior``, the rest goes to that deployment, else to those that have traffic. ``pause`` is how long each share but
    the last is watched, in seconds, and ``timeout`` how long a deployment may take. ``sample`` is a request to test it
    with. ``connections`` are those of the workspace that the flow needs. ``file`` and ``line`` are where it stands, and
    ``keys`` has, by setting, the key that it was written under and its line. ``notes`` are lines for people about what
    stands there and is not used, or probably not meant.
    """

    env: str
    kind: EndpointKind
    endpoint: str
    deployment: str = ""
    endpoint_description: str = ""
    description: str = ""
    auth: AuthMode = "key"
    identity: str = ""
    instance_type: str = ""
    instance_count: int = 1
    environment_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    connections: tuple[str, ...] = ()
    prior: str = ""
    traffic: tuple[int, ...] = (100,)
    pause: float = 0.0
    timeout: float = 3600.0
    on_failure: OnFailure = "delete"
    sample: Path | None = None
    kubernetes: Kubernetes | None = None
    webapp: WebApp | None = None
    file: str = ""
    line: int = 0
    keys: Mapping[str, tuple[str, int]] = field(default_factory=dict, repr=False, compare=False)
    notes: tuple[str, ...] = ()

    def problem(self, setting: str, what: str, todo: str = "") -> Problem:
        """Describe a problem with one setting, where it was written."""
        key, line = self.keys.get(setting, (setting, self.line))
        return Problem(self.file, line, key, what, todo)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A flow that is registered as a model. ``digest`` is that of its files, ``id`` what Azure calls it."""

    name: str
    version: str
    id: str
    digest: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentState:
    """A deployment as it is. ``state`` is what Azure calls it: ``Succeeded``, ``Failed``, ``Creating`` and others."""

    name: str
    state: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it can take requests."""
        return self.state == "Succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """An endpoint as it is, with its deployments by name. ``traffic`` leaves out those that have none.

    ``changing`` tells whether a change of it is under way.
    """

    name: str
    state: str
    url: str
    changing: bool = False
    traffic: Traffic = field(default_factory=dict)
    deployments: Mapping[str, DeploymentState] = field(default_factory=dict)


class Service(Protocol):
    """Endpoints of one kind in the cloud. What it refuses or fails at is a CloudError; nothing is retried above it."""

    in_place: bool
    """Whether a new deployment takes all traffic as soon as it is made, because there is nowhere to put it beside."""

    def find(self, endpoint: str) -> EndpointState | None:
        """Return an endpoint with its deployments, None where there is none."""

    def list(self) -> list[EndpointState]:
        """Return all endpoints of this kind."""

    def check(self, release: Release) -> None:
        """Look for all that a release needs to be there, before anything is made. It changes nothing."""

    def create_endpoint(self, release: Release) -> None:
        """Make an endpoint that does not exist, without traffic, and wait for it."""

    def create_deployment(self, release: Release, model: ModelVersion, tags: Mapping[str, str]) -> None:
        """Make a deployment, or finish one that failed, and wait until it is healthy. No traffic is moved."""

    def retag(self, endpoint: str, deployment: str, tags: Mapping[str, str]) -> bool:
        """Give a deployment that is there these tags, and touch nothing that runs. Returns whether that can be done."""

    def log(self, endpoint: str, deployment: str, lines: int) -> str:
        """Return the last lines of a deployment's log; empty where there is none."""

    def set_traffic(self, endpoint: str, traffic: Traffic) -> None:
        """Give deployments their shares, those that are not named none, and wait until it is so."""

    def delete_deployment(self, endpoint: str, deployment: str) -> None:
        """Remove a deployment that has no traffic. One that is not there is fine."""

    def address(self, endpoint: str, deployment: str = "") -> Address:
        """Return where to send requests, to one deployment or to whom the traffic says, with a key or token."""
