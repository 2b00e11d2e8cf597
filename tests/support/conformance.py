"""The corpus of small runs that our engine and prompt flow's client are compared on."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "conformance"
TRUTH = FOLDER / "truth.json"
_RUN_NAME = re.compile(r"\w+_variant_\d+_\d{8}_\d{6}_\d{6}")
_ONLY_OURS = ("error", "differs", "ours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run. The arguments are those of ``PFClient.run``; the flow's files and the data are in the case itself.

    ``flow`` and ``data`` map names of files to what they hold; ``data`` may be rows, for a file ``data.jsonl``.
    ``path`` and ``source`` say what to give as flow and data, relative to the case's folder; ``object`` names a
    callable to give in place of a path, made an ``instance`` with some arguments; ``code`` is the folder it runs in.
    ``connections`` are defined beforehand, ``overrides`` given to ``run``. ``answers`` are those of the model.

    ``error`` is the message of a failed run where ours is clearer. ``differs`` names a deliberate difference, a row of
    the table in docs/explanation/engine.md, and ``ours`` says what we give instead, by field of the outcome.
    """

    name: str
    flow: Mapping[str, str | bytes]
    data: Any = None
    path: str = "flow"
    source: str = ""
    object: str = ""
    code: str = ""
    instance: Mapping[str, Any] | None = None
    parent: str = ""
    column_mapping: Mapping[str, Any] | None = None
    variant: str | None = None
    init: Mapping[str, Any] | None = None
    environment_variables: Mapping[str, Any] | None = None
    overrides: Mapping[str, Mapping[str, str]] | None = None
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    differs: str | None = None
    ours: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """Identify all that the truth depends on."""
        given = {name: getattr(self, name) for name in self.__slots__ if name not in _ONLY_OURS}
        asked = {name: value for name, value in given.items() if value}
        if self.parent:
            asked["parent"] = CASES[self.parent].digest()
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=repr).encode()).hexdigest()[:16]

    def write(self, folder: Path, server: str) -> None:
        """Write flow and data into a folder. ``{server}`` in a text file becomes the address of the model."""
        files = {f"flow/{name}": content for name, content in self.flow.items()}
        for name, content in self._data_files().items():
            files[f"data/{name}"] = content
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.replace("{server}", server).encode())

    def arguments(self, server: str) -> dict[str, Any]:
        """Return the arguments of ``run``, but for flow, connections and parent run. Paths are relative."""
        given = {
            "data": self._source(),
            "code": self.code or None,
            "column_mapping": self.column_mapping,
            "variant": self.variant,
            "init": self.init,
            "environment_variables": self.environment_variables,
        }
        text = json.dumps({name: value for name, value in given.items() if value is not None})
        arguments: dict[str, Any] = json.loads(text.replace("{server}", server))
        return arguments

    def defined_connections(self, server: str) -> dict[str, dict[str, Any]]:
        """Return the connections that exist before the run."""
        connections: dict[str, dict[str, Any]] = json.loads(json.dumps(self.connections).replace("{server}", server))
        return connections

    def _source(self) -> str | None:
        if self.source:
            return f"data/{self.source}"
        files = list(self._data_files())
        return f"data/{files[0]}" if files else None

    def _data_files(self) -> Mapping[str, str | bytes]:
        if isinstance(self.data, list):
            return {"data.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.data)}
        return self.data or {}


def _load() -> Iterator[Case]:
    for file in sorted((FOLDER / "cases").glob("*.yaml")):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        flows = document.get("flows", {})
        for name, written in document["cases"].items():
            flow = written.pop("flow")
            files = flows[flow] if isinstance(flow, str) else flow
            yield Case(name=name, flow=files, **{**document.get("defaults", {}), **written})


@cache
def _cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for case in _load():
        if case.name in cases:
            raise ValueError(f"two cases have the name {case.name!r}")
        cases[case.name] = case
    return cases


CASES = _cases()
"""All cases by name."""


def first_line(message: str | None) -> str | None:
    """Return the first line of a message that says anything."""
    return None if message is None else next((line for line in message.split("\n") if line.strip()), "")


def headline(message: str | None) -> str | None:
    """Return what a message says first; a line that ends in a colon takes the next with it."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    if not lines:
        return message
    return f"{lines[0]} {lines[1]}" if len(lines) > 1 and lines[0].endswith(":") else lines[0]


def without_places(outcome: Any, folder: Path, server: str) -> Any:
    """Replace what differs from time to time: the case's folder, the address of the model, names of runs."""
    text = json.dumps(outcome)
    for place, name in ((os.path.realpath(folder), "<case>"), (server, "<server>")):
        text = text.replace(json.dumps(place)[1:-1], name)
    return json.loads(_RUN_NAME.sub("<run>", text))
