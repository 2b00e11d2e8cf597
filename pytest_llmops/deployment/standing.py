"""What stands at an endpoint already, and whether a deployment may go there. Nothing is changed here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pytest_llmops.deployment.admission import OVERRIDE, VERDICT
from pytest_llmops.deployment.traffic import in_words
from pytest_llmops.errors import CloudError, ConfigurationError
from pytest_llmops.hashing import digest
from pytest_llmops.records.deployment import (
    FLOW_DIGEST,
    SETTINGS,
    TRAFFIC_BEFORE,
    DeploymentState,
    EndpointState,
    Kubernetes,
    ModelVersion,
    Release,
    Traffic,
    WebApp,
)

_LONGEST_TAG = 256
"""Of a tag's value, in characters, as Azure Resource Manager limits it."""
_MAKING = {
    "kind",
    "description",
    "instance_type",
    "instance_count",
    "environment_variables",
    "connections",
    "kubernetes",
    "webapp",
}
"""Settings of a release that its deployment is made with. The others are the endpoint's, or say how it is moved."""
_NOTES = (VERDICT, OVERRIDE, TRAFFIC_BEFORE)
"""Tags that may change while a deployment stays as it is."""
_SHOWN = 8  # digits of a digest


def mine_of(found: EndpointState | None, release: Release) -> DeploymentState | None:
    """Return the deployment that a release names, if it is there."""
    return found.deployments.get(release.deployment) if found else None


def is_half_made(found: EndpointState) -> bool:
    """Tell whether an endpoint was never made to the end. One that has deployments was: its last change failed."""
    return found.state == "Failed" and not found.deployments


def same(one: Traffic, other: Traffic) -> bool:
    """Tell whether two traffics are the same, whichever deployments they name that get none."""
    return _shares(one) == _shares(other)


def is_made(
    mine: DeploymentState, release: Release, model: ModelVersion, traffic: Traffic, *, in_place: bool = False
) -> bool:
    """Tell whether a deployment is as it would be made now; ``in_place``, that is with all traffic."""
    as_wanted = mine.ready and holds(mine, model) and is_set(mine, release)
    return as_wanted and (not in_place or bool(traffic.get(mine.name, 0)))


def holds(mine: DeploymentState, model: ModelVersion) -> bool:
    """Tell whether a deployment is of the same flow as a model."""
    return version_of(mine) == model.digest


def is_set(mine: DeploymentState, release: Release) -> bool:
    """Tell whether a deployment was made with the settings of a release."""
    return mine.tags.get(SETTINGS) == settings_digest(release)


def version_of(mine: DeploymentState | None) -> str:
    """Return the digest of the flow that a deployment is of; empty where its tags don't say it."""
    return mine.tags.get(FLOW_DIGEST, "") if mine else ""


def short(version: str) -> str:
    """Write a digest for people."""
    return version[:_SHOWN] or "unknown"


def settings_digest(release: Release) -> str:
    """Return what stands for the settings that a release's deployment is made with.

    Variables may be secrets: whoever can read a deployment's tags can read its variables, too.
    """
    parts = {name: getattr(release, name) for name in _MAKING}
    return digest(
        {name: asdict(part) if isinstance(part, Kubernetes | WebApp) else part for name, part in parts.items()}
    )


def tags_for(
    release: Release, found: EndpointState | None, model: ModelVersion, tags: Mapping[str, str]
) -> dict[str, str]:
    """Return all tags of a release's deployment, to be made or noted now."""
    own = {FLOW_DIGEST: model.digest, SETTINGS: settings_digest(release), TRAFFIC_BEFORE: memory(release, found)}
    return {**tags, **own}


def memory(release: Release, found: EndpointState | None) -> str:
    """Write who had the traffic before a release's deployment. One that has some keeps what it remembers."""
    mine = mine_of(found, release)
    if found is not None and mine is not None and found.traffic.get(mine.name, 0):
        return mine.tags.get(TRAFFIC_BEFORE, "")
    return remember(found.traffic if found else {})


def outdated(mine: DeploymentState, tags: Mapping[str, str]) -> list[str]:
    """Return those tags of a deployment that are to change, while it stays as it is."""
    return [name for name in _NOTES if mine.tags.get(name, "") != tags.get(name, "")]


def remember(traffic: Traffic) -> str:
    """Write traffic for a tag."""
    return json.dumps(_shares(traffic), separators=(",", ":"))


def remembered(mine: DeploymentState) -> Traffic | None:
    """Return who had the traffic before a deployment; None where its tags don't say it, or name the deployment."""
    try:
        values = json.loads(mine.tags.get(TRAFFIC_BEFORE, ""))
    except ValueError:
        return None
    if not isinstance(values, dict) or not all(type(share) is int and share >= 0 for share in values.values()):
        return None
    return None if values.get(mine.name) else values


