"""Init values of a class flow, as what serves it takes them: JSON in a variable, the only place where it looks.

The sample in a flow's definition and ``init.json`` are read by evaluations alone. Source: prompt flow's
``core/_serving/app_base.py`` and the README of ``pf flow build``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pytest_llmops.errors import ConfigurationError, Problem
from pytest_llmops.ledger import holds_secret
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Experiment, Flow
from pytest_llmops.records.run import Variant

VARIABLE = "PF_FLOW_INIT_CONFIG"
_FILE = "init.json"


def with_init(release: Release, experiment: Experiment, variant: Variant) -> Release:
    """Have a deployment make its flow with the init values that the variant is evaluated with.

    Connections that they name are then among those that the release needs. A release that gives the variable itself
    is left as it is: what is in it may be known to nobody here.

    Raises:
        ConfigurationError: for a value that is not set here, and for a secret, which variables would show to all who
            see the deployment.
    """
    flow, values = experiment.flow, {**experiment.init, **variant.init}
    if VARIABLE in release.environment_variables or not (values or flow.init):
        return release
    problems = [*_secrets(release, values), *_unset(release, flow, values)]
    if problems:
        raise ConfigurationError(problems)
    connections = dict.fromkeys((*release.connections, *_connections(flow, values)))
    variables = {**release.environment_variables, **({VARIABLE: json.dumps(values)} if values else {})}
    return replace(release, environment_variables=variables, connections=tuple(connections))


def _secrets(release: Release, values: Mapping[str, Any], parent: str = "") -> Iterator[Problem]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _secrets(release, value, f"{parent}{name}.")
        elif value and holds_secret(name, value):
            yield _secret(release, parent + name)


def _secret(release: Release, key: str) -> Problem:
    what = "holds a secret, which all who see the deployment would see"
    todo = f"name a connection of the workspace in its place, or give {VARIABLE} in environment_variables"
    return release.problem(f"init.{key}", what, todo)


def _unset(release: Release, flow: Flow, values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what ``init.json`` has no value for, because a variable of the environment is not set."""
    file = flow.folder / _FILE
    if not flow.init or not file.is_file():
        return
    for key in _missing(json.loads(file.read_text("utf-8-sig")), values):
        if holds_secret(key, None):
            yield _secret(release, key)
        else:
            variable = key.replace(".", "_").upper()
            what = f"has no value: the environment variable {variable} is not set"
            yield release.problem(f"init.{key}", what, f"set it, as {file.name} of flow '{flow.name}' says")


def _missing(written: Mapping[str, Any], values: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    for name, value in written.items():
        if name not in values:
            yield parent + name
        elif isinstance(value, dict) and isinstance(values[name], Mapping):
            yield from _missing(value, values[name], f"{parent}{name}.")


def _connections(flow: Flow, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the connections that a flow is to be made with: on their own, or within the configuration of a model."""
    for name, value in values.items():
        named = value.get("connection") if isinstance(value, Mapping) else value
        is_one = isinstance(value, Mapping) or (name in flow.init and flow.init[name].type.endswith("Connection"))
        if is_one and isinstance(named, str):
            yield named
