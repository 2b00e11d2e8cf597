"""A new deployment beside the old: made, tested, given its traffic step by step. What fails is taken back.

It knows endpoints only as a Service, and trusts nothing but what it sees there: each step begins with a look, so that
a command which was cut off can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.deployment.change import Change
from pytest_llmops.deployment.rollback import roll_back
from pytest_llmops.deployment.standing import (
    check_deployment,
    check_moves,
    holds,
    is_half_made,
    is_made,
    is_set,
    memory,
    mine_of,
    outdated,
    ready_at,
    refused,
    same,
    tags_for,
    version_of,
)
from pytest_llmops.deployment.takeback import Surroundings
from pytest_llmops.deployment.traffic import ALL, first_share, in_words, steps
from pytest_llmops.durations import format_duration
from pytest_llmops.errors import CloudError
from pytest_llmops.records.deployment import TRAFFIC_BEFORE, DeploymentState, EndpointState, ModelVersion, Traffic


@dataclass(frozen=True, slots=True)
class Rollout:
    """Changes of one endpoint on behalf of one of its deployments; ``around.release`` names both.

    Methods that take a ``version`` act on a deployment of that version alone: the flow's digest, or how it begins.
    """

    around: Surroundings

    def check(self, digest: str, *, with_traffic: bool = True) -> bool:
        """Refuse a deployment of a flow that can't go well, by what is there. Nothing is changed.

        Returns:
            Whether it is there already, as it would be made.

        Raises:
            AccessError: where something can't be reached.
            ConfigurationError: where it can't be done as the file says.
        """
        model = ModelVersion(name="", version="", id="", digest=digest)
        found, release = self.around.look(), self.around.release
        self._check(found, model, with_traffic=with_traffic)
        mine, traffic = mine_of(found, release), found.traffic if found else {}
        return mine is not None and is_made(mine, release, model, traffic, in_place=self.around.service.in_place)

    def deploy(self, model: ModelVersion, tags: Mapping[str, str], *, with_traffic: bool = True) -> str:
        """Make the deployment beside those that are there, test it, and give it its traffic.

        What is there already is not made again, and traffic that is there is not moved.

        Returns:
            The endpoint's scoring URL.

        Raises:
            AccessError: where something can't be reached. Nothing was changed.
            ConfigurationError: where it can't be done as the file says. Nothing was changed.
            CloudError: where something failed. It was taken back, as far as messages don't say otherwise.
        """
        around, found = self.around, self.around.look()
        self._check(found, model, with_traffic=with_traffic)
        release, in_place = around.release, around.service.in_place
        moves = [] if in_place else self._moves(found)
        mine, all_tags = mine_of(found, release), tags_for(release, found, model, tags)
        change = Change(around=around, found=found, version=model.digest)
        is_there = mine is not None and is_made(mine, release, model, change.before, in_place=in_place)
        if not is_there or moves:
            around.starting()
        with change.taken_back():
            if found is None or mine is None or not is_there:
                found = self._make(change, model, all_tags)
                change.test(addressed=not in_place)
            else:
                self._note(change, mine, all_tags)
                if moves and with_traffic:
                    around.say(f"{around.name}: it is there already, with this flow")
                    change.test(addressed=True)
            change.move_all(moves if with_traffic else ())
        if is_there and not (moves and with_traffic):
            around.say(f"{around.name}: deployed already; traffic: {in_words(change.before)}; nothing to do")
        return found.url

    def advance(self, version: str = "") -> None:
        """Give a deployment that is there the shares of the traffic that its file says, with a test at each.

        Raises:
            ConfigurationError: where there is no such deployment.
            CloudError: where something failed; the traffic is then as it was.
        """
        found, mine = ready_at(self.around.release, self.around.look(), version)
        self._shift(found, mine, self._moves(found))

    def set_share(self, percent: int, version: str = "") -> None:
        """Give a deployment that is there a share of the traffic at once. Raises what ``advance`` does."""
        release = self.around.release
        found, mine = ready_at(release, self.around.look(), version)
        wanted = first_share(found.traffic, mine.name, percent, release.prior)
        is_there = found.traffic.get(mine.name, 0) == percent or same(wanted, found.traffic)
        self._shift(found, mine, [] if is_there else [wanted])

    def rollback(self, version: str = "") -> None:
        """Give the deployment's traffic back to those who had it before, and remove it if that is configured.

        Raises:
            ConfigurationError: where it can't be told who had the traffic.
            CloudError: where those can't take it, or it can't be moved.
        """
        roll_back(self.around, version)

    def _check(self, found: EndpointState | None, model: ModelVersion, *, with_traffic: bool) -> None:
        release, service = self.around.release, self.around.service
        if service.in_place and not with_traffic:
            what = "a new deployment takes all traffic at once there: it can't be made without"
            raise refused(release, what, "leave out --no-traffic")
        check_deployment(release, found, model, in_place=service.in_place)
        check_moves(release, found, [] if service.in_place else self._moves(found))
        service.check(release)

    def _make(self, change: Change, model: ModelVersion, tags: Mapping[str, str]) -> EndpointState:
        around, release, found = self.around, self.around.release, change.found
        mine = mine_of(found, release)
        if found is None or is_half_made(found):
            absence = "there is no such endpoint" if found is None else "its creation failed once"
            around.say(f"{release.endpoint}: {absence}: it is created, without traffic")
            change.begun = True
            around.service.create_endpoint(release)
        if mine and not holds(mine, model):
            around.say(f"{around.name}: it has no traffic, and another flow: it is replaced")
            change.begun = True
            around.service.delete_deployment(release.endpoint, release.deployment)
        elif mine and mine.ready and not is_set(mine, release):
            around.say(f"{around.name}: it has no traffic, and other settings: it is made again")
        how = "in the place of what runs there" if around.service.in_place else "without traffic"
        around.say(f"{around.name}: deploying model {model.name}:{model.version}, {how}; this takes minutes")
        if around.service.in_place:
            change.ours.append({release.deployment: ALL})
        change.begun = change.made = True
        begun = around.clock()
        around.service.create_deployment(release, model, tags)
        made = change.look()
        if not (state := made.deployments[release.deployment]).ready:
            raise CloudError(f"{around.name}: it is not healthy (state {state.state})")
        around.say(f"{around.name}: healthy, after {format_duration(round(around.clock() - begun))}")
        return made

    def _note(self, change: Change, mine: DeploymentState, tags: Mapping[str, str]) -> None:
        """Write into a deployment's tags what is different now; what runs stays as it is."""
        names = outdated(mine, tags)
        if not names:
            return
        change.begun = True
        done = self.around.service.retag(self.around.release.endpoint, mine.name, tags)
        state = "are up to date now" if done else "can't be changed while it runs, and stay as they are"
        self.around.say(f"{self.around.name}: its tags {', '.join(names)} {state}")

    def _shift(self, found: EndpointState, mine: DeploymentState, moves: Sequence[Traffic]) -> None:
        around = self.around
        check_moves(around.release, found, moves)
        if not moves:
            around.say(f"{around.name}: its traffic is there already: {in_words(found.traffic)}; nothing to do")
            return
        change = Change(around=around, found=found, version=version_of(mine))
        with change.taken_back():
            around.starting()
            if moves[-1].get(mine.name, 0):
                change.test(addressed=True)
            self._note(change, mine, {**mine.tags, TRAFFIC_BEFORE: memory(around.release, found)})
            change.move_all(moves)

    def _moves(self, found: EndpointState | None) -> list[Traffic]:
        release = self.around.release
        return steps(found.traffic if found else {}, release.deployment, release.traffic, release.prior)
