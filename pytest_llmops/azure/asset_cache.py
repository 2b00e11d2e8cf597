"""Data assets kept on this machine: each downloaded once, checked, and then read like a local file."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_llmops.azure.assets import DATA_HASH, FILE, content_hash
from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.errors import CloudError, LLMOpsError
from pytest_llmops.hashing import digest
from pytest_llmops.records.cloud import Workspace

_ASSET = re.compile(r"azureml:(?P<name>[A-Za-z0-9][\w.-]{0,254}):(?P<version>[A-Za-z0-9][\w.-]{0,29})", re.ASCII)
_NOTES = "asset.json"
_PATIENCE = 600  # seconds to wait for another process that downloads the same asset


class AssetCache:
    """Data assets of one workspace, each downloaded once to ``folder`` and checked whenever it is used.

    ``connect`` is called only where something has to be downloaded. Versions of assets never change, so a copy whose
    bytes are those that were downloaded needs no workspace. Several processes may share the folder.
    """

    def __init__(self, workspace: Workspace, folder: Path, connect: Callable[[], Client]) -> None:
        self._root = folder
        self._folder = folder / digest(workspace.id.lower())[:16]
        self._connect = connect

    def file(self, asset: str) -> Path:
        """Return the local copy of ``azureml:<name>:<version>``.

        Raises:
            LLMOpsError: where it can't be had, or isn't what its tag says.
        """
        named = _ASSET.fullmatch(asset)
        if named is None:
            raise LLMOpsError(f"{asset[:300]!r} can't be a data asset; write azureml:<name>:<version>")
        place = self._folder / named["name"] / named["version"]
        if (copy := _intact(place)) is not None:
            return copy
        with _writable(asset, self._root, place.parent), _alone(asset, place):
            # Another process may have been faster.
            return _intact(place) or self._download(asset, named["name"], named["version"], place)

    def _download(self, asset: str, name: str, version: str, place: Path) -> Path:
        partial = place.with_name(f".{version}.partial")
        _remove(partial)
        partial.mkdir()
        try:
            file = _downloaded(self._connect(), asset, name, version, partial)
            notes = {"asset": asset, "file": file.name, "sha256": content_hash(file)}
            (partial / _NOTES).write_text(json.dumps(notes), encoding="utf-8")
            _remove(place)
            partial.replace(place)
        finally:
            _remove(partial)
        return place / "data" / file.name


def _downloaded(client: Client, asset: str, name: str, version: str, folder: Path) -> Path:
    """Download an asset and check it against its tag."""
    with translated(asset):
        found = client.ml.data.get(name, version=version)
    if found.type != FILE:
        raise LLMOpsError(f"{asset}: it is of type {found.type}, and only {FILE} can be read here")
    file = _fetched(client, asset, str(found.path), folder / "data")
    expected = (found.tags or {}).get(DATA_HASH)
    if expected and expected.lower() != (actual := content_hash(file)):
        what = f"{asset}: its data has SHA-256 {actual}, and its tag {DATA_HASH} says {expected}"
        raise CloudError(f"{what}; the data was changed after it was registered: register it again")
    return file


def _fetched(client: Client, asset: str, uri: str, folder: Path) -> Path:
    if not uri.startswith("azureml:"):
        scheme = uri.partition(":")[0]
        raise LLMOpsError(f"{asset}: it lies at '{scheme}:', and only what is on a datastore can be read here")
    with installed():
        # Not public, but how Azure's documentation says to do it: "Access data from Azure cloud storage".
        from azure.ai.ml._artifacts._artifact_utilities import download_artifact_from_aml_uri
    with translated(asset), warnings.catch_warnings():
        # The library warns of what it does itself, which is an error where sessions make errors of warnings.
        warnings.simplefilter("ignore")
        download_artifact_from_aml_uri(uri, str(folder), client.ml.datastores)
    # By prefix: what lies beside the file and begins like it comes along.
    file = folder / uri.rstrip("/").rpartition("/")[2]
    if not file.is_file():
        raise CloudError(f"{asset}: there is nothing where it is said to be, {uri}")
    return file


def _intact(place: Path) -> Path | None:
    """Return the copy in a folder if it holds what was downloaded."""
    try:
        notes: Any = json.loads((place / _NOTES).read_text(encoding="utf-8"))
        file = place / "data" / Path(notes["file"]).name
        return file if content_hash(file) == notes["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _writable(asset: str, root: Path, folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Data stays out of git, like everything of the ledger's folder.
        (root / ".gitignore").write_text("*\n", encoding="utf-8")
        yield
    except OSError as error:
        raise LLMOpsError(f"{asset}: {root} can't be written: {error.strerror or error}") from None


@contextmanager
def _alone(asset: str, place: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(place.with_name(f".{place.name}.lock"), timeout=_PATIENCE):
            yield
    except Timeout:
        raise LLMOpsError(f"{asset}: another process has been downloading it for {_PATIENCE} s; end it") from None


def _remove(folder: Path) -> None:
    if os.path.lexists(folder):
        shutil.rmtree(folder)
