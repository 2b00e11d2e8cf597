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
from pytest_llmops.spec.resolve import Paths
from pytest_llmops.spec.suggest import printable, suggest
from pytest_llmops.spec.yaml_reader import read_yaml

_OF_CONNECTION = re.compile(r"\$\{([^{}.]+)\.[^{}]+\}")
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
    connections: Collection[str],
    live: bool,
    in_workspace: bool = False,
) -> dict[str, str]:
    """Read ``environment/env.yaml``: the environment's own value wins over what the file says.

    A value ``${NAME}`` has to come from the environment. Only a secret may be missing, where answers are replayed.
    A value ``${connection.key}`` is left to the run, which takes it from one of the ``connections``; ``in_workspace``,
    from those that the workspace has, whatever the environment has.
    """
    path = paths.base / "environment" / "env.yaml"
    if not path.is_file():
        return {}
    text = read_text(path, paths.show(path), findings)
    document = read_yaml(text, paths.show(path), findings) if text is not None else None
    if document is None or document.value is None:
        return {}
    if not isinstance(document.value, dict):
        findings.error(document.problem((), "is not a mapping", "write NAME: value"))
        return {}
    values: dict[str, str] = {}
    for name, written in document.value.items():
        connection = _connection_of(written)
        value = (None if connection and in_workspace else variables.get(name)) or _environment_text(written)
        if value is None:
            findings.error(document.problem((name,), "is empty", "give it a value"))
        elif connection and value == written:
            values[name] = value
            if not in_workspace and connection not in connections:
                what = f"connection {printable(connection)} is not defined"
                todo = suggest(connection, connections, "add it under 'connections:', which has")
                findings.error(document.problem((name,), what, todo))
        elif not _is_placeholder(value):
            values[name] = value
        elif live or not is_secret(name):
            todo = "set it, or write a value here"
            if is_secret(name):
                todo = (
                    "write ${connection.key}, of a connection of the workspace" if in_workspace else f"set it, {REPLAY}"
                )
            findings.error(document.problem((name,), f"the environment variable {printable(name)} is not set", todo))
    return values


def _environment_text(value: object) -> str | None:
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=str)
    return None if value is None else str(value)


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str) and PLACEHOLDER.fullmatch(value) is not None


def _connection_of(value: object) -> str | None:
    """Return the name of the connection that a value is taken from."""
    match = _OF_CONNECTION.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


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
