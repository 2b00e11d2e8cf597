"""What the operating system has to do with workers: their streams, their end, and why they ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import BinaryIO

SCRATCH = "run"
"""Folder of a run's own files, in the private folder of a process that was started for it alone."""
_TAIL = 4096
_LONGEST = 200


def redirect_standard_streams(log: int) -> None:
    """Send all that this process and its children print to the file descriptor ``log``, and give them no input."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(log, 1)
    os.dup2(log, 2)


def last_output(log: BinaryIO) -> str:
    """Return the last line in a log that is not blank, cut to a readable length."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _TAIL))
    lines = log.read().decode("utf-8", "replace").split("\n")
    return next((line.strip()[:_LONGEST] for line in reversed(lines) if line.strip()), "")


def describe_exit(code: int) -> str:
    """Say how a process ended, given its exit code, or its signal as a negative number."""
    return f"died (signal {-code})" if code < 0 else f"died (exit code {code})"


def end_group(leader: int) -> None:
    """End a process and whatever it started, if they are still there."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def end_this_process() -> None:
    """End this process at once, and whatever it started."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        end_group(os.getpid())
    os._exit(1)
