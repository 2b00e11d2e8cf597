"""``llmops deploy``: a new deployment beside the old, tested, and given its traffic step by step."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from pytest_llmops.cli.admitting import add_admission, admitted, refusal
from pytest_llmops.cli.azure_options import connected
from pytest_llmops.cli.base import show
from pytest_llmops.cli.releasing import (
    Target,
    add_release_command,
    rollout_of,
    set_outputs,
    target_of,
    tell,
)
from pytest_llmops.errors import AccessError

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.deployment.admission import Admission

_CLOSED, _WRONG = 1, 4
_SHOWN = 3
"""How many gates that failed are told about."""


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_release_command(
        commands, "deploy", "deploy a flow beside what is there, if its gate is open, and move the traffic to it"
    )
    parser.add_argument("--no-traffic", action="store_true", help="stop where it is tested and has no traffic yet")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add_admission(parser)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    admission = admitted(options)
    target = _target(options, admission)
    if options.dry_run:
        client = connected(options, admission.experiment.folder)
        show(_planned(target, client, admission, with_traffic=not options.no_traffic))
        return 0 if admission.is_open else _WRONG if admission.foreign else _CLOSED
    if code := refusal(admission):
        return code
    for note in target.release.notes:
        tell(f"note: {note}")
    _deploy(target, connected(options, admission.experiment.folder), admission, with_traffic=not options.no_traffic)
    return 0


def _target(options: argparse.Namespace, admission: Admission) -> Target:
    from pytest_llmops.deployment.initial import with_init

    target = target_of(options, admission.experiment, admission.digest)
    return replace(target, release=with_init(target.release, admission.experiment, admission.variant))


def _deploy(target: Target, client: Client, admission: Admission, *, with_traffic: bool) -> None:
    from pytest_llmops.cli.register import packed, register_admitted
    from pytest_llmops.deployment.admission import tags_of

    release = target.release
    made_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    # Before anything of that name is made, so that whatever comes of it can be taken back; the name last, as it is what
    # a pipeline goes by.
    starting = partial(set_outputs, {"digest": admission.digest, "deployment": release.deployment})
    with packed(admission) as package, rollout_of(replace(target, flow=package.flow), client, starting) as rollout:
        is_there = rollout.check(admission.digest, with_traffic=with_traffic)
        model = register_admitted(client, admission, package, in_use=is_there)
        tags = {**tags_of(admission), "llmops_deployed": made_at, "llmops_model": model.version}
        try:
            url = rollout.deploy(model, tags, with_traffic=with_traffic)
        except AccessError:
            tell(f"nothing was deployed; model {model.name}:{model.version} stays, and is used the next time")
            raise
    set_outputs({"endpoint": url})


def _planned(target: Target, client: Client, admission: Admission, *, with_traffic: bool) -> list[str]:
    """Return the text of a dry run. What the command itself would refuse is refused here, too."""
    from pytest_llmops.azure.models import find, model_name
    from pytest_llmops.cli.register import packed
    from pytest_llmops.deployment.admission import approval_of, tags_of
    from pytest_llmops.deployment.plan import plan_lines

    experiment, tags = admission.experiment, tags_of(admission)
    with packed(admission) as package, rollout_of(replace(target, flow=package.flow), client) as rollout:
        if admission.is_open:
            rollout.check(admission.digest, with_traffic=with_traffic)
        service = rollout.around.service
        return plan_lines(
            target.release,
            service.find(target.release.endpoint),
            find(client, model_name(experiment.name), admission.digest, approval_of(tags)),
            tags,
            flow=experiment.flow,
            digest=admission.digest,
            workspace=client.workspace,
            reasons=[*admission.reasons, *_closed_by(admission)],
            override=admission.override if admission.overridden else None,
            in_place=service.in_place,
            with_traffic=with_traffic,
        )


def _closed_by(admission: Admission) -> Iterator[str]:
    """Yield the gates that closed the decision, the first few of them."""
    from pytest_llmops.reports.gate_words import line_text

    closing = admission.check.file.closing if admission.check.file else ()
    yield from (f"closed by {line_text(line)}" for line in closing[:_SHOWN])
    if len(closing) > _SHOWN:
        yield f"closed by {len(closing) - _SHOWN} more: see llmops gate"
