"""``llmops register``: a flow as a model of the workspace, behind its gate."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.admitting import add_admission, admitted, refusal
from pytest_llmops.cli.azure_options import add_azure, connected
from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.loading import add_experiment

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.deployment.admission import Admission
    from pytest_llmops.deployment.packing import Package
    from pytest_llmops.records.deployment import ModelVersion

_UNITS = ("bytes", "KB", "MB", "GB")


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "register", "register a flow as a model of the workspace, if its gate is open")
    add_experiment(parser)
    parser.add_argument("--env", help="environment whose overlay the gate may be decided with; without it, none")
    parser.add_argument("--dry-run", action="store_true", help="say what would be uploaded, and do nothing")
    add_admission(parser)
    add_azure(parser)
    parser.set_defaults(command=_run)


@contextmanager
def packed(admission: Admission) -> Iterator[Package]:
    """Yield a copy of the files that an admission is of, which lasts as long as the block.

    Raises:
        ConfigurationError: for a flow that can't be served, or that holds what looks like a secret.
        RunError: where the files are others by now.
    """
    from pytest_llmops.deployment.packing import pack

    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        yield pack(admission.experiment.flow, admission.variant, Path(folder), admission.digest)


def register_admitted(client: Client, admission: Admission, package: Package, *, in_use: bool = False) -> ModelVersion:
    """Register what an admission is of, unless that was done, and say what was done.

    A version of the same files counts as the same if it was let through in the same way: by its gate, or for the same
    reason. Where it is ``in_use``, that is deployed already, any version of the files is.

    Raises:
        AccessError, CloudError: where Azure refuses it.
    """
    from pytest_llmops.azure.models import find, model_name, register, upload_of
    from pytest_llmops.deployment.admission import approval_of, tags_of

    name, tags = model_name(admission.experiment.name), tags_of(admission)
    same = {} if in_use else approval_of(tags)
    if (known := find(client, name, admission.digest, same)) is not None:
        show([f"model {known.name}:{known.version} is of the same files; nothing is uploaded"])
        return known
    upload = upload_of(package.folder)
    show(_left_out(package, upload))
    made = register(client, name, package.folder, flow=admission.experiment.flow.name, tags=tags)
    show([f"registered: model {made.name}:{made.version} ({_total(upload)})"])
    return made


def _run(options: argparse.Namespace) -> int:
    admission = admitted(options)
    if code := refusal(admission):
        return code
    client = None if options.dry_run else connected(options, admission.experiment.folder)
    with packed(admission) as package:
        if client is None:
            show(_planned(admission, package))
        else:
            register_admitted(client, admission, package)
    return 0


def _planned(admission: Admission, package: Package) -> Iterator[str]:
    """Yield what would be registered, and what would be uploaded for it."""
    from pytest_llmops.azure.models import model_name, upload_of
    from pytest_llmops.deployment.admission import tags_of

    experiment = admission.experiment
    upload = upload_of(package.folder)
    name = model_name(experiment.name)
    yield f"would register flow '{experiment.flow.name}', variant '{admission.variant.id}', as model {name}"
    yield "unless the workspace has a version of the same files; with the tags:"
    yield from (f"  {key}: {value}" for key, value in tags_of(admission).items())
    yield f"and upload {_total(upload)}:"
    yield from (f"  {file} ({_size(size)})" for file, size in upload.items())
    yield from _left_out(package, upload)
    yield "nothing was done: this was a dry run"


def _left_out(package: Package, upload: Mapping[str, int]) -> Iterator[str]:
    """Yield which files of the flow's folder are not uploaded, and for whose sake."""
    files = (path for path in sorted(package.folder.rglob("*")) if path.is_file())
    ignored = [name for file in files if (name := file.relative_to(package.folder).as_posix()) not in upload]
    yield from (f"not uploaded, no part of the flow: {name}" for name in package.left_out)
    why = "as .amlignore or .gitignore says, though it was there in the evaluation"
    yield from (f"NOT UPLOADED, {why}: {name}" for name in ignored)


def _total(upload: Mapping[str, int]) -> str:
    return f"{len(upload)} file{'s' * (len(upload) != 1)}, {_size(sum(upload.values()))}"


def _size(number: float) -> str:
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.{min(unit, 1)}f} {_UNITS[unit]}"
