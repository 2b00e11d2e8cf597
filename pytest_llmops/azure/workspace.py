"""Which workspace is meant: options, then the environment, then ``.env`` files, then ``config.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.azure.variables import variable
from pytest_llmops.errors import AccessError
from pytest_llmops.records.cloud import Workspace

Files = Mapping[str, Mapping[str, str]]
"""Names of ``.env`` files, as messages show them, to the variables that each sets."""

_CONFIGS = (Path(".azureml", "config.json"), Path("config.json"))


@dataclass(frozen=True, slots=True)
class _Coordinate:
    """One part of a workspace's address: its names in all places, and the form that Azure gives it."""

    option: str
    seed: str
    config: str
    form: re.Pattern[str]
    words: str

    @property
    def variable(self) -> str:
        return "LLMOPS_" + self.option.upper().replace("-", "_")


# The forms are those of https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_COORDINATES = (
    _Coordinate(
        "subscription",
        "subscription_id",
        "subscription_id",
        re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        "the id of a subscription, such as 11111111-2222-3333-4444-555555555555",
    ),
    _Coordinate(
        "resource-group",
        "resource_group_name",
        "resource_group",
        re.compile(r"[\w().-]{0,89}[\w()-]"),
        "the name of a resource group: up to 90 letters, digits, '_', '-', '.', '(' and ')', no '.' at the end",
    ),
    _Coordinate(
        "workspace",
        "workspace_name",
        "workspace_name",
        re.compile(r"[A-Za-z0-9][\w-]{2,32}", re.ASCII),
        "the name of a workspace: 3 to 33 letters, digits, '_' and '-'",
    ),
)


def find_workspace(
    given: Mapping[str, str | None],
    environ: Mapping[str, str],
    files: Files,
    *,
    folder: Path,
    root: Path,
) -> Workspace:
    """Find the coordinates of the workspace, each in the first place that has it.

    The places, in order: ``given``, the options by name (``subscription``, ``resource-group``, ``workspace``); the
    variables LLMOPS_SUBSCRIPTION and so on; ``subscription_id``, ``resource_group_name`` and ``workspace_name`` of the
    environment and of ``.env`` files, in either case; and the nearest ``config.json`` from ``folder`` up to ``root``,
    in each folder after ``.azureml/config.json``, as Azure's own tools write it.

    Raises:
        AccessError: listing what is missing and where it was looked for, or what can't be right.
    """
    configs = list(_configs(folder, root))
    found = {part.option: _find(part, given, environ, files, configs) for part in _COORDINATES}
    missing = [part for part in _COORDINATES if not found[part.option][0]]
    if missing:
        raise AccessError(_missing_words(missing, files, folder, root))
    for part in _COORDINATES:
        value, place = found[part.option]
        if not part.form.fullmatch(value):
            raise AccessError(f"{place}: {value[:100]!r} can't be right; give {part.words}")
    return Workspace(
        subscription=found["subscription"][0],
        resource_group=found["resource-group"][0],
        name=found["workspace"][0],
    )


def _find(
    part: _Coordinate,
    given: Mapping[str, str | None],
    environ: Mapping[str, str],
    files: Files,
    configs: list[tuple[Path, Mapping[str, Any]]],
) -> tuple[str, str]:
    """Return the value of a coordinate, and the place that it comes from; empty text where no place has it."""
    if option := given.get(part.option):
        return option, f"--{part.option}"
    if value := variable(environ, part.variable):
        return value, part.variable
    value, place = _of_seed(part.seed, environ, files)
    if value:
        return value, place
    # Only the nearest file counts: coordinates of two would make a workspace that there isn't.
    nearest = [(str(content.get(part.config) or ""), f"{path}: {part.config}") for path, content in configs[:1]]
    return nearest[0] if nearest else ("", "")


def _of_seed(name: str, environ: Mapping[str, str], files: Files) -> tuple[str, str]:
    """Look in the process environment, then in the files in order, for the name in either case."""
    sources: list[tuple[str, Mapping[str, str]]] = [("", environ), *files.items()]
    for file, variables in sources:
        for spelled in (name, name.upper()):
            if value := variable(variables, spelled):
                return value, f"{file}: {spelled}" if file else spelled
    return "", ""


def _configs(folder: Path, root: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Go through the files that describe a workspace, from the nearest on; a ``config.json`` may be anything else."""
    for place in _up(folder, root):
        for path in (place / name for name in _CONFIGS):
            try:
                content = json.loads(path.read_text(encoding="utf-8-sig"))
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(content, dict) and any(part.config in content for part in _COORDINATES):
                yield path, content


def _up(folder: Path, root: Path) -> Iterator[Path]:
    for place in (folder, *folder.parents):
        yield place
        if place == root:
            return


def _shown(folder: Path, root: Path) -> str:
    if folder == root or root not in folder.parents:
        return folder.name
    return f"{folder.relative_to(root).as_posix()} and the folders above it"


def _missing_words(missing: list[_Coordinate], files: Files, folder: Path, root: Path) -> str:
    options = ", ".join(part.option.replace("-", " ") for part in missing)
    places = [
        f"options {', '.join(f'--{part.option}' for part in missing)}",
        f"variables {', '.join(part.variable for part in missing)}",
        f"{', '.join(part.seed for part in missing)} of the environment" + "".join(f" and {file}" for file in files),
        "config.json or .azureml/config.json in " + _shown(folder, root),
    ]
    return f"which workspace? there is no {options}; looked for {'; '.join(places)}"
