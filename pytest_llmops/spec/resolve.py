"""Where flows and datasets are looked for."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.spec.suggest import did_you_mean

_REMOTE = re.compile(r"azureml:([^:]+:[^:]+)?")
_FLEX_KEY = re.compile(r"^entry\s*:", re.MULTILINE)
ENTRY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
_FLOW_FILES: dict[str, FlowKind] = {
    "flow.dag.yaml": "dag",
    "flow.dag.yml": "dag",
    "flow.flex.yaml": "flex",
    "flow.flex.yml": "flex",
}
_WORKFLOW_FILE = "workflow.py"
_CREATE_WORKFLOW = "create_workflow"
"""Where a workflow of Agent Framework is made, by the convention of Microsoft's guide to leaving prompt flow."""


class NotFound(Exception):
    """A flow or dataset that isn't there: what is wrong, and what to do."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.what, self.todo = what, todo


def remote_asset(source: str) -> str | None:
    """Return the source of a dataset if it is an asset of Azure ML, None if it is a path.

    Raises:
        NotFound: where an asset is named without its version.
    """
    match = _REMOTE.match(source)
    if match is None:
        return None
    if match[0] != source or not match[1]:
        raise NotFound(f"{source!r} is no data asset with a version", "write azureml:<name>:<version>")
    return source


@dataclass(frozen=True, slots=True)
class FlowPlace:
    """The file that defines a flow, and what kind of file it is."""

    kind: FlowKind
    file: Path
    folder: Path
    name: str
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Paths:
    """``base`` is the folder of the use case, ``root`` the one that files are named from; both absolute."""

    base: Path
    root: Path

    def show(self, path: Path) -> str:
        """Name a file from the root, in posix form."""
        text = Path(os.path.relpath(path, self.root)).as_posix()
        return text if text.isprintable() else repr(text)

    def flow(self, text: str) -> FlowPlace:
        """Find a flow by folder, definition file, ``.prompty`` file or ``module:function``.

        A folder with ``workflow.py`` is a workflow of Agent Framework, unless it has a DAG's or a flex flow's file.

        Raises:
            NotFound: naming the places tried.
        """
        entry = ENTRY.fullmatch(text)
        if entry:
            return self._callable(entry[1], entry[2])
        places = self._places(text, self.base, self.base / "flows", self.root / "flows")
        for place in places:
            if found := _flow_at(place):
                return found
        folders = [place for place in places if os.path.isdir(place)]
        if folders:
            wanted = "a flow.dag.yaml, a flow.flex.yaml, a workflow.py or a single .prompty file"
            raise NotFound(f"folder '{self.show(folders[0])}' does not hold {wanted}", "add the flow's definition")
        raise self._not_found("flow", text, places)

    def dataset(self, source: str) -> Path:
        """Find the file or folder of a local dataset.

        Raises:
            NotFound: naming the places tried.
        """
        places = self._places(source, self.base, self.base / "data", self.root / "datasets")
        for place in places:
            if os.path.exists(place):
                return place
        raise self._not_found("file", source, places)

    def _callable(self, module: str, function: str) -> FlowPlace:
        relative = f"{module.replace('.', '/')}.py"
        places = self._places(relative, self.base, self.root)
        for place, folder in zip(places, (self.base, self.root), strict=False):
            if os.path.isfile(place):
                if function == _CREATE_WORKFLOW:
                    return _workflow_at(place, folder, module)
                return FlowPlace("callable", place, folder, function, f"{module}:{function}")
        raise self._not_found("module", relative, places)

    def _places(self, text: str, *folders: Path) -> list[Path]:
        places = (Path(os.path.normpath(folder / text)) for folder in folders)
        return list(dict.fromkeys(places))

    def _not_found(self, noun: str, text: str, places: Sequence[Path]) -> NotFound:
        tried = ", ".join(map(self.show, places))
        near = did_you_mean(places[0].name, (name for place in places for name in _siblings(place)))
        return NotFound(f"no {noun} {text!r}, looked for {tried}", near or "correct the path")


def _workflow_at(file: Path, folder: Path, module: str) -> FlowPlace:
    """Describe a workflow, named by its module, or by the folder where the module's name says nothing."""
    name = file.parent.name if file.name == _WORKFLOW_FILE else file.stem
    return FlowPlace("workflow", file, folder, name, f"{module}:{_CREATE_WORKFLOW}")


def _siblings(place: Path) -> list[str]:
    return sorted(os.listdir(place.parent)) if os.path.isdir(place.parent) else []


def _flow_at(place: Path) -> FlowPlace | None:
    if place.suffix == ".prompty":
        return FlowPlace("prompty", place, place.parent, place.stem) if os.path.isfile(place) else None
    if place.suffix.lower() in (".yaml", ".yml") and place.is_file():
        kind: FlowKind = "flex" if _FLEX_KEY.search(place.read_text(encoding="utf-8", errors="replace")) else "dag"
        folder_says_it = place.name in _FLOW_FILES
        return FlowPlace(kind, place, place.parent, place.parent.name if folder_says_it else place.name.split(".")[0])
    return _flow_in(place) if os.path.isdir(place) else None


def _flow_in(place: Path) -> FlowPlace | None:
    names = sorted(os.listdir(place))
    found = [name for name in _FLOW_FILES if name in names]
    if not found and (place / _WORKFLOW_FILE).is_file():
        # Prompty files beside it are its prompts.
        return _workflow_at(place / _WORKFLOW_FILE, place, Path(_WORKFLOW_FILE).stem)
    found = found or [name for name in names if name.endswith(".prompty")]
    if not found:
        return None
    if len(found) > 1:
        raise NotFound(
            f"folder '{place.name}' holds several flows ({', '.join(found)})",
            "keep one of them, or name a .prompty file",
        )
    if found[0].endswith(".prompty"):
        return _flow_at(place / found[0])
    return FlowPlace(_FLOW_FILES[found[0]], place / found[0], place, place.name)
