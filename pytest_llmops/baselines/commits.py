"""Which commit of the user's repository results are of."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_llmops.records.report import COMMIT

_PATIENCE = 10.0  # seconds for git
_DIRTY = "-dirty"
_SHOWN = 12


def commit_of(folder: Path) -> dict[str, str]:
    """Name the commit that is checked out, with ``-dirty`` where files were changed since; nothing outside of git."""
    command = ("git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        done = subprocess.run(  # noqa: S603 - of the user's own repository
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {COMMIT: done.stdout.strip()} if done.returncode == 0 else {}


def evaluated_commit(seen: Sequence[str]) -> str:
    """Name the commit that a session tested, by what was checked out at its times: the first, dirty if it ever was."""
    commit = seen[0].removesuffix(_DIRTY)
    return commit + _DIRTY * any(name.endswith(_DIRTY) for name in seen) if commit else ""


def changed_commit(seen: Sequence[str]) -> Iterator[str]:
    """Say, where that is so, that another commit was checked out while the session ran."""
    first, *others = dict.fromkeys(name.removesuffix(_DIRTY)[:_SHOWN] or "none" for name in seen)
    if others:
        yield f"the checked-out commit changed during the session, from {first} to {others[-1]}; run it again"
