"""``llmops traffic``, ``promote`` and ``rollback``: who gets the requests of an endpoint."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from pytest_llmops.cli.releasing import add_release_command, reach, reach_deployed, rollout_of

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands

_ALL = 100
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    traffic = add_release_command(
        commands, "traffic", "give a deployment its traffic, in the configured steps with a test at each"
    )
    traffic.add_argument("--percent", type=_percent, metavar="N", help="this share at once, in place of the steps")
    traffic.set_defaults(command=_traffic)
    promote = add_release_command(commands, "promote", "give a deployment all traffic at once, if it answers")
    promote.set_defaults(command=_promote)
    rollback = add_release_command(
        commands, "rollback", "give a deployment's traffic back to who had it before, and remove it if so configured"
    )
    rollback.set_defaults(command=_rollback)
    for parser in (traffic, promote, rollback):
        parser.add_argument(
            "--digest",
            type=_digest,
            help="act on this version of the flow alone: its digest, or how that begins, as the output of deploy",
        )


def _percent(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= _ALL:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no share in percent; give a whole number from 0 to 100")


def _digest(text: str) -> str:
    if _DIGEST.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no digest of a flow; give 8 to 64 digits of 0-9 and a-f")


def _traffic(options: argparse.Namespace) -> int:
    with rollout_of(*reach(options)) as rollout:
        if options.percent is None:
            rollout.advance(options.digest or "")
        else:
            rollout.set_share(options.percent, options.digest or "")
    return 0


def _promote(options: argparse.Namespace) -> int:
    with rollout_of(*reach(options)) as rollout:
        rollout.set_share(_ALL, options.digest or "")
    return 0


def _rollback(options: argparse.Namespace) -> int:
    with rollout_of(*reach_deployed(options)) as rollout:
        rollout.rollback(options.digest or "")
    return 0
