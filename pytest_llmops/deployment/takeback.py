"""Taking back what a command did to an endpoint: its traffic as it was, and a deployment that failed.

It looks before it acts. Traffic that this command has not set was set by somebody else meanwhile, and is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from pytest_llmops.deployment.standing import mine_of, same, version_of
from pytest_llmops.deployment.traffic import ALL, in_words, restored
from pytest_llmops.errors import CloudError, LLMOpsError
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.deployment import EndpointState, Release, Service, Traffic
from pytest_llmops.secrets import is_secret, redact, without_secrets

_ATTEMPTS = (0.0, 1.0, 5.0, 20.0)
"""How long to wait, in seconds, before each attempt to put traffic back."""
_LOOKS = (0.2, 0.5, 1.0, 2.0, *(5.0,) * 120)
"""How long to wait, in seconds, between looks at an endpoint that is being changed: ten minutes in all."""
_AS_BEFORE = "the traffic is as it was before"
_LOG_LINES = 50
_SECRET = 8
"""How long the value of a variable is, in characters, that is taken for a secret whatever the variable's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a change of an endpoint needs of the world around it.

    ``release`` names its deployment. ``smoke`` sends a test request, and returns what is wrong with the answer.
    ``by_hand`` writes the command by which a person sets traffic, ``rollback`` is the one that takes it from the
    deployment. ``starting`` is called before anything of the
    deployment's name is made or moved. Signals are to be held off within ``hold``.
    """

    service: Service
    release: Release
    smoke: Callable[[Address], Sequence[str]]
    say: Callable[[str], None]
    by_hand: Callable[[Traffic], str]
    rollback: str = "llmops rollback"
    starting: Callable[[], None] = lambda: None
    hold: Callable[[], AbstractContextManager[object]] = nullcontext
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The endpoint and its deployment, as messages name them."""
        return f"{self.release.endpoint}/{self.release.deployment}"

    def look(self) -> EndpointState | None:
        """Return the endpoint as it is once nobody is changing it any more, None where there is none.

        Raises:
            CloudError: where it is still being changed after a while.
        """
        for pause in _LOOKS:
            found = self.service.find(self.release.endpoint)
            if found is None or not found.changing:
                return found
            self.sleep(pause)
        raise CloudError(f"{self.release.endpoint}: it is still being changed; see who does that, and try again then")

    def tell_log(self) -> None:
        """Say the end of the deployment's log, if there is one, without secrets."""
        with suppress(LLMOpsError):  # what went wrong is said anyhow
            log = self.service.log(self.release.endpoint, self.release.deployment, _LOG_LINES)
            lines = without_secrets(redact(log, self._values())).strip().splitlines()
            if lines:
                self.say(f"{self.name}: the end of its log:")
            for line in lines[-_LOG_LINES:]:
                self.say(f"  | {line}")

    def _values(self) -> Iterator[str]:
        """Yield the values of the deployment's variables that may be secrets."""
        for name, value in self.release.environment_variables.items():
            if is_secret(name) or len(value) >= _SECRET:
                yield value


def put_back(around: Surroundings, wanted: Traffic, ours: Sequence[Traffic], words: str = _AS_BEFORE) -> bool:
    """Give an endpoint the traffic that it had, without deployments that are gone. Returns whether it has it.

    ``ours`` is traffic that may be replaced, and ``words`` say what ``wanted`` is. An attempt that fails is repeated a
    few times. It raises nothing but interrupts; where all is in vain, it says what the traffic should be, and how to
    set that.
    """
    target, problem = wanted, ""
    try:
        for wait in _ATTEMPTS:
            around.sleep(wait)
            try:
                found = around.look()
                if found is None:
                    return True
                target = restored(wanted, found.deployments)
                return _replace(around, found, wanted, ours, words)
            except LLMOpsError as error:
                problem = str(error)
                around.say(f"{around.release.endpoint}: the traffic is not put back yet: {problem}")
    except BaseException:
        _call_for_help(around, target, "interrupted")
        raise
    _call_for_help(around, target, problem)
    return False


def delete_failed(around: Surroundings, version: str) -> None:
    """Remove a deployment of a flow's version that failed, if it has no traffic, and is not to be kept."""
    release = around.release
    if release.on_failure == "keep":
        around.say(f"{around.name}: kept, without traffic, as on_failure says")
        return
    try:
        found = around.look()
        mine = mine_of(found, release)
        if found is None or mine is None:
            return
        if found.traffic.get(mine.name, 0):
            around.say(f"{around.name}: not deleted: it has traffic")
            return
        if version_of(mine) != version:
            around.say(f"{around.name}: not deleted: somebody else put another version there meanwhile")
            return
        around.service.delete_deployment(release.endpoint, release.deployment)
        around.say(f"{around.name}: deleted")
    except LLMOpsError as error:
        around.say(f"{around.name}: NOT DELETED, and it costs money: {error}; delete it by hand")


def _replace(around: Surroundings, found: EndpointState, wanted: Traffic, ours: Sequence[Traffic], words: str) -> bool:
    endpoint, target = around.release.endpoint, restored(wanted, found.deployments)
    gone = in_words({name: share for name, share in wanted.items() if name not in target})
    if not same(found.traffic, target):
        if not any(same(found.traffic, traffic) for traffic in ours):
            around.say(
                f"{endpoint}: somebody else set the traffic to {in_words(found.traffic)}: it is left like that; "
                f"before this command it was {in_words(wanted)}"
            )
            return False
        if not target and any(wanted.values()):
            _call_for_help(around, found.traffic, f"those who had it are gone: {gone}", stays=True)
            return False
        around.service.set_traffic(endpoint, target)
        seen = around.look()
        if seen is None or not same(seen.traffic, target):
            raise CloudError("it was set, and is still another")
    if same(target, wanted):
        around.say(f"{endpoint}: {words}: {in_words(target)}")
    else:
        around.say(f"{endpoint}: the traffic is {in_words(target)}; it can't be as it was before: gone are {gone}")
    return True


def _call_for_help(around: Surroundings, target: Traffic, problem: str, *, stays: bool = False) -> None:
    around.say(f"{around.release.endpoint}: THE TRAFFIC COULD NOT BE PUT BACK ({problem})")
    if stays:
        around.say(f"  it stays: {in_words(target)}")
        around.say(f"  give it to a deployment that works, now: {around.by_hand({'NAME': ALL})}")
    else:
        around.say(f"  it should be: {in_words(target)}")
        around.say(f"  set it by hand, now: {around.by_hand(target)}")
