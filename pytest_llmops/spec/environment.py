"""Values around an experiment: ``.env``, ``environment/env.yaml``, and ``init.json`` of class flows."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import Problem
from pytest_llmops.secrets import is_secret
from pytest_llmops.spec.connections import PLACEHOLDER, REPLAY
from pytest_llmops.spec.dotenv import EnvFile, Variables, read_env_file
from pytest_llmops.spec.files import read_text
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.flows import FlowFacts
from pytest_llmops.spec.positions import Document
from pytest_llmops.spec.resolve import Paths
from pytest_llmops.spec.suggest import printable, suggest
from pytest_llmops.spec.yaml_reader import read_yaml

_OF_CONNECTION = re.compile(r"\$\{([^{}.]+)\.([^{}]+)\}")
"""What prompt flow takes from a connection."""


def read_variables(paths: Paths, environ: Mapping[str, str], findings: Findings) -> Variables:
    """Gather variables: the process environment, the use case's ``.env``, and that of the root."""
    return Variables(environ, list(env_files(paths, findings).values()))


def env_files(paths: Paths, findings: Findings) -> dict[str, EnvFile]:
    """Read the use case's ``.env`` and that of the root, by the names that messages show."""
    folders = dict.fromkeys((paths.base, paths.root))
    files = [folder / ".env" for folder in folders if (folder / ".env").is_file()]
    texts = ((paths.show(file), read_text(file, paths.show(file), findings)) for file in files)
    return {file: read_env_file(text, file, findings) for file, text in texts if text is not None}


def read_environment(
    paths: Paths,
    variables: Variables,
    findings: Findings,
    *,
    connections: Mapping[str, Collection[str]] | None,
    live: bool,
) -> dict[str, str]:
    """Read ``environment/env.yaml``: the environment's own value wins over what the file says.

    A value ``${NAME}`` has to come from the environment. Only a secret may be missing, where answers are replayed.
    A value ``${connection.key}`` is left to the run, which takes it from one of the ``connections``. These are mapped
    to their keys; None stands for those of a workspace, which nobody knows here: it keeps such values as they are,
    whatever the environment has.
    """
    document = _environment_document(paths, findings)
    if document is None or document.value is None:
        return {}
    if not isinstance(document.value, dict):
        findings.error(document.problem((), "is not a mapping", "write NAME: value"))
        return {}
    reader = _EnvironmentReader(document, variables, findings, connections, live)
    values = {name: reader.value(name, written) for name, written in document.value.items()}
    return {name: value for name, value in values.items() if value is not None}


def _environment_document(paths: Paths, findings: Findings) -> Document | None:
    path = paths.base / "environment" / "env.yaml"
    text = read_text(path, paths.show(path), findings) if path.is_file() else None
    return read_yaml(text, paths.show(path), findings) if text is not None else None


@dataclass(frozen=True, slots=True)
class _EnvironmentReader:
    """Reads one value of ``env.yaml`` after the other. See ``read_environment``."""

    document: Document
    variables: Variables
    findings: Findings
    connections: Mapping[str, Collection[str]] | None
    live: bool

    def value(self, name: str, written: object) -> str | None:
        """Return the value of a variable; None where it has none, which is an error unless it isn't needed."""
        reference = _OF_CONNECTION.fullmatch(written.strip()) if isinstance(written, str) else None
        own = None if reference and self.connections is None else self.variables.get(name)
        value = own or _environment_text(written)
        if value is None:
            self._error(name, "is empty", "give it a value")
        elif reference and value == written:
            self._check_reference(name, *reference.groups())
        elif _is_placeholder(value):
            self._report_unset(name)
            return None
        return value

    def _check_reference(self, name: str, connection: str, key: str) -> None:
        if self.connections is None:
            return
        if connection not in self.connections:
            todo = suggest(connection, self.connections, "add it under 'connections:', which has")
            self._error(name, f"connection {printable(connection)} is not defined", todo)
        elif key not in (keys := self.connections[connection]):
            self._error(name, f"connection {connection!r} has no {key!r}", suggest(key, keys, "it has"))

    def _report_unset(self, name: str) -> None:
        """Report a variable without a value, but for a secret that replayed answers don't need."""
        if is_secret(name) and not self.live:
            return
        if not is_secret(name):
            todo = "set it, or write a value here"
        elif self.connections is None:
            todo = "write ${connection.key}, of a connection of the workspace"
        else:
            todo = f"set it, {REPLAY}"
        self._error(name, f"the environment variable {printable(name)} is not set", todo)

    def _error(self, name: str, what: str, todo: str) -> None:
        self.findings.error(self.document.problem((name,), what, todo))


def _environment_text(value: object) -> str | None:
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=str)
    return None if value is None else str(value)


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str) and PLACEHOLDER.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class InitValues:
    """Init values of a flow. ``given`` are the names that were written, those without a value yet too."""

    values: Mapping[str, Any]
    given: Collection[str]


def read_init(facts: FlowFacts, paths: Paths, variables: Variables, findings: Findings, *, live: bool) -> InitValues:
    """Read the init values of a flow, from ``init.json`` beside it or else the sample in its definition.

    A value ``${...}`` is the environment variable named like its key in upper case, ``<KEY>_<SUBKEY>`` inside of an
    object. Where it isn't set, ``live`` makes it an error; otherwise it is left out.
    """
    flow = facts.flow
    path = flow.folder / "init.json"
    if not path.is_file() or not (flow.init or facts.open_init):
        return InitValues(facts.sample_init, facts.sample_init)
    reader = _InitReader(paths.show(path), read_text(path, paths.show(path), findings) or "{}", findings)
    content = reader.read()
    for name in content.keys() - flow.init.keys() if not facts.open_init else ():
        todo = suggest(name, flow.init, "its parameters")
        findings.error(reader.problem(name, f"not an init parameter of flow '{flow.name}'", todo))
    return InitValues(dict(reader.resolved(content, variables, live=live)), content)


class _InitReader:
    """Reads one ``init.json``; the JSON is searched for keys to find their lines."""

    def __init__(self, file: str, text: str, findings: Findings) -> None:
        self._file = file
        self._text = text
        self._findings = findings

    def read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._text)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            cause = getattr(error, "msg", "it can't be decoded")
            self._findings.error(Problem(self._file, line, "", f"not valid JSON: {cause}", "correct this line"))
            return {}
        if not isinstance(content, dict):
            self._findings.error(Problem(self._file, 1, "", "is not an object", 'write {"parameter": value}'))
            return {}
        return content

    def problem(self, key: str, what: str, todo: str) -> Problem:
        name = key.rpartition(".")[2]
        before = self._text.partition(json.dumps(name))[0]
        return Problem(self._file, before.count("\n") + 1, printable(key), what, todo)

    def resolved(
        self, content: Mapping[str, Any], variables: Variables, *, live: bool, parent: str = ""
    ) -> Iterator[tuple[str, Any]]:
        """Iterate over keys with their values, placeholders replaced or left out; objects one level deep."""
        for name, value in content.items():
            key = f"{parent}.{name}" if parent else name
            if isinstance(value, dict) and not parent:
                yield name, dict(self.resolved(value, variables, live=live, parent=name))
            elif not _is_placeholder(value):
                yield name, value
            elif (found := variables.get(variable := key.replace(".", "_").upper())) is not None:
                yield name, found
            elif live:
                what = f"needs the environment variable {printable(variable)}, which is not set"
                self._findings.error(self.problem(key, what, f"set it, {REPLAY}"))
