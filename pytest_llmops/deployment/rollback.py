"""A deployment's traffic given back to those who had it before: by what its tags remember, and what is there now."""

from __future__ import annotations

from pytest_llmops.deployment.standing import mine_of, refused, remembered, same, short, version_of
from pytest_llmops.deployment.takeback import Surroundings, delete_failed, put_back
from pytest_llmops.deployment.traffic import ALL, given_back, in_words
from pytest_llmops.errors import CloudError
from pytest_llmops.records.deployment import TRAFFIC_BEFORE, DeploymentState, EndpointState


def roll_back(around: Surroundings, version: str = "") -> None:
    """Give a deployment's traffic back, and remove it if that is configured.

    ``version`` is the flow's digest that it has to be of, or how that begins; empty, it may be any. Where nothing of it
    is there, nothing has to be done: a version that was replaced had no traffic.

    Raises:
        ConfigurationError: where it can't be told who had the traffic.
        CloudError: where those can't take it, or it can't be moved.
    """
    found = around.look()
    mine = mine_of(found, around.release)
    if found is None or mine is None:
        around.say(f"{around.name}: there is no such deployment: nothing to take back")
        return
    if not version_of(mine).startswith(version):
        _leave_alone(around, found, mine, version)
        return
    with around.hold():
        if found.traffic.get(mine.name, 0):
            _give_back(around, found, mine)
        else:
            around.say(f"{around.name}: it has no traffic; traffic: {in_words(found.traffic)}: it stays so")
            if follower := _follower(found, mine):
                around.say(f"{around.name}: kept: a rollback of '{follower}' would give the traffic back to it")
                return
        delete_failed(around, version_of(mine))


def _leave_alone(around: Surroundings, found: EndpointState, mine: DeploymentState, version: str) -> None:
    """Say that a deployment is not the one that is meant. Its traffic was given to it by whoever put it there.

    Deployments are replaced only while they have no traffic, so there is none of the version that is meant. A
    deployment that does not say what it is was put there by other means: that is for people to look at.
    """
    there, traffic = version_of(mine), in_words(found.traffic)
    if not there and found.traffic.get(mine.name, 0):
        what = f"{around.name} has traffic ({traffic}), and does not say which version it is"
        raise refused(around.release, what, "see what it is, then call this without --digest")
    what = f"it is another version now, {short(there)}, not {short(version)}: it is left alone; traffic: {traffic}"
    around.say(f"{around.name}: {what}")


def _give_back(around: Surroundings, found: EndpointState, mine: DeploymentState) -> None:
    before = remembered(mine)
    if before is None:
        what = f"{around.name} does not say who had the traffic before it was made (tag {TRAFFIC_BEFORE})"
        raise refused(around.release, what, f"set it by hand: {around.by_hand({'NAME': ALL})}")
    ready = [name for name, one in found.deployments.items() if one.ready]
    target = given_back(found.traffic, mine.name, before, ready)
    if not target and any(before.values()):
        gone = in_words(before)
        what = f"those who had the traffic before are gone, or not healthy ({gone})"
        raise CloudError(f"{around.name}: {what}: it stays where it is")
    words = (
        "the traffic is as it was before" if same(target, before) else "its traffic is given back, others keep theirs"
    )
    if not put_back(around, target, [found.traffic], words):
        raise CloudError(f"{around.name}: the traffic was not put back")


def _follower(found: EndpointState, mine: DeploymentState) -> str:
    """Return a deployment with traffic that a rollback would give back to this one; empty where there is none."""
    serving = (found.deployments[name] for name, share in found.traffic.items() if share and name in found.deployments)
    return next((each.name for each in serving if (remembered(each) or {}).get(mine.name)), "")
