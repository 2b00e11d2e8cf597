"""What ``llmops deploy`` would do, told to somebody who has never seen it: the text of ``--dry-run``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_llmops.deployment.admission import Override
from pytest_llmops.deployment.standing import holds, is_made, mine_of, outdated, short, tags_for, version_of
from pytest_llmops.deployment.traffic import ALL, in_words, steps
from pytest_llmops.durations import format_duration
from pytest_llmops.records.cloud import Workspace
from pytest_llmops.records.deployment import EndpointState, ModelVersion, Release, Traffic
from pytest_llmops.records.experiment import Flow

_KINDS = {"managed": "managed online endpoint", "kubernetes": "Kubernetes online endpoint", "webapp": "web app"}
_CLOSED = (
    "Nothing would be done: the gate is closed to this flow. Correct what is said above, and evaluate again.",
    "To see what an override would do, add --override-gate REASON to this command.",
)
_READER = "Azure Machine Learning Workspace Connection Secrets Reader"
_SHOWN = 6
"""How many deployments are told about at most."""
NOTHING_CHANGED = "Nothing was changed (--dry-run)."


def plan_lines(
    release: Release,
    found: EndpointState | None,
    model: ModelVersion | None,
    tags: Mapping[str, str],
    *,
    flow: Flow,
    digest: str,
    workspace: Workspace,
    reasons: Sequence[str] = (),
    override: Override | None = None,
    in_place: bool = False,
    with_traffic: bool = True,
) -> list[str]:
    """Say what is there, what would be done to it step by step, what if that fails, what it costs, what is left alone.

    ``found`` is the endpoint as it is, and ``model`` the version of the flow that is registered already, if there is
    one. ``tags`` are those of the deployment, ``digest`` is that of the flow's files. ``reasons`` is what stands
    against deploying them, line by line, and ``override`` somebody's word that it is done all the same. ``in_place``
    and ``with_traffic`` are as for the rollout, which refuses what can't be done.
    """
    planned = model or ModelVersion(name="", version="", id="", digest=digest)
    writer = _Writer(release, found, planned, tags, flow, in_place=in_place, with_traffic=with_traffic)
    lines = [*_heading(release, flow, digest, workspace), *_gate(reasons, override)]
    lines += [*writer.standing(), ""]
    if reasons and override is None:
        return [*lines, *_CLOSED, NOTHING_CHANGED]
    actions = list(writer.actions(is_registered=model is not None))
    if not actions:
        lines.append("Nothing would be done: it is deployed already, and has its traffic.")
    else:
        lines += ["What would be done, in this order:"]
        lines += [f"{number:3}. {action}" for number, action in enumerate(actions, start=1)]
        making = next((number for number, each in enumerate(actions, start=1) if each.startswith("Make ")), 0)
        lines += ["", *writer.failure(), *writer.cost(making), *writer.untouched()]
    notes = [f"Note:         {note}" for note in release.notes]
    return [*lines, *notes, "", NOTHING_CHANGED]


def _heading(release: Release, flow: Flow, digest: str, workspace: Workspace) -> Iterator[str]:
    yield f"Deployment of flow {flow.name} (version {short(digest)}) to environment {release.env}"
    yield ""
    yield f"Where:        {_KINDS[release.kind]} '{release.endpoint}', workspace {workspace}"
    yield f"Configured:   {release.file}:{release.line}"


def _gate(reasons: Sequence[str], override: Override | None) -> Iterator[str]:
    if not reasons:
        yield "Gate:         open for this version of the flow and its data"
        return
    if override is not None:
        yield f"Gate:         OVERRIDDEN by {override.by}: {override.reason}"
        yield "              This is kept in tags of the model and the deployment. Against it:"
    for number, reason in enumerate(reasons):
        yield f"{'Gate CLOSED:' if override is None and not number else '':13} {reason}"


class _Writer:
    """Writes the parts of one plan."""

    def __init__(
        self,
        release: Release,
        found: EndpointState | None,
        model: ModelVersion,
        tags: Mapping[str, str],
        flow: Flow,
        *,
        in_place: bool,
        with_traffic: bool,
    ) -> None:
        self._release = release
        self._found = found
        self._model = model
        self._flow = flow
        self._in_place = in_place
        self._with_traffic = with_traffic
        self._before: Traffic = found.traffic if found else {}
        self._mine = mine_of(found, release)
        mine = self._mine
        self._is_made = mine is not None and is_made(mine, release, model, self._before, in_place=in_place)
        # Those of a web app are settings, which can't change while it runs.
        can_note = mine if release.kind != "webapp" else None
        self._outdated = outdated(can_note, tags_for(release, found, model, tags)) if can_note else []
        moves = with_traffic and not in_place
        self._moves = steps(self._before, release.deployment, release.traffic, release.prior) if moves else []
        self._others = [name for name in found.deployments if name != release.deployment] if found else []

    def standing(self) -> Iterator[str]:
        """Say what is there, the deployments that have most of the traffic first."""
        if self._found is None:
            yield f"There now:    nothing, no {_KINDS[self._release.kind]} of this name exists"
            return
        by_share = sorted(self._found.deployments.values(), key=lambda each: -self._before.get(each.name, 0))
        described = [
            f"{each.name}: {self._before.get(each.name, 0)} % of the traffic, version {short(version_of(each))},"
            f" {each.state}"
            for each in by_share
        ]
        if len(described) > _SHOWN:
            described[_SHOWN - 1 :] = [f"and {len(described) - _SHOWN + 1} more: see llmops endpoint list"]
        for number, line in enumerate(described or ["the endpoint, without deployments"]):
            yield f"{'' if number else 'There now:':13} {line}"

    def actions(self, *, is_registered: bool) -> Iterator[str]:
        """Say what would be done, one line for each action."""
        if not self._is_made:
            yield from self._making(is_registered=is_registered)
            yield self._test("" if self._in_place else ", before it gets any traffic")
        elif self._outdated:
            yield f"Update tags of the deployment '{self._release.deployment}': {', '.join(self._outdated)}."
        if self._is_made and self._moves:
            yield self._test(", before traffic is moved")
        for number, traffic in enumerate(self._moves, start=1):
            yield self._move(traffic, is_last=number == len(self._moves))

    def _making(self, *, is_registered: bool) -> Iterator[str]:
        release, model = self._release, self._model
        if is_registered:
            yield f"Use model {model.name}:{model.version} of the workspace, which holds this version of the flow."
        else:
            yield "Register the flow's files as a model of the workspace."
        if self._found is None:
            yield f"Create the {_KINDS[release.kind]} '{release.endpoint}', without traffic{self._login()}."
        if self._mine and not holds(self._mine, model):
            yield f"Delete the deployment '{release.deployment}', which has no traffic and is of another version."
        yield self._building()
        where = "beside what is there, without traffic" if self._others else "without traffic"
        if self._in_place:
            where = "in the place of what runs there now"
        variables, connections = ", ".join(release.environment_variables), ", ".join(release.connections)
        yield (
            f"Make the deployment '{release.deployment}' {where}: {self._size()}"
            + (f"; with environment variables {variables}" if variables else "")
            + (f"; it reads connections {connections} of the workspace" if connections else "")
            + f". Wait until it is healthy, for {format_duration(release.timeout)} at most (timeout),"
            + " with the build of its image."
            + (" Until then, callers may be without an answer." if self._in_place else "")
        )

    def _building(self) -> str:
        if self._release.webapp:
            return f"Build its image in registry '{self._release.webapp.registry}': some minutes, which are paid for."
        what = "Register its environment, which says how its image is built"
        return f"{what}. Azure then builds that, unless it has an identical one: some minutes, which are paid for."

    def _login(self) -> str:
        release = self._release
        if release.kind == "webapp":
            return ""
        login = "a key" if release.auth == "key" else "a Microsoft Entra token"
        return f"; callers log in with {login}. It runs as {self._identity()}"

    def _identity(self) -> str:
        """Say who the flow is for the workspace, and who sees to it that it may read its connections."""
        release = self._release
        if not (named := release.identity.rpartition("/")[2]):
            named = "an identity of its own, which Azure makes"
        if not release.connections:
            return named
        if release.identity or release.kind == "kubernetes":
            return f"{named}. To read connections, that needs the role '{_READER}' on the workspace: give it"
        rights = "and lets read the connections, if your login may read their secrets"
        return f"{named} {rights}. Rights take minutes to hold: if the first attempt fails, repeat it"

    def _size(self) -> str:
        release = self._release
        if release.webapp:
            return f"a container on plan {release.webapp.plan} ({release.webapp.sku})"
        count = "1 instance" if release.instance_count == 1 else f"{release.instance_count} instances"
        if release.kubernetes:
            cluster = release.kubernetes
            return f"{count} of {cluster.cpu} CPU and {cluster.memory} memory on compute {cluster.compute}"
        return f"{count} of {release.instance_type}"

    def _test(self, when: str) -> str:
        sample = self._release.sample.name if self._release.sample else "the first row of the data"
        outputs = self._flow.outputs
        named = f"{'output' if len(outputs) == 1 else 'outputs'} {', '.join(outputs)}" if outputs else "an output"
        whom = "it" if self._in_place else f"'{self._release.deployment}' directly, past the routing"
        return f"Ask {whom}: one request, with {sample}. The answer needs status 200 and {named}{when}."

    def _move(self, traffic: Traffic, *, is_last: bool) -> str:
        release = self._release
        share = traffic.get(release.deployment, 0)
        alone = share == ALL and release.traffic[0] < ALL and not self._before
        why = " (nobody else is there to share with)" if alone else ""
        whom = f"'{release.deployment}' directly" if share < ALL else "the endpoint"
        then = ""
        if not is_last and release.pause:
            then = f"; wait for {format_duration(release.pause)} (pause), and ask once more"
        elif not is_last:
            then = "; pause is 0s, so nobody watches: the next step follows at once"
        stays = " It stays so, as traffic ends there: llmops promote gives it all." if is_last and share < ALL else ""
        return f"Set the traffic to {in_words(traffic)}{why}. Ask {whom}: one request{then}.{stays}"

    def failure(self) -> Iterator[str]:
        """Say what happens where a step fails, or is interrupted."""
        if self._in_place:
            traffic = "what ran before is put back"
        elif not self._moves:
            traffic = "the traffic is as before, it was never moved"
        elif self._before:
            traffic = f"traffic that was moved goes back to {in_words(self._before)}"
        else:
            traffic = "nobody gets traffic, as before"
        parts = [traffic]
        if not self._is_made:
            parts += [] if self._in_place else [f"'{self._release.deployment}' {self._end()}"]
            parts += ["the model and its image stay" if self._found else "model, image and the empty endpoint stay"]
        yield f"If it fails:  {'; '.join(parts)}."
        yield "              Exit code 1, and the end of the deployment's log; Ctrl-C: the same, exit code 130, no log."

    def cost(self, making: int) -> Iterator[str]:
        """Say what is paid for, from the step on that makes the deployment."""
        then = f"; {self._paid_too()}" if self._others and not self._in_place else ""
        if self._is_made:
            yield f"Cost:         no more than now{then}."
        elif self._release.webapp:
            app = self._release.webapp
            yield f"Cost:         plan {app.plan} ({app.sku}), which is made if it is not there{then}."
        else:
            yield f"Cost:         {self._size()}, from step {making} on, until somebody deletes it{then}."

    def untouched(self) -> Iterator[str]:
        """Say what is left alone."""
        if not self._with_traffic:
            yield "Not done:     no traffic is moved (--no-traffic); llmops traffic does that."
        if self._found is not None:
            yield "Left alone:   the settings of the endpoint, its keys, and other deployments but for their share."
        earlier = [name for name in self._others if self._before.get(name)]
        if earlier and self._moves:
            back = f"llmops rollback gives the traffic back to {' and '.join(earlier)}, as long as that is there"
            yield f"To go back:   {back}; then '{self._release.deployment}' {self._end()}."

    def _end(self) -> str:
        """Say what becomes of the deployment that is not wanted any more."""
        on_failure = self._release.on_failure
        return f"is {'kept, without traffic' if on_failure == 'keep' else 'deleted'} (on_failure: {on_failure})"

    def _paid_too(self) -> str:
        run, are = ("runs", "is") if len(self._others) == 1 else ("run", "are")
        return f"{', '.join(self._others)} {run} on as before, and {are} paid for too"
