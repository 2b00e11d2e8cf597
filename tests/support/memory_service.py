"""A Service in memory, which fails where a test says so, and a rollout on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pytest_llmops.deployment.rollout import Rollout
from pytest_llmops.deployment.standing import settings_digest
from pytest_llmops.deployment.takeback import Surroundings
from pytest_llmops.errors import CloudError
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.deployment import (
    FLOW_DIGEST,
    SETTINGS,
    DeploymentState,
    EndpointState,
    ModelVersion,
    Release,
    Traffic,
)

_T = TypeVar("_T")
URL = "https://ner.westeurope.inference.ml.azure.com/score"
RELEASE = Release(
    env="prod", kind="managed", endpoint="ner", deployment="green", traffic=(10, 50, 100), file="config.json", line=3
)
MODEL = ModelVersion(name="ner", version="4", id="azureml:ner:4", digest="new")
OLD = ModelVersion(name="ner", version="3", id="azureml:ner:3", digest="old")


@dataclass
class Fault:
    """What happens at a call: ``error`` is raised, after the call has had its effect where that is said."""

    error: BaseException
    late: bool = False


class MemoryService:
    """Endpoints in memory. Each call is one number, counted from 0; ``faults`` maps numbers to what goes wrong.

    It holds Azure to what is believed of it: traffic adds up to 100 or 0 and goes to what is there, and a deployment
    with traffic is not deleted.
    """

    def __init__(self) -> None:
        self.in_place = False
        self.retags = True
        self.made_state = "Succeeded"
        self.endpoints: dict[str, EndpointState] = {}
        self.calls: list[str] = []
        self.faults: dict[int, Fault] = {}
        self.failing: dict[str, Fault] = {}
        self.meanwhile: dict[str, Callable[[], None]] = {}

    def find(self, endpoint: str) -> EndpointState | None:
        return self._call("find", lambda: self.endpoints.get(endpoint))

    def list(self) -> list[EndpointState]:
        return list(self.endpoints.values())

    def check(self, release: Release) -> None:
        pass

    def create_endpoint(self, release: Release) -> None:
        before = self.endpoints.get(release.endpoint)
        assert before is None or not before.deployments, "an endpoint that works is never put again"
        self._call(
            "create endpoint", lambda: self._put(EndpointState(name=release.endpoint, state="Succeeded", url=URL))
        )

    def create_deployment(self, release: Release, model: ModelVersion, tags: Mapping[str, str]) -> None:
        made = DeploymentState(name=release.deployment, state=self.made_state, tags=dict(tags))
        self._call(f"create {made.name}", lambda: self._make(release.endpoint, made))

    def retag(self, endpoint: str, deployment: str, tags: Mapping[str, str]) -> bool:
        known = self.endpoints[endpoint].deployments[deployment]
        if self.retags:
            self._call(f"retag {deployment}", lambda: self._with(endpoint, replace(known, tags=dict(tags))))
        return self.retags

    def log(self, endpoint: str, deployment: str, lines: int) -> str:
        return self._call("log", lambda: "starting\nKeyError: 'AOAI'\n")

    def set_traffic(self, endpoint: str, traffic: Traffic) -> None:
        self._call(f"traffic {dict(traffic)}", lambda: self._move(endpoint, traffic))

    def delete_deployment(self, endpoint: str, deployment: str) -> None:
        self._call(f"delete {deployment}", lambda: self._without(endpoint, deployment))

    def address(self, endpoint: str, deployment: str = "") -> Address:
        return self._call("address", lambda: Address(url=URL, deployment=deployment, token="k"))

    def traffic(self, endpoint: str = "ner") -> Traffic:
        """Traffic as it is."""
        return {name: share for name, share in self.endpoints[endpoint].traffic.items() if share}

    def holds(self, traffic: Traffic, *deployments: DeploymentState) -> None:
        """Put an endpoint there, with its deployments and traffic."""
        known = {deployment.name: deployment for deployment in deployments}
        self._put(EndpointState(name="ner", state="Succeeded", url=URL, traffic=dict(traffic), deployments=known))

    def changed(self) -> Sequence[str]:
        """Calls that changed something, or tried to."""
        return [call for call in self.calls if call not in ("find", "log", "address")]

    def _call(self, name: str, effect: Callable[[], _T]) -> _T:
        number = len(self.calls)
        self.calls.append(name)
        if (event := self.meanwhile.pop(name, None)) is not None:
            event()
        fault = self.faults.get(number) or self.failing.get(name)
        if fault is None:
            return effect()
        if fault.late:
            effect()
        raise fault.error

    def _put(self, state: EndpointState) -> None:
        self.endpoints[state.name] = state

    def _make(self, endpoint: str, made: DeploymentState) -> None:
        assert self.in_place or not self.endpoints[endpoint].traffic.get(made.name), "it has traffic, and is put again"
        self._with(endpoint, made)
        if self.in_place:
            self._move(endpoint, {made.name: 100})

    def _with(self, endpoint: str, made: DeploymentState) -> None:
        state = self.endpoints[endpoint]
        self._put(replace(state, deployments={**state.deployments, made.name: made}))

    def _without(self, endpoint: str, deployment: str) -> None:
        state = self.endpoints[endpoint]
        if state.traffic.get(deployment, 0):
            raise CloudError(f"{deployment} has traffic")
        self._put(replace(state, deployments={n: d for n, d in state.deployments.items() if n != deployment}))

    def _move(self, endpoint: str, traffic: Traffic) -> None:
        state = self.endpoints[endpoint]
        if sum(traffic.values()) not in (0, 100) or not set(traffic) <= set(state.deployments):
            raise CloudError(f"bad traffic {dict(traffic)}")
        self._put(replace(state, traffic=dict(traffic)))


@dataclass
class Stage:
    """A rollout on a service in memory: what it says, how long it waits, how test requests are answered.

    ``answers`` and ``events`` are what is wrong at, and what happens before, the answer to a request of that number.
    """

    service: MemoryService = field(default_factory=MemoryService)
    said: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: dict[int, list[str]] = field(default_factory=dict)
    events: dict[int, Callable[[], None]] = field(default_factory=dict)
    started: int = 0

    def rollout(self, release: Release = RELEASE) -> Rollout:
        """Return a rollout of a release."""
        return Rollout(
            Surroundings(
                service=self.service,
                release=release,
                smoke=self._smoke,
                say=self.said.append,
                by_hand=lambda traffic: "az " + " ".join(f"{name}={share}" for name, share in traffic.items()),
                starting=self._start,
                sleep=self.waits.append,
                clock=lambda: 0.0,
            )
        )

    def _smoke(self, address: Address) -> list[str]:
        self.asked.append(address.deployment or "endpoint")
        self.events.get(len(self.asked), lambda: None)()
        return self.answers.get(len(self.asked), [])

    def _start(self) -> None:
        self.started += 1


def deployment(name: str, digest: str = "old", state: str = "Succeeded", **tags: str) -> DeploymentState:
    """Return a deployment of a flow, made with the settings of RELEASE."""
    made = {FLOW_DIGEST: digest, SETTINGS: settings_digest(RELEASE)}
    return DeploymentState(name=name, state=state, tags={**made, **tags})
