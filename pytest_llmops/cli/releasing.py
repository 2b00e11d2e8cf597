"""What commands about a deployment share: which one is meant, where it is, and how it is changed safely."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.cli.azure_options import add_azure, connected
from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.loading import add_experiment
from pytest_llmops.errors import ConfigurationError, LLMOpsError
from pytest_llmops.records.deployment import Release, Traffic
from pytest_llmops.records.experiment import Experiment, Flow, VariantRules

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.deployment.rollout import Rollout
    from pytest_llmops.records.cloud import Address, Workspace
    from pytest_llmops.records.deployment import EndpointState, Service
    from pytest_llmops.spec.released import Released

_TEST_TIMEOUT = 180.0
"""How long a test request may take in all, with what it is repeated, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A deployment, and the request that it is tested with.

    ``asked`` is the experiment as it stands on the command line. Commands that test nothing have no ``sample``, and
    those that make nothing need no ``flow``.
    """

    release: Release
    asked: str
    flow: Flow | None = None
    sample: Path | Mapping[str, Any] | None = None

    def test(self, address: Address) -> list[str]:
        """Send the test request, and return what is wrong with the answer."""
        from pytest_llmops.deployment.smoke import check

        if self.flow is None or self.sample is None:
            raise TypeError("a test needs a flow and a request")
        return check(address, self.sample, self.flow, timeout=_TEST_TIMEOUT)


def add_release_command(commands: Commands, name: str, purpose: str) -> argparse.ArgumentParser:
    """Declare a command about a deployment of an experiment's flow."""
    parser = add_command(commands, name, purpose)
    add_target(parser)
    return parser


def add_target(parser: argparse.ArgumentParser) -> None:
    """Declare the options that ``target_of`` and ``connected`` obey."""
    add_experiment(parser)
    parser.add_argument("--env", required=True, help="environment, as the deployment's configuration names it")
    parser.add_argument(
        "--kind",
        choices=("managed", "kubernetes", "webapp"),
        help="which endpoint, where the configuration has several for the environment",
    )
    parser.add_argument(
        "--deployment", default="", metavar="NAME", help="deployment; without it, the configured one, or by the flow"
    )
    add_azure(parser)


def target_of(options: argparse.Namespace, experiment: Experiment, digest: str) -> Target:
    """Find out what is to be deployed where, of a flow with a digest, with the values of all variables.

    Raises:
        ConfigurationError: for a configuration that is wrong, a name that Azure refuses, a variable that is not set,
            and want of a test request.
    """
    from pytest_llmops.deployment.config import read_release, request_for
    from pytest_llmops.deployment.names import deployment_name

    flow = experiment.flow
    release = read_release(experiment, options.env, kind=options.kind)
    release = _named(options, release, lambda: deployment_name(flow.name, digest))
    return Target(release=release, asked=options.experiment, flow=flow, sample=request_for(release, experiment))


def present_target(options: argparse.Namespace, experiment: Experiment) -> Target:
    """Find out which of the deployments that are there is meant, and what it is tested with.

    Raises:
        ConfigurationError: for a configuration that is wrong, a name that Azure refuses, and want of a test request.
    """
    from pytest_llmops.deployment.config import find_release, request_for

    flow = experiment.flow
    release = find_release(experiment.file, experiment.releases, options.env, kind=options.kind)
    release = _named(options, release, lambda: _name_by(flow, experiment.variants))
    return Target(release=release, asked=options.experiment, flow=flow, sample=request_for(release, experiment))


def reach(options: argparse.Namespace) -> tuple[Target, Client]:
    """Return which of the deployments that are there is meant, ready to be tested, and the workspace that it is in."""
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.cli.loading import experiment_file
    from pytest_llmops.spec import load_experiment

    file = experiment_file(options.experiment)
    experiment = load_experiment(file, root=root_of(file.parent), environ=os.environ)
    return present_target(options, experiment), connected(options, experiment.folder)


def reach_endpoint(options: argparse.Namespace) -> tuple[Target, Client]:
    """Return which endpoint is meant, and the workspace that it is in. Data, variables and the flow are not read."""
    released, release = _released(options)
    return Target(release=release, asked=options.experiment), connected(options, released.file.parent)


def reach_deployed(options: argparse.Namespace) -> tuple[Target, Client]:
    """Do what ``reach`` does for who tests nothing: data and variables are not read, and of the flow only its name.

    Where no deployment is named, its name is made of the flow's, and has to be there: if it is not, the one that is
    meant is of another version or variant.

    Raises:
        ConfigurationError: which says what deployments there are.
    """
    released, release = _released(options)
    named = _named(options, release, lambda: _name_by(released.flow, released.variants))
    target, client = Target(release=named, asked=options.experiment), connected(options, released.file.parent)
    if not (options.deployment or release.deployment):
        _check_there(named, service_of(target, client).find(named.endpoint))
    return target, client


