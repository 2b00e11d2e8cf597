"""Stops what Azure's libraries tell people who call them by hand: there is no setting for it."""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import wraps
from types import SimpleNamespace
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed to standard error: codes of colours and empty lines, whatever the client was told.

    What goes wrong is raised.
    """
    with redirect_stderr(io.StringIO()):
        yield


def quieten() -> None:
    """Have prompt flow's client neither draw progress bars nor print, log its news, or ask for its newest version.

    In a session of pytest, all of it would end up in the captured output of some test; and asking which version is the
    newest is a request to the package index, from a thread, that nobody asked for.
    """
    from azure.ai.ml._artifacts import _blob_storage_helper as uploads
    from marshmallow import fields, schema

    versions: Any = importlib.import_module("promptflow._sdk._version_hint_utils")
    if getattr(uploads, "print", None) is not _nothing:
        setattr(uploads, "print", _nothing)  # noqa: B010 - it shadows the builtin, which no type checker expects
        for name in ("upload_file", "upload_directory"):
            setattr(uploads, name, _without_bar(getattr(uploads, name)))
    versions.check_latest_version = _nothing
    # Marshmallow warns of how prompt flow uses it; with warnings as errors, no flex flow could be submitted.
    warning: list[Any] = [fields, schema]
    for module in warning:
        module.warnings = SimpleNamespace(warn=_nothing)
    # Handlers would not do: the library adds its own again.
    logging.getLogger("promptflow").addFilter(_is_error)


def _nothing(*_: Any, **__: Any) -> None:
    """Take the place of what should not be done."""


def _without_bar(upload: Any) -> Any:
    @wraps(upload)
    def uploaded(*arguments: Any, **named: Any) -> Any:
        return upload(*arguments, **{**named, "show_progress": False})

    return uploaded


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
