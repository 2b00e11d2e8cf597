"""``llmops ab``: two deployments of an endpoint on the same rows, and which of them should take the traffic."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.azure_options import add_azure, connected
from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.compare import show_comparison
from pytest_llmops.cli.loading import add_experiment, experiment_file
from pytest_llmops.cli.releasing import present_target, rollout_of, service_of, tell
from pytest_llmops.errors import CloudError, LLMOpsError
from pytest_llmops.records.deployment import FLOW_DIGEST

if TYPE_CHECKING:
    from pytest_llmops.api.pairs import Pair
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.deployment.ab import Choice
    from pytest_llmops.records.deployment import EndpointState, Release, Service
    from pytest_llmops.records.experiment import Experiment

_BASELINE = "baseline"
_ALL = 100


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "ab", "evaluate two deployments on the same rows, and say which should serve")
    add_experiment(parser)
    parser.add_argument("baseline", metavar="BASELINE", help="deployment that the other one is compared with")
    parser.add_argument("candidate", metavar="CANDIDATE", help="deployment that may take the traffic")
    parser.add_argument("--env", required=True, help="environment, whose endpoint has both deployments")
    parser.add_argument(
        "--kind",
        choices=("managed", "kubernetes"),
        help="which endpoint, where the configuration has several for the environment",
    )
    parser.add_argument("--promote", action="store_true", help="give the candidate the traffic if it passes")
    parser.add_argument("--rows", type=_count, metavar="N", help="use only the first N rows of every dataset")
    parser.add_argument(
        "--margin",
        type=_margin,
        metavar="SHARE",
        help="how much worse a score from 0 to 1 may be whose threshold has no margin (default: 0.05)",
    )
    parser.add_argument(
        "--llm", choices=("replay", "live", "auto"), default="replay", help="how LLM calls of evaluators are answered"
    )
    parser.add_argument("--report-dir", default="reports/ab", metavar="FOLDER", help="reports (default: reports/ab)")
    add_azure(parser)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    """Compare both. Returns 0 where the candidate passed, and 1 where the traffic should stay as it is."""
    from pytest_llmops.deployment.ab import choose, verdict_lines
    from pytest_llmops.reports.verdicts import headline

    experiment = _experiment(options)
    options.deployment = options.candidate
    target = present_target(options, experiment)
    if target.release.kind == "webapp":
        what = "it serves one version at a time, so there are no two to compare"
        raise LLMOpsError(f"web app '{target.release.endpoint}': {what}")
    client = connected(options, experiment.folder)
    service = service_of(target, client)
    found = _healthy(target.release, service, options)
    pair = _evaluated(experiment, found, service, options)
    show_comparison(pair.baseline, pair.candidate, "text")
    choice = choose(pair.candidate.gates)
    lines = list(verdict_lines(choice, options.baseline, options.candidate, headline))
    show(lines)
    _write(pair, choice, lines[0], options)
    if choice.verdict != "PASS":
        return 1
    if options.promote:
        # By now, another version may have that name.
        evaluated = found.deployments[options.candidate].tags.get(FLOW_DIGEST, "")
        with rollout_of(target, client) as rollout:
            rollout.set_share(_ALL, evaluated)
    return 0


def _experiment(options: argparse.Namespace) -> Experiment:
    """Load the experiment, for which the deployment that it is compared with is the baseline."""
    from pytest_llmops.api.assets import fetch_asset
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.deployment.names import check_deployment
    from pytest_llmops.records.experiment import RUN
    from pytest_llmops.spec import load_experiment

    if options.baseline == options.candidate:
        raise LLMOpsError(f"'{options.baseline}' is compared with itself; name two deployments")
    if refusal := check_deployment(options.baseline) or check_deployment(options.candidate):
        raise LLMOpsError(refusal)
    file = experiment_file(options.experiment)
    root = root_of(file.parent)
    experiment = load_experiment(
        file,
        root=root,
        env=options.env,
        environ=os.environ,
        live=options.llm != "replay",
        max_rows=options.rows,
        baseline=Path(options.baseline),
        fetch=partial(fetch_asset, folder=file.parent, root=root, environ=os.environ),
    )
    if all(threshold.evaluator == RUN for threshold in experiment.thresholds):
        raise LLMOpsError(f"{options.experiment}: no evaluator has a threshold, so nothing decides; set one")
    return experiment


def _healthy(release: Release, service: Service, options: argparse.Namespace) -> EndpointState:
    """Return the endpoint, which has both deployments, each healthy."""
    from pytest_llmops.deployment.standing import there

    names = (options.baseline, options.candidate)
    found = there(release, service.find(release.endpoint), *names)
    for name in names:
        if not (state := found.deployments[name]).ready:
            raise CloudError(f"{found.name}/{name}: it is not healthy (state {state.state})")
    return found


def _evaluated(experiment: Experiment, found: EndpointState, service: Service, options: argparse.Namespace) -> Pair:
    """Evaluate both deployments, each addressed directly."""
    from pytest_llmops.api.pairs import evaluate_pair
    from pytest_llmops.deployment.ab import MARGIN

    shares = {name: found.traffic.get(name, 0) for name in (options.baseline, options.candidate)}
    both = " and ".join(f"{name} ({share} % of the traffic)" for name, share in shares.items())
    tell(f"{found.name}: evaluating {both} on the same rows, side by side")
    return evaluate_pair(
        experiment,
        service.address(found.name, options.baseline),
        service.address(found.name, options.candidate),
        margin=MARGIN if options.margin is None else options.margin,
        llm=options.llm,
        max_rows=options.rows,
    )


def _write(pair: Pair, choice: Choice, verdict: str, options: argparse.Namespace) -> None:
    """Write the candidate's reports, whose gate is open only if it should take the traffic, and the baseline's."""
    from pytest_llmops.reports.write import write_reports
    from pytest_llmops.stats.gates import decide

    folder = Path(options.report_dir)
    obstacles = [] if choice.verdict == "PASS" else [verdict]
    compared = {**pair.candidate.settings, _BASELINE: f"deployment {options.baseline}"}
    candidate = replace(pair.candidate, decision=decide(pair.candidate.gates, obstacles), settings=compared)
    write_reports(pair.baseline, folder / _BASELINE, "--report-dir")
    write_reports(candidate, folder, "--report-dir")
    show([f"reports: {(folder / 'index.html').as_posix()}"])


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")


def _margin(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (share := float(text)) < 1:
            return share
    raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1, such as 0.05")
