"""The cassette file: what is recorded for one flow, laid out to be reviewed in a diff."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.cassettes.entry import Entry
from pytest_llmops.cassettes.jsontext import parse, pretty
from pytest_llmops.errors import LLMOpsError

FORMAT = 1
_RESTORE = "restore it from version control, or delete it and record again with --llmops-llm auto"


def read_cassette(path: Path) -> dict[str, Entry]:
    """Read a cassette, entries by key. A file that does not exist holds none.

    Raises:
        LLMOpsError: when the file is not a cassette, has another format, or an entry was changed by hand.
    """
    try:
        document = parse(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LLMOpsError(f"{path}: not a cassette: {error}; {_RESTORE}") from None
    if not isinstance(document, dict) or "format" not in document or not isinstance(document.get("entries"), dict):
        raise LLMOpsError(f"{path}: not a cassette: 'format' or 'entries' is missing; {_RESTORE}")
    if document["format"] != FORMAT:
        raise LLMOpsError(
            f"{path}: format: {document['format']!r} is not known here, only {FORMAT}; "
            "use the version of pytest-llmops that recorded it"
        )
    return {key: _read_entry(path, key, value) for key, value in document["entries"].items()}


def write_cassette(path: Path, entries: Mapping[str, Entry], scratch: Path) -> None:
    """Write a cassette at once: readers see the old file or the new one. ``scratch`` is a path on the same disk."""
    document = {
        "format": FORMAT,
        "models": sorted({_model(entry) for entry in entries.values()}),
        "entries": {key: entries[key].to_json() for key in sorted(entries)},
    }
    content = f"{pretty(document)}\n".encode()
    if path.exists() and path.read_bytes() == content:
        return
    scratch.write_bytes(content)
    os.replace(scratch, path)


def _read_entry(path: Path, key: str, value: Any) -> Entry:
    try:
        entry = Entry.from_json(value)
    except ValueError as error:
        raise LLMOpsError(f"{path}: entries.{key[:12]}: {error}; {_RESTORE}") from None
    if entry.call.key() != key:
        raise LLMOpsError(
            f"{path}: entries.{key[:12]}: the request was changed after it was recorded, so it can't be found any "
            f"more; {_RESTORE}"
        )
    return entry


def _model(entry: Entry) -> str:
    """Name the model that answered, as the API reported it, or else as it was asked for."""
    parts = entry.answer if entry.streamed else [entry.answer]
    reported = (part.get("model") or part.get("response", {}).get("model") for part in parts if isinstance(part, dict))
    return next((str(name) for name in reported if name), entry.call.model)
