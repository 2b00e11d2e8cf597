"""Secrets inside of files that are to be uploaded, where all who see the model would see them."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_llmops.errors import ConfigurationError, Problem, RunError
from pytest_llmops.secrets import find_secrets

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def refuse_secrets(folder: Path, names: Iterable[str], *, shown: Path | None = None) -> None:
    """Look into files, named from a folder, for keys, connection strings and URLs with a password.

    ``shown`` is the folder that messages name, where the files are copies.

    Raises:
        ConfigurationError: naming the line of each, and never the secret.
        RunError: where a file can't be read.
    """
    problems = [problem for name in names for problem in _problems(folder / name, (shown or folder) / name)]
    if problems:
        raise ConfigurationError(problems)


def _problems(file: Path, shown: Path) -> Iterator[Problem]:
    for line, kind in find_secrets(_text(file)):
        what = f"holds what looks like {kind}, and would be uploaded with the flow"
        todo = "take it out, and give it to the flow by a connection or an environment variable"
        yield Problem(str(shown), line, "", what, todo)


def _text(file: Path) -> str:
    """Read a file, whatever is in it: keys are ASCII, and what is not text holds none."""
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise RunError(f"{file}: can't be read: {problem.strerror}") from problem
    return content.decode("utf-16" if content.startswith(_WIDE) else "latin-1", "replace")
