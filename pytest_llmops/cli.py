"""The ``llmops`` command: thin over the library."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_llmops import __version__
from pytest_llmops.errors import LLMOpsError


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
    return parser


def _schema(options: argparse.Namespace) -> str:
    import json

    from pytest_llmops.spec import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"
