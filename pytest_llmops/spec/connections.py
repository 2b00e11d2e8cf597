"""Connections: from the experiment's block and from ``.env`` files, with secrets from the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.errors import Problem
from pytest_llmops.records.experiment import Connection
from pytest_llmops.secrets import is_secret
from pytest_llmops.spec.connection_types import (
    CUSTOM,
    UnknownType,
    connection_of,
    connection_type,
    property_name,
)
from pytest_llmops.spec.dotenv import EnvConnection, Variables
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.models import ConnectionBlock
from pytest_llmops.spec.positions import KeyPath

PLACEHOLDER = re.compile(r"\$\{([^{}]+)\}")
REPLAY = "or use recorded answers: --llmops-llm replay"


@dataclass(frozen=True, slots=True)
class _Property:
    """One property as written. ``secret`` is None where its name decides."""

    name: str
    value: str
    path: KeyPath
    secret: bool | None = None


def read_connections(
    blocks: Sequence[ConnectionBlock], variables: Variables, report: Reporter, *, live: bool
) -> tuple[Connection, ...]:
    """Resolve the experiment's connections, then those that only ``.env`` files have.

    A value ``${key}`` is the environment variable ``<connection>_<key>``, as written or in upper case, or else the
    property of the connection of that name in a ``.env`` file. Where it is nowhere, ``live`` makes it an error;
    otherwise the property is left out.
    """
    in_files = {name: found for file in reversed(variables.files) for name, found in file.connections.items()}
    connections: dict[str, Connection] = {}
    for index, block in enumerate(blocks):
        path: KeyPath = ("connections", index)
        if block.name in connections:
            report.error((*path, "name"), "another connection has this name", "rename one of them")
        in_file = in_files.get(block.name)
        connections[block.name] = _Resolver(block, path, variables, in_file, report, live).resolve()
    for name, found in in_files.items():
        connection = _of_file(name, found, report.findings) if name not in connections else None
        if connection:
            connections[name] = connection
    return tuple(connections.values())


def keys_of(connections: Iterable[Connection], blocks: Iterable[ConnectionBlock]) -> dict[str, list[str]]:
    """Map connections to the names of what they hold, as the run knows them.

    Those that a block declares are among them without a value too, which is for live runs to miss.
    """
    kinds = {connection.name: connection.type for connection in connections}
    keys = {connection.name: {*connection.values, *connection.secrets} for connection in connections}
    for block in blocks:
        declared = (*(block.__pydantic_extra__ or {}), *(block.configs or {}), *(block.secrets or {}))
        keys[block.name] |= {property_name(kinds[block.name], name) for name in declared}
    return {name: sorted(found) for name, found in keys.items()}


def _of_file(name: str, found: EnvConnection, findings: Findings) -> Connection | None:
    try:
        return connection_of(name, found.properties)
    except UnknownType as error:
        # The file may belong to other tools as well, with JSON of their own.
        findings.warn(Problem(found.file, found.line, name, f"{error.what}, ignored", error.todo))
        return None


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Resolves one connection of the experiment; ``in_file`` is the one of the same name in a ``.env`` file."""

    block: ConnectionBlock
    path: KeyPath
    variables: Variables
    in_file: EnvConnection | None
    report: Reporter
    live: bool

    def resolve(self) -> Connection:
        kind = self._kind()
        values: dict[str, str] = {}
        secrets: dict[str, str] = {}
        for written in self._properties():
            value = self._value(written)
            if value is not None:
                secret = is_secret(written.name) if written.secret is None else written.secret
                (secrets if secret else values)[property_name(kind, written.name)] = value
        return Connection(name=self.block.name, type=kind, values=values, secrets=secrets)

    def _kind(self) -> str:
        try:
            return connection_type(self.block.connection_type)
        except UnknownType as error:
            self.report.error((*self.path, "connection_type"), error.what, error.todo)
            return CUSTOM

    def _properties(self) -> Iterator[_Property]:
        for name, value in (self.block.__pydantic_extra__ or {}).items():
            yield _Property(name, value, (*self.path, name))
        for section, secret, block in (("configs", False, self.block.configs), ("secrets", True, self.block.secrets)):
            for name, value in (block or {}).items():
                yield _Property(name, value, (*self.path, section, name), secret)

    def _value(self, written: _Property) -> str | None:
        match = PLACEHOLDER.fullmatch(written.value)
        if match is None:
            if "${" in written.value:
                what = "'${...}' is only resolved where it is all of the value"
                self.report.error(written.path, what, "write ${name} alone, and the rest into the variable")
            return written.value
        variable = f"{self.block.name}_{match[1]}"
        value = self.variables.get(variable, variable.upper()) or self._in_file(match[1])
        if value is None and self.live:
            either = " or ".join(dict.fromkeys((variable, variable.upper())))
            what = f"needs the environment variable {either}, which is not set"
            self.report.error(written.path, what, f"set it, {REPLAY}")
        return value

    def _in_file(self, key: str) -> str | None:
        value = self.in_file.properties.get(key) if self.in_file else None
        return str(value) if value else None
