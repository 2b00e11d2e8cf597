"""The ``llmops`` command: thin over the library, a module for each of its commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_llmops import __version__
from pytest_llmops.cli import baseline, compare, ledger, mutate, noise, regate, schema
from pytest_llmops.errors import LLMOpsError

_COMMANDS = (schema, ledger, baseline, compare, regate, noise, mutate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, 1 where what it found is bad, 4 for a usage or configuration error.

    The codes mean what they mean to pytest.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except LLMOpsError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmops", description="Tools around the evaluation of LLM flows with pytest.")
    parser.add_argument("--version", action="version", version=f"llmops {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