def _released(options: argparse.Namespace) -> tuple[Released, Release]:
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.cli.loading import experiment_file
    from pytest_llmops.deployment.config import find_release
    from pytest_llmops.spec.released import read_released

    file = experiment_file(options.experiment)
    released = read_released(file, root_of(file.parent))
    return released, find_release(file, released.releases, options.env, kind=options.kind)


def _named(options: argparse.Namespace, release: Release, by_flow: Callable[[], str]) -> Release:
    """Name the deployment of a release: as the options say, as configured, or else by the flow."""
    from pytest_llmops.deployment import names

    named = replace(release, deployment=options.deployment or release.deployment or by_flow())
    if options.deployment:
        if refusal := names.check_deployment(options.deployment):
            raise LLMOpsError(f"--deployment: {refusal}")
        # Nobody shares with itself: the rest then goes to those that have traffic.
        named = replace(named, prior="" if release.prior == options.deployment else release.prior)
    if problems := names.check(named):
        raise ConfigurationError(problems)
    return named


def _name_by(flow: Flow | None, variants: VariantRules) -> str:
    """Make the name that the default variant of a flow is deployed under."""
    from pytest_llmops.deployment.admission import variant_of
    from pytest_llmops.deployment.names import deployment_name
    from pytest_llmops.versions import flow_digest

    digest = flow_digest(flow, variant_of(flow, variants, None)) if flow else ""
    if flow is None or not digest:
        raise LLMOpsError("the deployment's name is made of the flow's files, which can't be read; give --deployment")
    return deployment_name(flow.name, digest)


def _check_there(release: Release, found: EndpointState | None) -> None:
    if found is not None and release.deployment in found.deployments:
        return
    known = ", ".join(found.deployments) if found else ""
    what = (
        f"endpoint '{release.endpoint}' has no deployment '{release.deployment}', as this version of the flow is named"
    )
    todo = f"name the one that is meant with --deployment; it has: {known}" if known else "it has none"
    raise ConfigurationError.one(release.file or release.env, release.line, "", what, todo)


def service_of(target: Target, client: Client) -> Service:
    """Return the service that a release is deployed to."""
    release, flow = target.release, target.flow
    if release.webapp is not None:
        from pytest_llmops.azure.webapp import WebApps

        return WebApps(client, release.webapp, flow=flow, say=tell)
    from pytest_llmops.azure.online import OnlineEndpoints

    return OnlineEndpoints(client, "kubernetes" if release.kubernetes else "managed", flow=flow, say=tell)


@contextmanager
def rollout_of(target: Target, client: Client, starting: Callable[[], None] = lambda: None) -> Iterator[Rollout]:
    """Yield what changes the deployment, and takes the change back if it fails or is interrupted."""
    from pytest_llmops.cli.signals import Signals
    from pytest_llmops.deployment.rollout import Rollout
    from pytest_llmops.deployment.takeback import Surroundings

    signals = Signals()
    around = Surroundings(
        service=service_of(target, client),
        release=target.release,
        smoke=target.test,
        say=tell,
        by_hand=lambda traffic: by_hand(target, client.workspace, traffic),
        rollback=rollback_of(target),
        starting=starting,
        hold=signals.held,
    )
    with signals.handled():
        yield Rollout(around)


def by_hand(target: Target, workspace: Workspace, traffic: Traffic) -> str:
    """Write the command by which a person sets traffic."""
    release = target.release
    if release.kind == "webapp":
        return rollback_of(target)
    shares = " ".join(f"{name}={share}" for name, share in (traffic or {release.deployment: 0}).items())
    place = ["--workspace-name", workspace.name, "--resource-group", workspace.resource_group]
    command = ["az", "ml", "online-endpoint", "update", "--name", release.endpoint, "--traffic", shares, *place]
    return shlex.join([*command, "--subscription", workspace.subscription])


def rollback_of(target: Target) -> str:
    """Write the command by which a person takes the traffic from the deployment."""
    release = target.release
    return shlex.join(["llmops", "rollback", target.asked, "--env", release.env, "--deployment", release.deployment])


def tell(line: str) -> None:
    """Show a line at once. That nobody reads it any more must not stop what is under way."""
    with suppress(OSError):
        show([line])
        sys.stdout.flush()


def set_outputs(values: Mapping[str, str]) -> None:
    """Set output variables of the step, where this is one of a pipeline."""
    from pytest_llmops.ado.commands import set_output

    command_agent(set_output(name, value) for name, value in values.items())


def command_agent(commands: Iterable[str]) -> None:
    """Write logging commands, where an agent reads them."""
    from pytest_llmops.ado.commands import emit
    from pytest_llmops.ado.environment import is_agent

    if is_agent(os.environ):
        emit(commands, sys.stdout)
