"""What ``experiment.yaml`` and the files around it say, read without importing a flow or prompt flow.

The modules are imported on first use: pydantic is paid for only once an experiment is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.experiment import Connection, Experiment, Flow

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def load_experiment(
    file: Path,
    *,
    root: Path,
    env: str | None = None,
    environ: Mapping[str, str] = _NO_VARIABLES,
    live: bool = False,
    in_workspace: bool = False,
    strict: bool = False,
    max_rows: int | None = None,
    baseline: Path | None = None,
    fetch: Callable[[str], Path] | None = None,
) -> Experiment:
    """Read an experiment file with its overlay, and check it against its flows and its data.

    ``root`` is the folder that messages name files from, and where shared ``flows/`` and ``datasets/`` are looked
    up. ``env`` selects the overlay ``<file>.<env>.yaml``, which need not exist. ``environ`` is the process environment.
    With ``live``, a missing secret is an error; without it (answers are replayed) the value is left out.
    ``in_workspace`` says that flows run in a workspace, which has connections of its own. ``strict`` turns doubtful
    settings into errors. ``max_rows`` limits which rows have to match their gold rows. ``baseline`` is a file
    or folder of results to compare with, instead of what the file says. ``fetch`` gets a local copy of a remote source,
    ``azureml:<name>:<version>``; without it, nothing is known of such data.

    Raises:
        ConfigurationError: with every problem of all files involved.
    """
    from pytest_llmops.spec.load import Conditions, load

    conditions = Conditions(
        env=env,
        environ=environ,
        live=live,
        in_workspace=in_workspace,
        strict=strict,
        max_rows=max_rows,
        baseline=baseline,
        fetch=fetch,
    )
    return load(file, root, conditions)


def find_flow(text: str, *, base: Path, root: Path) -> Flow:
    """Find and read a flow by itself: a flow folder or its definition, a ``.prompty`` file or ``module:function``.

    Raises:
        ConfigurationError: where it is not there, or can't be read.
    """
    from pytest_llmops.spec import flows
    from pytest_llmops.spec.resolve import Paths

    return flows.find_flow(text, Paths(base=Path(os.path.abspath(base)), root=Path(os.path.abspath(root))))


def read_env_files(folder: Path, *, root: Path) -> dict[str, Mapping[str, str]]:
    """Read the variables of the ``.env`` files of a use case, the nearest first, by the name that messages show.

    Raises:
        ConfigurationError: where one can't be read.
    """
    from pytest_llmops.spec.environment import env_files
    from pytest_llmops.spec.findings import Findings
    from pytest_llmops.spec.resolve import Paths

    findings = Findings()
    files = env_files(Paths(base=Path(os.path.abspath(folder)), root=Path(os.path.abspath(root))), findings)
    if findings.errors:
        raise ConfigurationError(findings.errors)
    return {name: file.variables for name, file in files.items()}


def make_connection(name: str, properties: Mapping[str, Any]) -> Connection:
    """Make a connection of its properties, among which ``type`` or ``connection_type`` may say its type.

    Raises:
        ConfigurationError: where there is no such type.
    """
    from pytest_llmops.spec.connection_types import UnknownType, connection_of

    try:
        return connection_of(name, properties)
    except UnknownType as error:
        raise ConfigurationError.one("connections", 0, name, error.what, error.todo) from None


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``experiment.yaml``, for editors."""
    from pytest_llmops.spec import schema

    return schema.json_schema()
