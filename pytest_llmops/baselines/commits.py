"""Which commit of the user's repository results are of."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pytest_llmops.records.report import COMMIT

_PATIENCE = 10.0  # seconds for git


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
