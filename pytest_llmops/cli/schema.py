"""``llmops schema``: the JSON schema of ``experiment.yaml``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "schema", "print the JSON schema of experiment.yaml, for editors")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    import json

    from pytest_llmops.spec import json_schema

    show([json.dumps(json_schema(), indent=2)])
    return 0
