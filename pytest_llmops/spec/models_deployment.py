"""The shape of ``llmops.deployment``: how the flow is deployed to one environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from pytest_llmops.durations import parse_duration
from pytest_llmops.records.deployment import AuthMode, EndpointKind, OnFailure
from pytest_llmops.spec.shapes import Block, Property, Text, Texts


def _duration(value: object) -> object:
    parse_duration(str(value))
    return value


def _positive(value: str) -> str:
    if not parse_duration(value):
        raise ValueError("is no time at all; write how long it may take, such as 30m")
    return value


def _ascending(value: list[int]) -> list[int]:
    if sorted(set(value)) != value:
        raise ValueError("the shares don't grow from step to step; write them in ascending order, each once")
    return value


Duration = Annotated[str, BeforeValidator(_duration)]
Timeout = Annotated[Duration, AfterValidator(_positive)]
Percent = Annotated[int, Field(ge=1, le=100)]


class DeploymentBlock(Block):
    """A managed or Kubernetes online endpoint, or a web app, and the deployment that is made at it."""

    # What is required depends on the kind: see spec.deployment.
    kind: EndpointKind = Field(default="managed", description="What serves the flow")
    endpoint: Text | None = Field(default=None, description="Name of the online endpoint or the web app")
    endpoint_description: str | None = None
    deployment: Text | None = Field(default=None, description="Name of the deployment; made of the flow's by default")
    description: str | None = None
    auth: AuthMode = Field(default="key", description="How callers of an online endpoint log in")
    identity: Text | None = Field(
        default=None, description="User-assigned identity: its resource id, or, of a web app, its name"
    )
    instance_type: Text | None = Field(default=None, description="Size of the virtual machines, or instance type")
    instance_count: int = Field(default=1, ge=1)
    environment_variables: dict[str, Property] | None = Field(
        default=None, description="Variables of the deployment; ${NAME} is read from the environment"
    )
    connections: Texts | None = Field(default=None, description="Connections of the workspace that the flow needs")
    sample: Text | None = Field(default=None, description="Path of a request to test the deployment with")
    prior: Text | None = Field(default=None, description="Deployment that gets the rest of the traffic")
    traffic: Annotated[list[Percent], Field(min_length=1), AfterValidator(_ascending)] = Field(
        default=[100], description="Shares of the traffic, in percent, that it gets one after the other"
    )
    pause: Duration = Field(default="0s", description="How long each share but the last is watched")
    timeout: Timeout = Field(default="1h", description="How long the deployment may take to get healthy")
    on_failure: OnFailure = Field(default="delete", description="What becomes of a deployment that failed")
    compute: Text | None = Field(default=None, description="Attached Kubernetes compute")
    cpu: Property | None = Field(default=None, description="CPUs of a Kubernetes instance, such as 0.5 or 500m")
    memory: Property | None = Field(default=None, description="Memory of a Kubernetes instance, such as 500Mi")
    registry: Text | None = Field(default=None, description="Container registry of the web app's image")
    registry_resource_group: Text | None = None
    resource_group: Text | None = Field(default=None, description="Resource group of the web app")
    plan: Text | None = Field(default=None, description="App Service plan of the web app")
    sku: Text | None = Field(default=None, description="Pricing tier of a plan that is created, such as P0V3")
