"""``llmops noise``: runs the same version against itself, and proposes what gates need because of its noise."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.loading import load_as_asked
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "noise", "run a version against itself, and propose margins for its noise")
    parser.add_argument("experiment", metavar="FILE", help="an experiment.yaml")
    parser.add_argument("--repeat", type=int, default=10, metavar="N", help="number of executions (default: 10)")
    parser.add_argument("--env", help="read the overlay experiment.ENV.yaml")
    parser.add_argument(
        "--llm", choices=("replay", "live", "auto"), default="replay", help="how LLM calls are answered"
    )
    parser.add_argument("--variants", metavar="NAMES", help="some of the variants, as for --llmops-variants")
    parser.add_argument("--ledger", metavar="FOLDER", help="reuse and keep outcomes there (default: none)")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Measure the noise. Returns 1 where nothing can be told of a cell."""
    from pytest_llmops.api import evaluate
    from pytest_llmops.records.experiment import MOST_REPEATS
    from pytest_llmops.reports.noise import noise_lines
    from pytest_llmops.stats.reruns import noise_of

    if options.repeat < 2:
        raise LLMOpsError(f"--repeat {options.repeat}: noise needs at least 2 repeats; 10 are a good start")
    if options.repeat > MOST_REPEATS:
        raise LLMOpsError(f"--repeat {options.repeat}: at most {MOST_REPEATS} repeats are run; 10 are a good start")
    experiment = load_as_asked(options)
    # Nothing is judged here, and "2-of-3" would refuse any other number of repeats.
    experiment = replace(experiment, gate=replace(experiment.gate, reduce="mean"), candidates=())
    report = evaluate(
        experiment, llm=options.llm, variants=options.variants, ledger=options.ledger, repeat=options.repeat
    )
    cells = [noise_of(cell, experiment) for cell in report.cells]
    show(noise_lines(experiment.name, cells))
    return 1 if any(cell.problems for cell in cells) else 0