def check_deployment(
    release: Release, found: EndpointState | None, model: ModelVersion, *, in_place: bool = False
) -> None:
    """Refuse a deployment that can't go well.

    Raises:
        ConfigurationError: where the file has to name something else.
    """
    if found is None:
        return
    mine = mine_of(found, release)
    if mine is not None and found.traffic.get(mine.name, 0):
        _check_serving(release, mine, model, in_words(found.traffic), in_place=in_place)
    if len(remember(found.traffic)) > _LONGEST_TAG:
        what = f"the traffic has too many parts to be remembered in a tag: {in_words(found.traffic)}"
        raise refused(release, what, "give it to fewer deployments")


def _check_serving(
    release: Release, mine: DeploymentState, model: ModelVersion, traffic: str, *, in_place: bool
) -> None:
    """Refuse to make a deployment again that has traffic: whoever asks it would meet what is not made yet."""
    has, another = f"deployment '{mine.name}' has traffic ({traffic})", "name a new one, or leave the name out"
    if not holds(mine, model):
        raise refused(release, f"{has}, and another flow", another)
    if not is_set(mine, release):
        raise refused(
            release, f"{has}, and other settings than are to be deployed", "name a new one: --deployment NAME"
        )
    if not mine.ready and not in_place:
        todo = "take its traffic back first: llmops rollback"
        raise refused(release, f"{has}, and is not healthy (state {mine.state})", todo)


def check_moves(release: Release, found: EndpointState | None, moves: Sequence[Traffic]) -> None:
    """Refuse traffic for deployments that can't take it, and that anybody loses some whom the file does not know.

    Raises:
        ConfigurationError: which names those that are.
    """
    deployments, current = (found.deployments, found.traffic) if found else ({}, {})
    others = {name: share for traffic in moves for name, share in traffic.items() if name != release.deployment}
    for name in others:
        if name not in deployments:
            known = ", ".join(each for each in deployments if each != release.deployment)
            what = f"endpoint '{release.endpoint}' has no deployment '{name}', which is to have the rest of the traffic"
            raise refused(release, what, f"it has: {known}" if known else "it has none: leave that name out")
        gains = any(traffic.get(name, 0) > current.get(name, 0) for traffic in moves)
        if gains and not (state := deployments[name]).ready:
            what = f"deployment '{name}' is to have more of the traffic, and is not healthy (state {state.state})"
            raise refused(release, what, "see to it first, or name another one")
    strangers = sorted(set(_shares(current)) - {release.deployment, release.prior})
    if release.prior in others and strangers:
        what = f"deployment '{strangers[0]}' has traffic, and would lose it to '{release.prior}'"
        raise refused(release, f"{what}, which is to have the rest", "correct that name, or leave it out")


def there(release: Release, found: EndpointState | None, *deployments: str) -> EndpointState:
    """Return an endpoint that has to be there, and to have deployments of these names.

    Raises:
        ConfigurationError: which says what there is.
    """
    if found is None:
        raise refused(release, f"there is no endpoint '{release.endpoint}'", "deploy it first")
    for name in deployments:
        if name not in found.deployments:
            known = ", ".join(found.deployments)
            what = f"endpoint '{found.name}' has no deployment '{name}'"
            raise refused(release, what, f"it has: {known}" if known else "deploy it first")
    return found


def ready_at(release: Release, found: EndpointState | None, version: str = "") -> tuple[EndpointState, DeploymentState]:
    """Return an endpoint, and the deployment that a release names there, which can take requests.

    ``version`` is the flow's digest that it has to be of, or how that begins; empty, it may be any.

    Raises:
        ConfigurationError: where there is no such endpoint or deployment, or it is of another version.
        CloudError: where the deployment is not healthy.
    """
    found = there(release, found, release.deployment)
    mine = found.deployments[release.deployment]
    if not version_of(mine).startswith(version):
        what = f"deployment '{mine.name}' is another version now: {short(version_of(mine))}, not {short(version)}"
        raise refused(release, what, "somebody else deployed to that name; deploy yours again, to a name of its own")
    if not mine.ready:
        raise CloudError(f"{found.name}/{mine.name}: it is not healthy (state {mine.state}): it gets no traffic")
    return found, mine


def refused(release: Release, what: str, todo: str) -> ConfigurationError:
    """Make the error for what a release can't have, at the place that it is read from."""
    return ConfigurationError.one(release.file or release.env, release.line, "", what, todo)


def _shares(traffic: Traffic) -> dict[str, int]:
    return {name: share for name, share in traffic.items() if share}
