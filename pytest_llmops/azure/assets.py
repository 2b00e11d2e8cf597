"""Data assets of a workspace: local datasets, registered by what they hold."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import installed, status_of, translated
from pytest_llmops.azure.quiet import quiet
from pytest_llmops.errors import CloudError, LLMOpsError
from pytest_llmops.hashing import digest
from pytest_llmops.records.experiment import Dataset, Experiment

DATA_HASH = "data_hash"
"""Tag of a data asset: the SHA-256 of its file. "LLMOps with prompt flow" names it so."""
FILE = "uri_file"
"""Type of the data assets that are made and read here."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 255
_CHUNK = 1 << 20
_WAITS = (0.1, 0.5, 2.0)  # seconds, for another job to finish what it registers


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalData:
    """A local dataset to register: under which name, and which file."""

    dataset: str
    name: str
    file: Path
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version of a data asset that holds the local file, and whether it was made just now."""

    name: str
    version: str
    new: bool = False

    @property
    def asset(self) -> str:
        """The version as experiment files name it."""
        return f"azureml:{self.name}:{self.version}"


def local_data(experiment: Experiment) -> tuple[LocalData, ...]:
    """List the datasets of an experiment that are local files, gold rows too, each file once.

    Raises:
        LLMOpsError: for a folder, which a ``uri_file`` asset can't be.
    """
    found: dict[str, LocalData] = {}
    files: set[tuple[str, Path]] = set()
    for qualifier, dataset in _datasets(experiment):
        file = dataset.source
        if file is None or dataset.remote or (dataset.name, file) in files:
            continue
        if file.is_dir():
            raise LLMOpsError(f"dataset '{dataset.name}': {file} is a folder; only files are registered")
        files.add((dataset.name, file))
        name = asset_name(experiment.name, dataset.name)
        if name in found:
            name = asset_name(experiment.name, qualifier, dataset.name)
        tags = {"llmops_experiment": experiment.name, "llmops_dataset": dataset.name}
        found[name] = LocalData(dataset=dataset.name, name=name, file=file, tags=tags)
    return tuple(found.values())


def _datasets(experiment: Experiment) -> Iterator[tuple[str, Dataset]]:
    for dataset in experiment.datasets:
        yield "", dataset
    for evaluator in experiment.evaluators:
        for dataset in evaluator.datasets:
            yield evaluator.name, dataset


def asset_name(*parts: str) -> str:
    """Make a legal name of several: those that had to be changed end in a digest, so that they stay distinct."""
    written = "-".join(filter(None, parts))
    legal = _NOT_IN_NAMES.sub("-", written).lstrip("-_.")
    if legal == written and len(legal) <= _LONGEST_NAME:
        return legal
    ending = digest(list(parts))[:8]
    return "-".join(filter(None, (legal[: _LONGEST_NAME - len(ending) - 1], ending)))


def content_hash(file: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    known = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            known.update(chunk)
    return known.hexdigest()


def registered(client: Client, data: LocalData) -> Registered | None:
    """Return the latest version of a dataset's asset if it holds the file as it is now, else None.

    Raises:
        AccessError, CloudError: where the workspace can't be asked.
    """
    what = f"data asset '{data.name}'"
    with translated(what):
        try:
            latest = client.ml.data.get(data.name, label="latest")
        except Exception as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                return None
            raise
    if latest.type != FILE:
        todo = "rename the dataset or the experiment, or archive the asset"
        raise LLMOpsError(f"{what}: there is one of type {latest.type} with this name, and not {FILE}; {todo}")
    same = (latest.tags or {}).get(DATA_HASH) == content_hash(data.file)
    return Registered(name=data.name, version=str(latest.version)) if same else None


def register(client: Client, data: LocalData) -> Registered:
    """Register a local dataset: a new version only where the latest one holds something else.

    Raises:
        AccessError, CloudError: where the workspace refuses it or can't be asked.
    """
    try:
        return registered(client, data) or _made(client, data)
    except CloudError as error:
        if status_of(error) != HTTPStatus.CONFLICT:
            raise
        # Of two jobs that register at once, one is refused. What it meant to register is there, or about to be.
        for wait in _WAITS:
            if (known := registered(client, data)) is not None:
                return known
            time.sleep(wait)
        return _made(client, data)


def _made(client: Client, data: LocalData) -> Registered:
    """Make a new version. A file that is uploaded already, the library does not upload again."""
    with installed():
        from azure.ai.ml.entities import Data
    tags = {**data.tags, DATA_HASH: content_hash(data.file)}
    with translated(f"data asset '{data.name}'"), quiet():
        made = client.ml.data.create_or_update(Data(name=data.name, path=str(data.file), type=FILE, tags=tags))
    return Registered(name=data.name, version=str(made.version), new=True)
