"""Whose a file is: the user's, a library's, whose version is known, or the system's."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest_llmops

_SYSTEM = ("/proc", "/sys", "/dev", "/etc")
_MEMORY = "/dev/shm/"  # noqa: S108 - nothing is written there
"""The one place below a system folder where checkouts and data are put."""


class Territory:
    """Tells what of a computer is the user's, seen from a flow's folder.

    ``ignored`` are further folders that hold nothing of the user's.
    """

    def __init__(self, folder: Path, ignored: Iterable[Path] = ()) -> None:
        self.folder = os.path.abspath(folder)
        self._foreign = _prefixes([*_libraries(), *map(str, ignored)])
        inside = (self.folder + os.sep, os.path.realpath(folder) + os.sep)
        # A checkout in /etc is read like any other; but no devices, which would never end.
        self._system = tuple(
            prefix
            for prefix in _prefixes(_SYSTEM)
            if prefix == "/dev/" or not any(p.startswith(prefix) for p in inside)
        )

    def is_users(self, path: str) -> bool:
        """Tell whether a file or folder, by its absolute path, is neither a library's nor the system's."""
        return not any(map(self._is_foreign, {path + os.sep, os.path.realpath(path) + os.sep}))

    def is_source(self, filename: str) -> bool:
        """Tell the same of the file that code says it comes from. Generated code is nobody's."""
        return not filename.startswith("<") and not self._is_foreign(filename)

    def is_inside(self, path: str) -> bool:
        """Tell whether a path is the flow's folder or below it."""
        return path == self.folder or path.startswith(self.folder + os.sep)

    def name(self, path: str) -> str:
        """Return the name of a file for the ledger, posix: what can be copied together with the flow goes by its way
        from there, and what lies elsewhere on the computer by its absolute path.
        """
        try:
            together = os.path.commonpath((self.folder, path)) != os.path.splitdrive(path)[0] + os.sep
        except ValueError:  # another drive of Windows
            together = False
        return Path(os.path.relpath(path, self.folder) if together else path).as_posix()

    def _is_foreign(self, path: str) -> bool:
        return path.startswith(self._foreign) or (path.startswith(self._system) and not path.startswith(_MEMORY))


def _libraries() -> Iterator[str]:
    """Yield where installed code lies. The context has the versions of it."""
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield os.path.join(os.path.dirname(paths["stdlib"]), f"python{sys.version_info.major}{sys.version_info.minor}.zip")
    yield from site.getsitepackages()
    yield site.getusersitepackages()
    yield os.path.dirname(pytest_llmops.__file__)


def _prefixes(folders: Iterable[str]) -> tuple[str, ...]:
    spellings = {path for folder in folders for path in (os.path.abspath(folder), os.path.realpath(folder))}
    return tuple(sorted(path.rstrip(os.sep) + os.sep for path in spellings))
