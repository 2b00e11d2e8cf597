"""The ``llmops`` command: thin over the library."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops import __version__
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.ledger import Info, Ledger

_PATIENCE = 5.0  # seconds that a locked ledger is waited for


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, or 4 for a usage or configuration error, as pytest has it."""
    options = _parser().parse_args(arguments)
    try:
        sys.stdout.write(options.command(options))
    except LLMOpsError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmops", description="Tools around the evaluation of LLM flows with pytest.")
    parser.add_argument("--version", action="version", version=f"llmops {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    schema = commands.add_parser("schema", help="print the JSON schema of experiment.yaml, for editors")
    schema.set_defaults(command=_schema)
    ledger = commands.add_parser("ledger", help="look after the outcomes that are kept for later sessions")
    actions = ledger.add_subparsers(required=True, metavar="ACTION")
    info = actions.add_parser("info", help="say how much is kept, of which flows, and how old it is")
    info.set_defaults(command=_ledger_info)
    prune = actions.add_parser("prune", help="forget what is no longer used")
    prune.set_defaults(command=_ledger_prune)
    which = prune.add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", metavar="AGE", help="what no session has used for so long, such as 12h or 30d")
    which.add_argument("--all", action="store_true", help="everything")
    for action in (info, prune):
        action.add_argument("--ledger", metavar="FOLDER", help="folder of the ledger (LLMOPS_LEDGER, or .llmops)")
    return parser


def _schema(options: argparse.Namespace) -> str:
    import json

    from pytest_llmops.spec import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def _ledger_info(options: argparse.Namespace) -> str:
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
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _ledger_prune(options: argparse.Namespace) -> str:
    from pytest_llmops.durations import parse_duration

    try:
        unused_for = 0.0 if options.all else parse_duration(options.older_than)
    except ValueError as error:
        raise LLMOpsError(f"--older-than: {error}") from None
    with _opened(options) as (ledger, _):
        count = ledger.prune(unused_for)
        left = ledger.info()
    return f"removed: {count} runs and row outcomes\nleft: {left.runs + left.outcomes}, {_size(left)}\n"


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
