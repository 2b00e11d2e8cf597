"""Any sequence of commands, with failures at any call, beside somebody else who deploys to the same endpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_service import MODEL, OLD, RELEASE, Fault, Stage, deployment

from pytest_llmops.deployment.standing import remembered, version_of
from pytest_llmops.errors import AccessError, CloudError, ConfigurationError
from pytest_llmops.records.deployment import EndpointState, ModelVersion, Release, Traffic

ALIEN = "0a11e4"
HELP = "COULD NOT BE PUT BACK"
_ERRORS = (AccessError, CloudError, ConfigurationError, KeyboardInterrupt)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command on a deployment, or none. ``fault`` strikes at call ``number``, and ``event`` happens at call ``at``.

    That is what somebody else does, just before a look: what happens between a look and the change after it, no look
    can tell.
    """

    action: str
    name: str = "green"
    prior: str = ""
    number: int = 0
    fault: Fault | None = None
    event: str = ""
    at: int = 0


@dataclass
class World:
    """An endpoint where blue has all traffic, and what the commands did to it so far."""

    stage: Stage = field(default_factory=Stage)
    before: dict[str, Traffic] = field(default_factory=dict)
    """By deployment of ours, the traffic when it began to get some, as far as that can still be given back."""

    put: bool = False
    """Whether somebody put a version of his own in the place of ours while a command was under way."""

    def __post_init__(self) -> None:
        self.stage.service.holds({"blue": 100}, deployment("blue"), deployment("purple"))

    @property
    def state(self) -> EndpointState:
        return self.stage.service.endpoints["ner"]

    def run(self, step: Step) -> None:
        """Run a command, and hold it to what it promises."""
        stage, service = self.stage, self.stage.service
        if step.action == "none":
            service.endpoints["ner"] = _EVENTS[step.event](self.state, step.name) if step.event else self.state
            self._forget()
            return
        self.put = False
        stage.said.clear()
        found, before, first = self.state, service.traffic(), len(service.calls)
        service.faults = {first + step.number: step.fault} if step.fault else {}
        happened = self._let_happen(step, first)
        try:
            self._act(step)
        except _ERRORS:
            back = [self.before[step.name]] if step.action == "rollback" and step.name in self.before else []
            moved = happened and happened[0] != happened[1]
            allowed = [happened[1]] if moved else [before, *back]
            assert service.traffic() in allowed or self._is_told() or (step.action == "rollback" and not back), step
        else:
            late = happened and happened[0] != happened[1] and step.at
            assert not late or service.traffic() == happened[1], "nobody else is overruled"
            self._check_success(step, found, happened)
        self._check_always(step, found, happened)
        self._remember(step, found, happened)

    def _is_told(self) -> bool:
        return any(HELP in line for line in self.stage.said)

    def _act(self, step: Step) -> None:
        release = replace(RELEASE, deployment=step.name, prior=step.prior if step.prior != step.name else "")
        model, rollout = _model(release), self.stage.rollout(release)
        if step.action == "advance":
            rollout.advance(model.digest)
        elif step.action == "rollback":
            rollout.rollback(model.digest)
        elif step.action in ("share", "promote"):
            rollout.set_share(100 if step.action == "promote" else 30, model.digest)
        else:
            rollout.deploy(model, {}, with_traffic=step.action == "deploy")

    def _let_happen(self, step: Step, first: int) -> list[Traffic]:
        """Have somebody act before the first look from call ``at`` on. Returns the traffic just before and after it."""
        service, plain, happened = self.stage.service, type(self.stage.service).find, list[Traffic]()
        pending = [_EVENTS[step.event]] if step.event else []

        def find(endpoint: str) -> EndpointState | None:
            if pending and len(service.calls) >= first + step.at:
                then = service.traffic()
                service.endpoints["ner"] = pending.pop()(self.state, step.name)
                happened.extend([then, service.traffic()])
                self.put = step.at > 0 and self._is_alien(self.state, step.name)
            return plain(service, endpoint)

        service.find = find  # type: ignore[method-assign]
        return happened

    def _check_success(self, step: Step, found: EndpointState, happened: list[Traffic]) -> None:
        now, name = self.state, step.name
        if not happened:
            for other, share in now.traffic.items():
                assert share <= found.traffic.get(other, 0) or now.deployments[other].ready, "only the healthy get more"
        if step.action != "rollback" and not happened:
            losers = {other for other, share in found.traffic.items() if now.traffic.get(other, 0) < share}
            gained = {other for other, share in now.traffic.items() if share > found.traffic.get(other, 0)}
            assert gained <= {name} or losers <= {name}, "nobody else loses to the one that has the rest"
        if step.action == "rollback":
            assert self._is_alien(now, name) or not now.traffic.get(name), "a rollback leaves its version no traffic"
            if not happened and found.traffic.get(name):
                assert now.traffic == self.before.get(name, now.traffic)
                since = found.traffic.keys() - {name, *(remembered(found.deployments[name]) or ())}
                assert all(now.traffic[other] >= found.traffic[other] for other in since), "what came since is kept"

    def _check_always(self, step: Step, found: EndpointState, happened: list[Traffic]) -> None:
        assert sum(self.state.traffic.values()) == 100, step
        assert set(self.state.traffic) <= set(self.state.deployments)
        assert not any(self._is_alien(self.state, name) for name in self.state.traffic), "it is not ours to move"
        if self.put:
            assert self._is_alien(self.state, step.name), "it is not ours to remove"
        if not happened and not step.action.startswith("deploy"):
            gone = found.deployments.keys() - self.state.deployments.keys()
            assert not any(self._is_alien(found, name) for name in gone), "it is not ours to remove"

    @staticmethod
    def _is_alien(state: EndpointState, name: str) -> bool:
        return name in state.deployments and version_of(state.deployments[name]) == ALIEN

    def _remember(self, step: Step, found: EndpointState, happened: list[Traffic]) -> None:
        if happened:
            self.before.clear()
        elif self.state.traffic.get(step.name) and not found.traffic.get(step.name):
            self.before[step.name] = dict(found.traffic)
        self._forget()

    def _forget(self) -> None:
        """Forget what can't be given back: others are gone or unhealthy, or came since and keep what they have."""
        for name, before in list(self.before.items()):
            there = all(each in self.state.deployments and self.state.deployments[each].ready for each in before)
            if not self.state.traffic.get(name) or not there or self.state.traffic.keys() - {name, *before}:
                del self.before[name]


