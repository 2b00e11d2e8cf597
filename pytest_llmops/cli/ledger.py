"""``llmops ledger``: looks after the outcomes that are kept for later sessions."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.ledger import Info, Ledger

_PATIENCE = 5.0  # seconds that a locked ledger is waited for


def add_parser(commands: Commands) -> None:
    """Declare the command and its actions."""
    parser = add_command(commands, "ledger", "look after the outcomes that are kept for later sessions")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    info = add_command(actions, "info", "say how much is kept, of which flows, and how old it is")
    info.set_defaults(command=_info)
    prune = add_command(actions, "prune", "forget what is no longer used")
    prune.set_defaults(command=_prune)
    which = prune.add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", metavar="AGE", help="what no session has used for so long, such as 12h or 30d")
    which.add_argument("--all", action="store_true", help="everything")
    for action in (info, prune):
        action.add_argument("--ledger", metavar="FOLDER", help="folder of the ledger (LLMOPS_LEDGER, or .llmops)")


def _info(options: argparse.Namespace) -> int:
    from pytest_llmops.reports.ages import iso_time

    with _opened(options) as (_, info):
        lines = {
            "runs": str(info.runs),
            "row outcomes": str(info.outcomes),
            "flows": ", ".join(info.flows) or "none",
            "size": _size(info),
            "oldest": iso_time(info.oldest) or "none",
            "newest": iso_time(info.newest) or "none",
        }
    show(f"{name}: {value}" for name, value in lines.items())
    return 0


def _prune(options: argparse.Namespace) -> int:
    from pytest_llmops.durations import parse_duration

    try:
        unused_for = 0.0 if options.all else parse_duration(options.older_than)
    except ValueError as error:
        raise LLMOpsError(f"--older-than: {error}") from None
    with _opened(options) as (ledger, _):
        count = ledger.prune(unused_for)
        left = ledger.info()
    show([f"removed: {count} runs and row outcomes", f"left: {left.runs + left.outcomes}, {_size(left)}"])
    return 0


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Ledger, Info]]:
    """Open the ledger, which has to be there.

    Raises:
        LLMOpsError: where it is missing, or trouble with it was met, until the end.
    """
    from pytest_llmops.ledger import Ledger

    folder = Path(options.ledger or os.environ.get("LLMOPS_LEDGER") or ".llmops")
    with closing(Ledger(folder, patience=_PATIENCE)) as ledger:
        info = ledger.info()
        _check(ledger)
        if not info.size:
            raise LLMOpsError(f"ledger {folder}: there is none; give the folder of one with --ledger")
        yield ledger, info
        _check(ledger)


def _check(ledger: Ledger) -> None:
    if ledger.troubles:
        raise LLMOpsError("\n".join(ledger.troubles))


def _size(info: Info) -> str:
    return f"{info.size / 1_000_000:.1f} MB"
