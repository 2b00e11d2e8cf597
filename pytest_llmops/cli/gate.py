"""``llmops gate``: the decision as a step of its own, for whatever comes after it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.reports.gate_check import GateCheck

_AUTO = "auto"
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "gate", "say whether the gate is open, by gate.json alone: exit code 0 or 1")
    add_check(parser)
    parser.add_argument("--ado", action="store_true", help="write for Azure DevOps, as where TF_BUILD is set")
    parser.set_defaults(command=_run)


def add_check(parser: argparse.ArgumentParser) -> None:
    """Declare the options that ``checked`` obeys, and the folder as an argument too."""
    folder = parser.add_mutually_exclusive_group()
    # Without a default of its own: argparse would put that in place of what the option says.
    folder.add_argument(
        "report_dir", nargs="?", default=argparse.SUPPRESS, metavar="DIR", help="reports of a session (reports)"
    )
    folder.add_argument("--report-dir", default="reports", metavar="DIR", help="the same, as an option")
    add_expected(parser)


def add_expected(parser: argparse._ActionsContainer) -> None:
    """Declare the options that say what a decision has to be of."""
    parser.add_argument(
        "--max-age", default="24h", metavar="AGE", help="an older decision is closed, such as 24h, the default, or 7d"
    )
    parser.add_argument(
        "--commit",
        default=_AUTO,
        metavar="SHA",
        help="commit that the results have to be of; auto, the default: the pipeline's, or the one checked out here",
    )
    parser.add_argument(
        "--complete", action="store_true", help="closed as well if rows, repeats, variants or thresholds were limited"
    )


def checked(options: argparse.Namespace, environ: Mapping[str, str]) -> GateCheck:
    """Check the decision against this time, commit and run of a pipeline.

    Raises:
        LLMOpsError: for an option that can't be read.
    """
    from datetime import datetime, timezone

    from pytest_llmops.ado.environment import Pipeline, is_agent, read_pipeline
    from pytest_llmops.durations import parse_duration
    from pytest_llmops.reports.gate_check import Expected, check_gate

    try:
        max_age = parse_duration(options.max_age)
    except ValueError as problem:
        raise LLMOpsError(f"--max-age: {problem}") from None
    pipeline = read_pipeline(environ) if is_agent(environ) else Pipeline()
    expected = Expected(
        now=datetime.now(timezone.utc),
        max_age=max_age,
        commit=_commit(options.commit, pipeline.commit),
        build=pipeline.build,
        complete=options.complete,
    )
    return check_gate(Path(options.report_dir), expected)


def _commit(given: str, of_pipeline: str) -> str:
    if given != _AUTO:
        if _COMMIT.fullmatch(given.lower()) is None:
            raise LLMOpsError(f"--commit: {given!r} is no commit; give 7 to 64 hexadecimal digits, or auto")
        return given.lower()
    if of_pipeline:
        return of_pipeline.lower()
    from pytest_llmops.baselines import commit_of
    from pytest_llmops.records.report import COMMIT

    return commit_of(Path.cwd()).get(COMMIT, "")


def _run(options: argparse.Namespace) -> int:
    from pytest_llmops.ado.commands import emit
    from pytest_llmops.ado.environment import is_agent
    from pytest_llmops.reports.gate_check import GateCheck
    from pytest_llmops.reports.gate_words import gate_lines

    said = GateCheck(problems=("the check did not finish",))
    try:
        check = _checked_whatever_happens(options)
        show(gate_lines(check))
        said = check
    finally:
        # Once, and last: the variable is set to open only where all else went well.
        if options.ado or is_agent(os.environ):
            emit(_commands(said), sys.stdout)
    return 0 if said.is_open else 1


def _checked_whatever_happens(options: argparse.Namespace) -> GateCheck:
    from pytest_llmops.reports.gate_check import GateCheck

    try:
        return checked(options, os.environ)
    except LLMOpsError:
        raise
    except Exception as error:  # a fault of ours, on which the gate must be closed like on any other
        return GateCheck(problems=(f"the check failed ({type(error).__name__}); please report it",))


def _commands(check: GateCheck) -> list[str]:
    from pytest_llmops.ado.commands import log_issue, set_output
    from pytest_llmops.reports.gate_words import gate_summary, why

    closed = [] if check.is_open else [log_issue("error", f"gate: closed: {why(check)}")]
    return [*closed, set_output("summary", gate_summary(check)), set_output("decision", check.state)]
