"""A copy of a flow that is complete in itself: one variant chosen, inputs overridden, included files among its own.

Services take a folder and know nothing of variants of several nodes, of overrides, or of files beside the folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_llmops.definitions import apply_variant
from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.kinds import NOT_PROMPT_FLOW
from pytest_llmops.records.run import Variant
from pytest_llmops.versions import flow_files

_INCLUDES = "additional_includes"


def write_resolved(flow: Flow, variant: Variant, folder: Path) -> Flow:
    """Copy a flow into a folder, which is made, with a variant's nodes and overrides written into its definition.

    Copied are the files that belong to the flow (see ``versions.flow_files``), those that it includes from elsewhere
    too. A definition with nothing to write into it stays as it is, byte by byte. Init values are no part of a
    definition: they stay with the run.

    Raises:
        RunError: for a flow that is none of prompt flow's, a node, variant or input that the flow does not have, files
            that can't be read or that would lie in the same place.
    """
    if kind := NOT_PROMPT_FLOW.get(flow.kind):
        raise RunError(f"flow '{flow.name}' is {kind}, and only flows with a definition can be copied")
    if flow.kind != "dag" and (variant.nodes or variant.overrides):
        raise RunError(f"flow '{flow.name}' has no nodes, so no variants or overrides of nodes either")
    try:
        definition = _Definition.read(flow)
        _copy(flow, definition.includes, folder)
        file = folder / flow.file.name
        definition.write(file, variant)
    except OSError as problem:
        raise RunError(f"flow '{flow.name}' can't be copied: {problem.strerror}: {problem.filename}") from problem
    chosen = {name: replace(flow.variants[name], default=choice) for name, choice in variant.nodes.items()}
    return replace(flow, file=file, folder=folder, variants={**flow.variants, **chosen})


@dataclass(frozen=True, slots=True)
class _Definition:
    """A flow's definition as text, and what it says; ``content`` is None for a prompty, of which nothing is changed."""

    flow: Flow
    text: bytes
    content: Any

    @classmethod
    def read(cls, flow: Flow) -> _Definition:
        text = flow.file.read_bytes()
        return cls(flow, text, None if flow.kind == "prompty" else _parse(flow, text))

    @property
    def includes(self) -> tuple[str, ...]:
        return tuple(map(str, (self.content or {}).get(_INCLUDES) or ()))

    def write(self, file: Path, variant: Variant) -> None:
        """Write it as it is in the copy."""
        # The folder of the code is the folder of the copy; see _copy.
        said = [key for key in (_INCLUDES, "code") if self.content and key in self.content]
        if not (said or variant.nodes or variant.overrides):
            file.write_bytes(self.text)
            return
        for key in said:
            del self.content[key]
        apply_variant(self.content, variant)
        # Prompt flow itself reads and writes definitions with this library.
        from ruamel.yaml import YAML

        with file.open("wb") as target:
            YAML().dump(self.content, target)


def _parse(flow: Flow, text: bytes) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML().load(text)
    except YAMLError as problem:
        raise RunError(f"{flow.file.name}: not valid YAML: {str(problem).splitlines()[0]}") from problem
    if not isinstance(content, dict):
        raise RunError(f"{flow.file.name}: is not the definition of a flow")
    return content


def _copy(flow: Flow, includes: Collection[str], folder: Path) -> None:
    folder.mkdir(parents=True)
    placed: dict[str, Path] = {}
    for name in flow_files(flow):
        source = Path(os.path.normpath(flow.folder / name))
        for place in _places(name, source.is_relative_to(flow.folder), includes):
            if placed.setdefault(place, source) != source:
                raise RunError(f"flow '{flow.name}': '{place}' is in its folder, and among its {_INCLUDES} too")
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / place)


def _places(name: str, own: bool, includes: Iterable[str]) -> Iterator[str]:
    """Yield where a file lies in the copy. What is included is laid beside the definition, as prompt flow does."""
    if own:
        yield PurePosixPath(name).as_posix()
    for include in includes:
        if name == include:
            yield PurePosixPath(include).name
        elif name.startswith(f"{include}/"):
            yield f"{PurePosixPath(include).name}/{name[len(include) + 1 :]}"
