"""Cassette and journal together: one store that many threads and processes record into at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from pytest_llmops.cassettes.cassette import read_cassette, write_cassette
from pytest_llmops.cassettes.entry import Entry
from pytest_llmops.cassettes.journal import Journal, JournalRows
from pytest_llmops.cassettes.jsontext import one_line, parse


class Store:
    """Answers that are recorded for one flow.

    A new answer is committed to the journal at once, and moved into the cassette by ``merge``. Of two answers to one
    request the first is kept and served to both askers. ``reuse`` says whether answers from before count (mode
    ``auto``), or only those of this recording (mode ``record``). Processes with the same non-empty ``recording`` are
    parts of one recording.
    """

    def __init__(self, path: Path, *, recording: str = "", reuse: bool = True) -> None:
        self.path = path
        self._session = recording
        self._recording = recording or uuid4().hex
        self._reuse = reuse
        self._journal = Journal(path)
        # SQLite's lock is waited for by polling: threads of one process queue up here instead.
        self._lock = threading.Lock()
        self._served: dict[str, Entry] = {}
        # A journal that is there already was left by a killed recording, or is being written right now.
        self.merge()
        self._load()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The cassette's entries by key, as they were last read."""
        return self._entries

    def find(self, key: str) -> Entry | None:
        """Return the answer that this process knows of, without going to the disk."""
        return self._served.get(key) or (self._entries.get(key) if self._reuse else None)

    def find_shared(self, key: str) -> Entry | None:
        """Return the answer that this or any other process has recorded."""
        with self._lock, self._journal.exclusive() as rows:
            return self._look(rows, key)

    def add(self, key: str, entry: Entry) -> Entry:
        """Record an answer, and return the one to serve: this one, or that of another process that was first."""
        with self._lock, self._journal.exclusive() as rows:
            first = self._look(rows, key)
            if first is None:
                rows.add(key, self._recording, one_line(entry.to_json()))
                self._served[key] = entry
        return first or entry

    def merge(self) -> None:
        """Move the journal into the cassette. Entries of a named recording stay known to its other processes."""
        if not self._journal.exists():
            return
        with self._lock, self._journal.exclusive() as rows:
            new = rows.unmerged()
            if new:
                entries = {**read_cassette(self.path), **{key: Entry.from_json(parse(text)) for key, text in new}}
                write_cassette(self.path, entries, self._journal.scratch())
            rows.settle(keep=self._session)

    def _look(self, rows: JournalRows, key: str) -> Entry | None:
        known = self.find(key)
        if known is not None:
            return known
        text = rows.find(key, None if self._reuse else self._recording)
        if text is not None:
            self._served[key] = Entry.from_json(parse(text))
        elif self._reuse and self._stamp() != self._loaded:
            self._load()
        return self.find(key)

    def _load(self) -> None:
        self._loaded = self._stamp()
        self._entries = read_cassette(self.path)

    def _stamp(self) -> tuple[int, int, int] | None:
        """Identify the cassette file's content without reading it. A merge replaces the file, so its inode changes."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns
