"""Text files of an experiment."""

from __future__ import annotations

from pathlib import Path

from pytest_llmops.errors import Problem
from pytest_llmops.spec.findings import Findings


def read_text(path: Path, file: str, findings: Findings) -> str | None:
    """Read a UTF-8 file; report under the name ``file`` where it is none, and return None."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        findings.error(Problem(file, 0, "", "is not UTF-8 text", "save it as UTF-8"))
    except OSError as error:
        findings.error(Problem(file, 0, "", f"can't be read: {error.strerror}", "correct the path or its permissions"))
    return None
