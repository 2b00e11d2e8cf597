"""``llmops audit``: what of a flow a candidate for its place does not cover."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.loading import add_experiment, experiment_file
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.experiment import Candidate, Experiment


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "audit", "list what of a flow its candidates do not cover, by reading their files")
    add_experiment(parser)
    parser.add_argument("--env", help="read the overlay experiment.ENV.yaml")
    parser.add_argument("--candidate", metavar="NAME", help="one of the candidates (default: all)")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    """Audit candidates. Returns 1 where something is open: a question to a person."""
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.auditing import audit
    from pytest_llmops.reports.audit import audit_lines, json_lines
    from pytest_llmops.spec import load_experiment

    file = experiment_file(options.experiment)
    experiment = load_experiment(file, root=root_of(file.parent), env=options.env, environ=os.environ)
    audits = [audit(experiment, candidate) for candidate in _chosen(experiment, options)]
    lines = json_lines if options.format == "json" else audit_lines
    show(lines(experiment.name, experiment.flow.name, audits))
    return 1 if any(each.open for each in audits) else 0


def _chosen(experiment: Experiment, options: argparse.Namespace) -> tuple[Candidate, ...]:
    """Return the candidates to audit.

    Raises:
        LLMOpsError: where there is none.
    """
    from pytest_llmops.spec.suggest import suggest

    names = [candidate.name for candidate in experiment.candidates]
    if not names:
        overlay = experiment.file.with_name(f"experiment.{options.env}.yaml")
        missing = f" (there is no {overlay.name})" if options.env and not overlay.is_file() else ""
        raise LLMOpsError(f"{options.experiment}: it has no candidates{missing}; write them under llmops.candidates")
    if options.candidate is not None and options.candidate not in names:
        hint = suggest(options.candidate, names, "it has")
        raise LLMOpsError(f"--candidate: {options.experiment} has no candidate '{options.candidate}'; {hint}")
    return tuple(each for each in experiment.candidates if options.candidate in (None, each.name))
