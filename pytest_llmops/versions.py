"""Which version of a flow or evaluator gave a result: a digest that is the same wherever that version is run.

It holds what the user decides: files, mappings, settings, and those files of the project that the flow turned out to
read. It leaves out what differs from one machine to the next, or from live to recorded answers: paths, packages,
secrets, and the addresses of services; and what sessions write, such as cassettes, baselines and reports.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_llmops.hashing import digest
from pytest_llmops.ledger import (
    UNREADABLE,
    FileDigests,
    Project,
    check_readable,
    definition_of,
    holds_secret,
    project_of,
    short_digest,
)
from pytest_llmops.records.experiment import Connection, Experiment, Flow
from pytest_llmops.records.run import RunRequest, Variant

_OUTPUT = "${run.outputs."
_ADDRESS = re.compile(r"\w+://.*", re.DOTALL)
_USE_CASE = "experiment.yaml"
_RECORDED = ("cassettes", "baselines")
"""Folders beside an experiment file that sessions write into."""
_CUSTOM = "CustomConnection"
"""The type of connection that holds settings of any kind. Of others, the flow says itself what it asks them for."""


class Versions:
    """Digests of versions in one experiment, as files are at the moment. Safe to use from several threads.

    ``path`` names the experiment's file from the root.
    """

    def __init__(self, experiment: Experiment, path: str) -> None:
        self._project = project_of(experiment, path)
        self._files = FileDigests()

    def of(self, request: RunRequest) -> str:
        """Return the digest of a run's flow with its mappings, variant and settings; empty where none can be made.

        What the flow reads is known after the run: see ``with_reads``.
        """
        return self.of_all([request])[0]

    def of_all(self, requests: Iterable[RunRequest]) -> list[str]:
        """Return what ``of`` does for many runs, for which the files of each flow are looked at once."""
        definitions: dict[tuple[Path, str], dict[str, Any]] = {}
        return [self._of(request, definitions) for request in requests]

    def _of(self, request: RunRequest, definitions: dict[tuple[Path, str], dict[str, Any]]) -> str:
        flow, variant = request.flow, request.variant
        try:
            if (flow.file, flow.entry) not in definitions:
                definitions[flow.file, flow.entry] = self._definition(flow)
            return digest(
                {
                    "flow": definitions[flow.file, flow.entry],
                    "nodes": variant.nodes,
                    "overrides": variant.overrides,
                    "init": _portable(variant.init),
                    "variables": _portable(request.environment_variables),
                    "connections": {c.name: _portable(c.values) for c in request.connections if _decides(c, request)},
                    "mappings": dict(request.column_mapping),
                    **({"address": str(request.address)} if request.address else {}),
                }
            )
        except (OSError, TypeError, ValueError, RecursionError):
            return ""  # a file or folder that can't be read, or a value that JSON does not have

    def of_data(self, requests: Iterable[RunRequest]) -> str:
        """Return the digest of the files with the rows of a cell and their gold; empty where they can't be read."""
        sources = dict.fromkeys(request.data for request in requests if isinstance(request.data, Path))
        try:
            return digest([self._files.get(str(file)) for source in sources for file in files_of_data(source)])
        except OSError:
            return ""

    def reads(self, request: RunRequest, files: Mapping[str, str | None]) -> Mapping[str, str | None]:
        """Select what belongs to the version of a flow from all the files that it read."""
        return self._project.reads(request, files)

    def present(self, request: RunRequest, reads: Iterable[str]) -> Mapping[str, str | None]:
        """Return what the files that a flow once read hold now."""
        folder = request.flow.folder
        return {name: short_digest(self._files.get(os.path.normpath(folder / name))) for name in reads}

    def _definition(self, flow: Flow) -> dict[str, Any]:
        definition = definition_of(flow, self._files)
        files = self._project.parts(flow, definition["files"])
        check_readable(files)
        return definition | {"files": files}


def with_reads(version: str, reads: Mapping[str, str | None]) -> str:
    """Return the digest of a version and what its flow read; empty where one of them is not known.

    What changed while it was read is not known.
    """
    if not version or UNREADABLE in reads.values():
        return ""
    return digest({"version": version, "reads": dict(reads)}) if reads else version


def inputs_of_run(mappings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the inputs of an evaluation that are outputs of the run."""
    return tuple(name for name, value in mappings.items() if isinstance(value, str) and value.startswith(_OUTPUT))


def flow_files(flow: Flow) -> dict[str, str | None]:
    """Map the files that a flow consists of, sorted by path from its folder, posix, to the SHA-256 of what they hold.

    Files that it includes from elsewhere are among them. Caches, ``.env`` files, reports, recorded answers and
    baselines are not, so that it is the same on every machine, and after a session what it was before.

    Raises:
        OSError: where the flow's folder can't be read.
    """
    files = definition_of(flow, FileDigests())["files"]
    found = Project(root=flow.folder).parts(flow, files)
    use_cases = [PurePosixPath(name).parent for name in found if PurePosixPath(name).name == _USE_CASE]
    recorded = {use_case / name for use_case in use_cases for name in _RECORDED}
    return {name: found[name] for name in sorted(found) if recorded.isdisjoint(PurePosixPath(name).parents)}


def flow_digest(flow: Flow, variant: Variant | None = None) -> str:
    """Return the digest of a flow's files, and of how a variant differs from what they say; empty if unreadable.

    By it a decision, a model and a deployment are known to be of the same flow. It does not depend on where the flow's
    folder is, nor on how files are ordered there.
    """
    try:
        files = flow_files(flow)
    except OSError:
        return ""
    if not files or not {None, UNREADABLE}.isdisjoint(files.values()):
        return ""
    chosen = {} if variant is None or is_as_written(flow, variant) else _choices(variant)
    definition = Path(os.path.relpath(flow.file, flow.folder)).as_posix()
    return digest({"definition": definition, "entry": flow.entry, "files": files, **chosen})


def is_as_written(flow: Flow, variant: Variant) -> bool:
    """Tell whether a variant is what a flow's files say, with nothing overridden."""
    defaults = {node: variants.default for node, variants in flow.variants.items()}
    return not (variant.overrides or variant.init) and {**defaults, **variant.nodes} == defaults


def files_of_data(source: Path) -> list[Path]:
    """List the files that hold the rows of a dataset: all below a folder, or the one that it is."""
    return sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]


def _choices(variant: Variant) -> dict[str, Any]:
    return {"nodes": variant.nodes, "overrides": variant.overrides, "init": _portable(variant.init)}


def _decides(connection: Connection, request: RunRequest) -> bool:
    """Tell whether a connection makes a difference: one that only lies in this machine's ``.env`` file makes none."""
    given = (*request.variant.overrides.values(), *request.variant.init.values())
    return connection.type == _CUSTOM and (connection.name in request.flow.connections or connection.name in given)


def _portable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out secrets and addresses, in objects within objects too."""
    return {
        name: _portable(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not holds_secret(name, value) and not (isinstance(value, str) and _ADDRESS.fullmatch(value))
    }
