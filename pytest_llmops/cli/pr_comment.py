"""``llmops pr-comment``: the decision on the pull request, as one comment and one status.

It never changes the verdict: what can't be said there is explained, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, complain, show
from pytest_llmops.cli.gate import add_check, checked
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.ado.environment import Pipeline
    from pytest_llmops.ado.pull_requests import State
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.report import Report
    from pytest_llmops.reports.gate_check import GateCheck

_SUITE = "gate"
_LONGEST = 100
_AZURE_REPOS = "TfsGit"
_NOT_MAPPED = (
    "pull request {}: no token, so neither comment nor status; map it in the step: "
    "env: {{SYSTEM_ACCESSTOKEN: $(System.AccessToken)}}"
)


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "pr-comment", "put the decision on the pull request in Azure Repos")
    add_check(parser)
    parser.add_argument(
        "--suite",
        default=_SUITE,
        metavar="NAME",
        help=f"name of the status, and of the comment: each suite has one; without it, {_SUITE}",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the comment and the status, and send nothing")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from pytest_llmops.ado.environment import read_pipeline

    if not options.suite.strip() or not options.suite.isprintable() or len(options.suite) > _LONGEST:
        raise LLMOpsError(f"--suite: give a name of 1 to {_LONGEST} characters on one line")
    pipeline = read_pipeline(os.environ)
    check = checked(options, os.environ)
    if options.dry_run:
        show([*_text(options, pipeline, check).splitlines(), f"status: llmops/{options.suite}: {_state(check)}"])
    elif not pipeline.pull_request.isdecimal():
        show(["this run is not of a pull request: nothing to do"])
    elif pipeline.provider != _AZURE_REPOS:
        show([f"the repository is not in Azure Repos, but {pipeline.provider or 'elsewhere'}: nothing to do"])
    elif not pipeline.token:
        _warn(_NOT_MAPPED.format(pipeline.pull_request))
    else:
        _send(options, pipeline, check)
    return 0


def _send(options: argparse.Namespace, pipeline: Pipeline, check: GateCheck) -> None:
    from pytest_llmops.ado.comment import marker_of
    from pytest_llmops.ado.pull_requests import PullRequest
    from pytest_llmops.reports.gate_words import why

    pull_request = PullRequest(pipeline)
    name = f"pull request {pipeline.pull_request}"
    marker, text = marker_of(pipeline.definition, options.suite), _text(options, pipeline, check)

    def comment() -> str:
        done = pull_request.comment(marker, text, "fixed" if check.is_open else "active")
        return f"{name}: comment {done}"

    def status() -> str:
        done = pull_request.set_status(_state(check), options.suite, f"gate {check.state}: {why(check)}"[:200])
        return f"{name}: status llmops/{options.suite} {done}"

    for action in (comment, status):
        _attempt(action)


def _attempt(action: Callable[[], str]) -> None:
    try:
        show([action()])
    except LLMOpsError as problem:
        _warn(str(problem))


def _text(options: argparse.Namespace, pipeline: Pipeline, check: GateCheck) -> str:
    from pytest_llmops.ado.comment import comment_text

    report, note = _report_of(Path(options.report_dir), check)
    return comment_text(check, report, suite=options.suite, run=pipeline, note=note)


def _report_of(folder: Path, check: GateCheck) -> tuple[Report | None, str]:
    """Read what the decision was made on. Returns it, or why it is not known."""
    from pytest_llmops.reports import results

    if check.file is None:
        return None, ""
    try:
        report = results.read(folder / results.FILE)
    except LLMOpsError as problem:
        return None, str(problem)
    if (report.created, report.decision.state) != (check.file.created, check.file.state):
        return None, f"{folder / results.FILE}: it is of another session than the decision"
    return report, ""


def _state(check: GateCheck) -> State:
    if check.is_open:
        return "succeeded"
    return "failed" if check.file is not None and check.file.state == "closed" and not check.problems else "error"


def _warn(text: str) -> None:
    """Say what was not done: for the page of the run where there is one."""
    from pytest_llmops.ado.commands import emit, log_issue
    from pytest_llmops.ado.environment import is_agent
    from pytest_llmops.reports.text import one_line

    if is_agent(os.environ):
        emit([log_issue("warning", one_line(text, 1000))], sys.stdout)
    else:
        complain(text)
