"""What files hold, as digests: of one file, of a folder's listing, and of all files below a folder."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

UNREADABLE = "unreadable"
"""Stands for what is there and can't be read, where a digest is expected."""

_NO_INGREDIENTS = frozenset(
    {
        "__pycache__",
        ".git",
        ".hg",
        ".svn",
        ".promptflow",
        ".runs",
        ".recording",
        ".llmops",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
        ".idea",
        ".vscode",
        ".venv",
        "node_modules",
    }
)
_SETTLED = 2 * 10**9
"""Nanoseconds. A file that changed less than this ago may change again without its time stamps showing it."""

Stamp = tuple[int, int, int, int]


def is_ignored(name: str) -> bool:
    """Tell by its name that a file or folder is made by tools, and is no part of a flow."""
    return name in _NO_INGREDIENTS or name.endswith((".pyc", ".pyo"))


def files_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield all files below a folder that may be part of a flow: path from the folder, posix, and absolute path.

    A folder that can't be listed is yielded itself, for what is in it to be missed by nobody.
    """
    yield from _files(str(folder), "", frozenset())


def _files(folder: str, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    here = os.path.realpath(folder)
    if here in above:  # a symbolic link to a folder above itself
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if not is_ignored(entry.name)), key=lambda entry: entry.name)
    except OSError:
        yield prefix.rstrip("/") or ".", folder
        return
    for entry in found:
        if _is_folder(entry):
            yield from _files(entry.path, f"{prefix}{entry.name}/", above | {here})
        elif entry.is_symlink() or entry.is_file():
            yield f"{prefix}{entry.name}", entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # of a symbolic link to itself, or to where nobody may look
        return False


def stamp(path: str) -> Stamp | None:
    """Return what changes whenever a file is written, without reading it; None where it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def changed_names(folder: Path, stamps: Mapping[str, Stamp | None]) -> list[str]:
    """Return which of some files are not what they were, and which are new below a folder, as seen from there."""
    changed = [path for path, before in stamps.items() if stamp(path) != before]
    new = [path for _, path in files_below(folder) if path not in stamps] if not changed else []
    return [Path(os.path.relpath(path, folder)).as_posix() for path in sorted(changed or new)]


def digest_of(path: str) -> str | None:
    """Return the SHA-256 of a file's content, or of the names in a folder; None where there is nothing."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            names = sorted(name for name in os.listdir(path) if not is_ignored(name))
            return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
        if not stat.S_ISREG(status.st_mode):
            return UNREADABLE  # reading a pipe or device would change it, or never end
        with open(path, "rb") as file:
            return _digest_of_stream(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return UNREADABLE


def check_readable(digests: Mapping[str, str | None]) -> None:
    """Refuse digests that don't stand for what is there.

    Raises:
        OSError: for the first file or folder that couldn't be read.
    """
    for name, content in digests.items():
        if content == UNREADABLE:
            raise OSError(errno.EACCES, "it can't be read", name)


def _digest_of_stream(descriptor: int) -> str:
    content = hashlib.sha256()
    while chunk := os.read(descriptor, 1 << 20):
        content.update(chunk)
    return content.hexdigest()


class FileDigests:
    """Digests of files, each read once for as long as it stays the same. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp, str]] = {}

    def get(self, path: str) -> str | None:
        """Return what ``digest_of`` gives."""
        before = stamp(path)
        known = self._known.get(path)
        if known is not None and known[0] == before:
            return known[1]
        found = digest_of(path)
        if found is not None and before is not None and max(before[:2]) < time.time_ns() - _SETTLED:
            self._known[path] = (before, found)
        return found
