"""What flows read beside what their requests name, kept as chains: each link has what was read since the one before."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.ledger.exact import digest, exact
from pytest_llmops.ledger.files import UNREADABLE, FileDigests
from pytest_llmops.records.run import Reads

NOTHING = ""
"""Id of the chain of a flow that has read nothing."""

_LinkRow = tuple[str | None, str]


def merged(known: Reads, more: Reads) -> tuple[Reads, Reads]:
    """Add what was read to what is known to be read. Returns all of it, and what of it is new.

    What changed while it was read is what no result can be tied to: it becomes unreadable, which never holds again.
    """
    files, new_files = _merged(known.files, more.files)
    variables, new_variables = _merged(known.variables, more.variables)
    return Reads(files=files, variables=variables), Reads(files=new_files, variables=new_variables)


def _merged(
    known: Mapping[str, str | None], more: Mapping[str, str | None]
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    new = {name: found for name, found in more.items() if name not in known}
    new |= {
        name: UNREADABLE for name, found in more.items() if name in known and known[name] not in (found, UNREADABLE)
    }
    return {**known, **new}, new


def add_link(connection: sqlite3.Connection, parent: str, new: Reads) -> str:
    """Append to a chain, and return its new id."""
    if not new.files and not new.variables:
        return parent
    found = exact({"files": new.files, "variables": new.variables})
    link = digest(parent, found)
    connection.execute(
        "INSERT OR REPLACE INTO reads (id, parent, found, checksum) VALUES (?, ?, ?, ?)",
        (link, parent or None, found, digest(link, found)),
    )
    return link


def read_chain(connection: sqlite3.Connection, link: str) -> Reads | None:
    """Return all that a chain says; None where a part of it is missing or damaged."""
    files: dict[str, str | None] = {}
    variables: dict[str, str | None] = {}
    while link:
        row = _link(connection, link)
        if row is None:
            return None
        found = json.loads(row[1])
        # Later links come first here, and have the last word.
        files, variables = {**found["files"], **files}, {**found["variables"], **variables}
        link = row[0] or NOTHING
    return Reads(files=files, variables=variables)


def _link(connection: sqlite3.Connection, link: str) -> _LinkRow | None:
    query = "SELECT parent, found, checksum FROM reads WHERE id = ?"
    row: tuple[str | None, str, str] | None = connection.execute(query, (link,)).fetchone()
    if row is None or row[2] != digest(link, row[1]):
        return None
    return row[:2]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a flow read and that is not what it was."""

    kind: str
    name: str


class Present:
    """What is there now to be read, for one flow. Each chain is looked at once."""

    def __init__(self, folder: Path, files: FileDigests, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._files = files
        self._environment = environment
        self._holds: dict[str, bool] = {NOTHING: True}

    def holds(self, connection: sqlite3.Connection, link: str) -> bool:
        """Tell whether everything that was read is as it was."""
        if link not in self._holds:
            reads = read_chain(connection, link)
            self._holds[link] = reads is not None and next(self.changes(reads), None) is None
        return self._holds[link]

    def changes(self, reads: Reads) -> Iterator[Change]:
        """Yield what was read and is not what it was. What was unreadable may be anything now."""
        for name, before in reads.variables.items():
            if digest_of_variable(self._environment.get(name)) != before:
                yield Change("variable", name)
        for name, before in reads.files.items():
            if before == UNREADABLE or self._files.get(os.path.normpath(self._folder / name)) != before:
                yield Change("file", name)


def digest_of_variable(value: str | None) -> str | None:
    """Return what is kept of an environment variable."""
    return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