def _model(release: Release) -> ModelVersion:
    return MODEL if release.deployment == "green" else replace(OLD, digest="red")


def _move(state: EndpointState, name: str) -> EndpointState:
    return replace(state, traffic={"purple": 100}) if "purple" in state.deployments else state


def _swap(state: EndpointState, name: str) -> EndpointState:
    """Put another version in the place of a deployment that has no traffic."""
    if name not in state.deployments or state.traffic.get(name):
        return state
    return replace(state, deployments={**state.deployments, name: deployment(name, ALIEN)})


def _remove(state: EndpointState, name: str) -> EndpointState:
    """Remove all deployments that have no traffic."""
    return replace(state, deployments={each: one for each, one in state.deployments.items() if state.traffic.get(each)})


def _sicken(state: EndpointState, name: str) -> EndpointState:
    sick = {each: replace(one, state="Failed") for each, one in state.deployments.items() if each in ("blue", name)}
    return replace(state, deployments={**state.deployments, **sick})


def _heal(state: EndpointState, name: str) -> EndpointState:
    return replace(state, deployments={each: replace(d, state="Succeeded") for each, d in state.deployments.items()})


_EVENTS: dict[str, Callable[[EndpointState, str], EndpointState]] = {
    "moves": _move,
    "swaps": _swap,
    "removes": _remove,
    "sickens": _sicken,
    "heals": _heal,
}
_FAULT = st.builds(
    Fault, st.sampled_from([CloudError("500"), AccessError("401"), KeyboardInterrupt()]), late=st.booleans()
)
_STEP = st.builds(
    Step,
    action=st.sampled_from(["deploy", "deploy without traffic", "advance", "share", "promote", "rollback", "none"]),
    name=st.sampled_from(["green", "green", "red"]),
    prior=st.sampled_from(["", "", "blue", "purple"]),
    number=st.integers(0, 20),
    fault=st.none() | _FAULT,
    event=st.sampled_from(["", *_EVENTS]),
    at=st.integers(0, 20),
)
_LATE = Fault(AccessError("401"), late=True)
_FAILS = Fault(CloudError("500"))
_WAITING = Step(action="deploy without traffic")
_ILL = Step(action="none", name="red", event="sickens")
KNOWN = {
    "access lost after the change": [_WAITING, Step(action="advance", number=3, fault=_LATE)],
    "others got the traffic since": [_WAITING, Step(action="none", event="moves"), Step(action="share")],
    "replaced while it is tested": [Step(action="deploy", event="swaps", at=3)],
    "replaced before it fails": [Step(action="deploy", event="swaps", at=2)],
    "replaced since": [_WAITING, Step(action="none", event="swaps"), Step(action="promote")],
    "the old one removed, then a failure": [Step(action="deploy", event="removes", at=14, number=15, fault=_FAILS)],
    "traffic moved under way": [Step(action="deploy", event="moves", at=7)],
    "traffic moved, then a failure": [Step(action="deploy", event="moves", at=14, number=15, fault=_FAILS)],
    "a prior one that is ill": [Step(action="deploy"), _ILL, Step(action="share", prior="blue")],
    "a stale prior one": [_WAITING, Step(action="none", event="moves"), Step(action="share", prior="blue")],
    "ill with traffic": [_WAITING, Step(action="share"), Step(action="none", event="sickens"), Step(action="deploy")],
    "the old one ill": [Step(action="deploy"), _ILL],
    "two of ours": [Step(action="deploy"), replace(_WAITING, name="red"), Step(action="share", name="red")],
}


def _tell(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.run(step)


@pytest.mark.parametrize("steps", KNOWN.values(), ids=KNOWN)
def test_commands_keep_their_promises_in_stories_that_once_went_wrong(steps: list[Step]) -> None:
    _tell([*steps, Step(action="rollback")])


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(_STEP, max_size=6))
def test_commands_keep_their_promises_whatever_fails_and_whoever_else_is_at_work(steps: list[Step]) -> None:
    _tell(steps)
