"""Where Python looks for modules, as far as that is files which may appear one day."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator

_SUFFIXES = (*importlib.machinery.EXTENSION_SUFFIXES, *importlib.machinery.SOURCE_SUFFIXES)


def source_of(path: str) -> str:
    """Return the source file of byte code, and any other file as it is."""
    if not path.endswith(".pyc"):
        return path
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def rivals(name: str, file: str | None) -> Iterator[str]:
    """Yield what would be imported under a name instead of ``file``, and comes before it: absolute paths.

    ``None`` is for a module without a file: everything comes before it.
    """
    parent, _, tail = name.rpartition(".")
    places: Iterable[str] = getattr(sys.modules.get(parent), "__path__", ()) if parent else sys.path
    own = () if file is None else (_place(file),)  # it may have left the import path since
    for place in dict.fromkeys(map(os.path.abspath, (*places, *own))):
        for candidate in _candidates(os.path.join(place, tail)):
            if candidate == file:
                return
            yield candidate


def _candidates(base: str) -> Iterator[str]:
    if os.path.isdir(base):
        yield from (os.path.join(base, f"__init__{suffix}") for suffix in _SUFFIXES)
    else:
        yield base
    yield from (base + suffix for suffix in _SUFFIXES)


def _place(file: str) -> str:
    folder, name = os.path.split(file)
    return os.path.dirname(folder) if name.startswith("__init__.") else folder
