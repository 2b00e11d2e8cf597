"""``llmops register-data``: the local datasets of an experiment as data assets of the workspace."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_llmops.cli.azure_options import add_azure, connected
from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.loading import add_experiment, experiment_file

if TYPE_CHECKING:
    from pytest_llmops.azure.assets import LocalData
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.experiment import Experiment


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "register-data", "register local datasets as data assets where they are new")
    add_experiment(parser)
    parser.add_argument("--env", help="read the overlay experiment.ENV.yaml")
    parser.add_argument("--dry-run", action="store_true", help="say what would be registered, and register nothing")
    add_azure(parser)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.azure.assets import local_data
    from pytest_llmops.spec import load_experiment

    file = experiment_file(options.experiment)
    experiment = load_experiment(file, root=root_of(file.parent), env=options.env, environ=os.environ)
    found = local_data(experiment)
    show(_remote_lines(experiment))
    if found:
        client = connected(options, file.parent)
        for data in found:
            show([_planned(client, data) if options.dry_run else _registered(client, data)])
    return 0


def _remote_lines(experiment: Experiment) -> Iterator[str]:
    golds = (gold for evaluator in experiment.evaluators for gold in evaluator.datasets)
    found = ((dataset.name, dataset.remote) for dataset in (*experiment.datasets, *golds) if dataset.remote)
    for name, remote in dict.fromkeys(found):
        yield f"{name}: {remote} (a data asset already)"


def _registered(client: Client, data: LocalData) -> str:
    from pytest_llmops.azure.assets import register

    made = register(client, data)
    return f"{data.dataset}: {made.asset} ({'new' if made.new else 'unchanged'})"


def _planned(client: Client, data: LocalData) -> str:
    from pytest_llmops.azure.assets import registered

    known = registered(client, data)
    if known is None:
        return f"{data.dataset}: a new version of azureml:{data.name} would be made"
    return f"{data.dataset}: {known.asset} (unchanged)"
