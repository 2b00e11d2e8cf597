"""How commands ask whether a flow may go on, and say why not."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import complain, show
from pytest_llmops.cli.gate import add_expected, checked

if TYPE_CHECKING:
    from pytest_llmops.deployment.admission import Admission
    from pytest_llmops.reports.gate_check import GateCheck

_CLOSED, _WRONG = 1, 4


def add_admission(parser: argparse.ArgumentParser) -> None:
    """Declare the options that ``admitted`` obeys."""
    parser.add_argument("--variant", metavar="ID", help="variant of the flow, by its id; without it, the default one")
    group = parser.add_argument_group("gate")
    group.add_argument("--report-dir", default="reports", metavar="DIR", help="reports with the decision (reports)")
    add_expected(group)
    group.add_argument(
        "--override-gate",
        metavar="REASON",
        help="go on although the gate is closed; the reason is kept in the tags of what is made",
    )


def admitted(options: argparse.Namespace) -> Admission:
    """Decide whether the experiment that the options name may go on to the environment that they name.

    It is loaded with the overlay that its gate was decided with: that of the environment, or none.

    Raises:
        ConfigurationError: with every problem of the experiment file.
        LLMOpsError: for an option that can't be obeyed.
    """
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.cli.loading import experiment_file
    from pytest_llmops.deployment.admission import admit, find_variant, overlay_of, read_override
    from pytest_llmops.spec import load_experiment

    override = read_override(options.override_gate, os.environ)
    file = experiment_file(options.experiment)
    check = checked(options, os.environ)
    experiment = load_experiment(
        file,
        root=root_of(file.parent),
        env=overlay_of(check, options.env),
        environ=os.environ,
        baseline=_baseline(check),
    )
    variant = find_variant(experiment, options.variant)
    return admit(check, experiment, variant, env=options.env, override=override)


def _baseline(check: GateCheck) -> Path | None:
    """Return what the session was compared with in place of what the file says; it need not be here."""
    given = check.file.settings.get("baseline") if check.file else None
    return Path(given).absolute() if given else None


def refusal(admission: Admission) -> int:
    """Say what stands against an admission, and on whose word it is made all the same.

    Returns:
        The exit code of a refusal: 1 for a closed gate, 4 for a decision on something else; 0 where there is none.
    """
    if not admission.reasons:
        if admission.override is not None:
            show(["--override-gate: not needed, the gate is open; nothing is overridden"])
        return 0
    if admission.is_open and admission.override is not None:
        by = f"THE GATE IS OVERRIDDEN by {admission.override.by}: {admission.override.reason}"
        _warn(f"{by}; against it: {'; '.join(admission.reasons)}")
        for line in (by, *(f"  against it: {reason}" for reason in admission.reasons)):
            complain(line)
        return 0
    for reason in admission.reasons:
        complain(reason)
    return _WRONG if admission.foreign else _CLOSED


def _warn(text: str) -> None:
    """Have the pipeline's run, if this is one, show a warning."""
    from pytest_llmops.ado.commands import emit, log_issue
    from pytest_llmops.ado.environment import is_agent

    if is_agent(os.environ):
        emit([log_issue("warning", text)], sys.stdout)
