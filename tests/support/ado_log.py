"""A reader of a step's log that finds logging commands as the Azure Pipelines agent does.

SOURCE: microsoft/azure-pipelines-agent, Command.cs (TryParse, Unescape) and TaskCommandExtension.cs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "##vso["
_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%"))
_ENDS_OF_LINES = re.compile(r"\r\n|\r|\n")
# The agent compares by culture: characters without weight are skipped. So is, here, whatever may be one.
_PREFIX_BY_CULTURE = re.compile(r"[^\x20-\x7e]*".join(map(re.escape, _PREFIX)))


@dataclass(frozen=True, slots=True)
class Command:
    """A command that the agent carries out. Names of properties are in lower case: it ignores their case."""

    area: str
    action: str
    properties: Mapping[str, str]
    message: str

    @property
    def name(self) -> str:
        return f"{self.area}.{self.action}"


def parse(text: str) -> list[Command]:
    """Find the commands in a log, of standard output or standard error: at most one in each line, anywhere in it."""
    found = (_command(line) for line in _ENDS_OF_LINES.split(text))
    return [command for command in found if command is not None]


def named(name: str, commands: Iterable[Command]) -> list[Command]:
    """Return the commands of a name, such as ``task.logissue``."""
    return [command for command in commands if command.name == name]


def issues(kind: str, commands: Iterable[Command]) -> list[Command]:
    """Return the errors or the warnings that the page of the run shows: the first ten."""
    logged = named("task.logissue", commands)
    return [command for command in logged if command.properties["type"] == kind][:10]


def outputs(commands: Iterable[Command]) -> dict[str, str]:
    """Return the output variables of a step: what is read-only stays what it was first."""
    values: dict[str, str] = {}
    fixed: set[str] = set()
    for command in named("task.setvariable", commands):
        name = command.properties["variable"].lower()
        if command.properties.get("isoutput", "").lower() != "true" or name in fixed:
            continue
        values[name] = command.message
        if command.properties.get("isreadonly", "").lower() == "true":
            fixed.add(name)
    return values


def failures(commands: Iterable[Command]) -> list[str]:
    """Say which commands fail their step: those that name a file that does not exist, and completion as failed."""
    failed = [c.message for c in named("task.uploadsummary", commands) if not Path(c.message).is_file()]
    failed += [
        c.message for c in named("task.complete", commands) if c.properties.get("result", "").lower() == "failed"
    ]
    return failed


def _command(line: str) -> Command | None:
    start = _PREFIX_BY_CULTURE.search(line)
    if start is None or (end := line.find("]", start.start())) < 0:
        return None
    name, _, given = line[start.end() : end].partition(" ")
    parts = [part for part in name.split(".") if part]
    if len(parts) != 2:
        return None
    pairs = (pair.partition("=") for pair in given.split(";"))
    properties = {key.lower(): _unescape(value) for key, _, value in pairs if key and value}
    return Command(parts[0], parts[1], properties, _unescape(line[end + 1 :]))


def _unescape(text: str) -> str:
    for written, mark in _ESCAPES:
        text = text.replace(written, mark)
    return text
