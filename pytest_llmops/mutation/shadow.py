"""A copy of a flow in a tree of its own, so that it can be broken while the user's files stay as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pytest_llmops.errors import LLMOpsError

_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".git", ".venv", ".llmops", ".recording", "node_modules")
_ENV_FILE = ".env"


def shadow(root: Path, folder: Path, into: Path, changes: Mapping[Path, str]) -> Path:
    """Copy a folder below ``root`` to the same place below ``into``, with changed texts. Returns the new folder.

    What stands beside the folder and its parents is linked, so that relative paths out of the folder lead to where
    they led before. Of ``root`` itself, which may be a whole repository, only the files are copied. Nor are ``.env``
    files, which hold secrets: a flow that reads one finds it through a link.

    Raises:
        LLMOpsError: where the system does not let links be made.
    """
    copy = into / os.path.relpath(folder, root)
    into.mkdir(parents=True)
    above, here = root, into
    for name in copy.relative_to(into).parts:
        _link_all(above, here, leave_out=name)
        above, here = above / name, here / name
        here.mkdir()
    if folder == root:
        _copy_files(folder, copy, changes)
    else:
        shutil.copytree(folder, copy, ignore=_LEFT_OUT, copy_function=_copy_file, dirs_exist_ok=True)
    for file, text in changes.items():
        (copy / file.relative_to(folder)).write_text(text, encoding="utf-8", newline="")
    return copy


def _copy_files(folder: Path, copy: Path, changes: Mapping[Path, str]) -> None:
    """Copy files of a folder, link the folders in it, and go into those that hold a changed file."""
    for entry in folder.iterdir():
        if entry.is_file():
            _copy_file(str(entry), str(copy / entry.name))
        elif any(entry in file.parents for file in changes):
            (copy / entry.name).mkdir()
            _copy_files(entry, copy / entry.name, changes)
        else:
            _link(entry, copy / entry.name)


def _copy_file(file: str, copy: str) -> None:
    if Path(file).name.startswith(_ENV_FILE):
        _link(Path(file), Path(copy))
    else:
        shutil.copy2(file, copy)


def _link_all(folder: Path, into: Path, *, leave_out: str) -> None:
    for entry in folder.iterdir():
        if entry.name != leave_out:
            _link(entry, into / entry.name)


def _link(entry: Path, link: Path) -> None:
    try:
        link.symlink_to(entry, target_is_directory=entry.is_dir())
    except OSError as error:
        what = f"{link}: can't link to {entry}: {error.strerror}"
        raise LLMOpsError(f"{what}; mutants need symbolic links: on Windows, turn on developer mode") from None
