"""The progress line: on a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from project import Project

SLOW_WORDS = (
    "import time\n\n\ndef shout(word: str) -> dict:\n    time.sleep(0.2)\n    return {'loud': word.upper() + '!'}\n"
)
PYTEST = [sys.executable, "-m", "pytest", "evals", "-p", "no:cacheprovider", "--llmops-concurrency", "1"]


def run_on_a_terminal(project: Project) -> str:
    """Run pytest on a pseudo-terminal and return what it wrote there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(PYTEST, stdout=theirs, stderr=theirs, stdin=theirs, cwd=project.path) as process:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


def test_rows_done_are_counted_on_a_terminal(project: Project) -> None:
    project.write("shout.py", SLOW_WORDS)
    written = run_on_a_terminal(project)
    counts = re.findall(r"\rllmops: (\d)/4 rows, shout-words-default \d/4", written)
    assert counts
    assert counts == sorted(set(counts))
    assert re.search(r"\r +\r\r\nevals/shouting/experiment.yaml \.\.", written), "the line is erased before the results"


def test_a_log_has_no_progress_line(project: Project) -> None:
    project.write("shout.py", SLOW_WORDS)
    result: pytest.RunResult = project.pytester.runpytest_subprocess(*PYTEST[3:])
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*rows, shout*")
