"""Earlier sessions: the values and verdicts of each, read from the results that they left in a folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pytest_llmops.baselines.reading import shown
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.report import Report
from pytest_llmops.reports import gate, results
from pytest_llmops.reports.page import Point, point_of

MOST = 100
"""Sessions of a history that are shown: the newest ones."""

# In results.json, as it is written, the cells come last and are nearly all of it.
_CELLS, _END = b',\n  "cells": [', b"]\n}\n"
_CHUNK = 1 << 18
_MARK, _MARKED = b'"schema_version"', 100
"""What files of ours have among so many bytes at the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Sessions, oldest first. ``troubles`` says, a line each, what is left out because it can't be read."""

    points: tuple[Point, ...] = ()
    troubles: tuple[str, ...] = ()


def read_history(folder: Path, before: str) -> History:
    """Read the sessions whose ``results.json``, or another file in its format, is anywhere below a folder.

    Sessions from ``before`` on, a time in ISO 8601, are left out, and so are those of one shard alone: they are no
    whole. JSON files of other kinds are passed over.
    """
    try:
        files = sorted(folder.rglob("*.json")) if folder.is_dir() else None
    except OSError as error:
        return History(troubles=(f"history {shown(folder)}: can't be read: {error.strerror}",))
    if files is None:
        return History(troubles=(f"history {shown(folder)}: there is no such folder",))
    points: dict[tuple[str, ...], Point] = {}
    troubles: list[str] = []
    for file in files:
        try:
            report = _read(file) if _is_ours(file) else None
        except LLMOpsError as error:
            what, _, _ = str(error).partition("; run the evaluation again")
            troubles.append(f"history {what}; it is left out")
            continue
        if report is not None and report.shard is None:
            point = point_of(report, file.relative_to(folder).as_posix())
            points[(point.created, *point.gates)] = point  # copies of a session are one point
    earlier = sorted((point for point in points.values() if point.created < before), key=lambda point: point.created)
    return History(points=tuple(earlier[-MOST:]), troubles=tuple(troubles))


def _is_ours(file: Path) -> bool:
    """Tell whether a file holds, or should hold, results."""
    if file.name in (results.FILE, gate.FILE):
        return file.name == results.FILE
    try:
        with file.open("rb") as stream:
            return _MARK in stream.read(_MARKED)
    except OSError:
        return False


def _read(file: Path) -> Report:
    """Read results, without their cells where these need not be read.

    Raises:
        LLMOpsError: where the file can't be read, is torn, or is of another schema version.
    """
    name = shown(file)
    try:
        document = json.loads(_without_cells(file))
        report = results.parse({"cells": [], **document} if isinstance(document, dict) else document, name)
        datetime.fromisoformat(report.created)
    except OSError as error:
        raise LLMOpsError(f"{name}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise LLMOpsError(f"{name}: not the whole results of a session ({error})") from None
    return report


def _without_cells(file: Path) -> bytes:
    """Return the text of a whole results.json without its cells; any other text as it is."""
    with file.open("rb") as stream:
        head = stream.read(_CHUNK)
        while (place := head.find(_CELLS)) < 0 and (chunk := stream.read(_CHUNK)):
            head += chunk
        if place < 0:
            return head
        stream.seek(-len(_END), os.SEEK_END)
        if stream.read() == _END:
            return head[:place] + b"}"
        stream.seek(0)
        return stream.read()
