"""``.env`` files: variables, and connections as JSON objects. Read into values, never into the process environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.errors import Problem
from pytest_llmops.spec.findings import Findings

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?(?:<<(?P<named>[^<>\n]+)>>|(?P<name>[^\s=#]+))[ \t]*=[ \t]*")
_QUOTED = re.compile(r"(['\"])(.*)\1\s*(?:#.*)?")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True, slots=True)
class EnvConnection:
    """A connection of a ``.env`` file, with the place of it."""

    properties: Mapping[str, Any] = field(repr=False)
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What a ``.env`` file sets."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    connections: Mapping[str, EnvConnection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variables:
    """Environment variables: the process environment first, then ``.env`` files in order."""

    environ: Mapping[str, str] = field(repr=False)
    files: Sequence[EnvFile] = ()

    def get(self, *names: str) -> str | None:
        """Return the value of the first of several names that is set to anything."""
        for source in (self.environ, *(file.variables for file in self.files)):
            for name in names:
                if source.get(name):
                    return source[name]
        return None


def read_env_file(text: str, file: str, findings: Findings) -> EnvFile:
    """Read ``name=value`` and ``<<name>>={json}``, whose JSON may go over several lines. Values are never shown."""
    variables: dict[str, str] = {}
    connections: dict[str, EnvConnection] = {}
    position = 0
    while position < len(text):
        end = _line_end(text, position)
        line = text.count("\n", 0, position) + 1
        match = _ASSIGNMENT.match(text, position, end)
        if match is None:
            if not _COMMENT.sub("", text[position:end]).strip():
                position = end + 1
                continue
            findings.warn(Problem(file, line, "", "neither name=value nor a comment, ignored", "correct the line"))
        elif text.startswith("{", match.end()):
            name = (match["named"] or match["name"]).strip()
            properties, end = _json_object(text, match.end(), Problem(file, line, name, ""), findings)
            connections[name] = EnvConnection(properties, file, line)
        else:
            variables[(match["named"] or match["name"]).strip()] = _plain(text[match.end() : end])
        position = end + 1
    return EnvFile(variables, connections)


def _json_object(text: str, start: int, place: Problem, findings: Findings) -> tuple[dict[str, Any], int]:
    """Decode the object that starts at ``start``; return it with the end of the line that it ends on."""
    try:
        value, stop = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", place.line)
        cause = getattr(error, "msg", "nested too deeply")
        todo = 'correct it; write \'name={"api_key": "..."}\', on one line or over several'
        findings.error(Problem(place.file, line, place.key, f"not valid JSON: {cause}", todo))
        return {}, len(text)
    return value, _line_end(text, stop)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _plain(text: str) -> str:
    text = text.strip()
    quoted = _QUOTED.fullmatch(text)
    return quoted[2] if quoted else _COMMENT.sub("", text).strip()
