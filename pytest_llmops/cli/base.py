"""What the modules of all commands share."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from pytest_llmops.reports.text import encodable, neutralise

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class Terminated(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, it ends what is under way, and what is temporary is removed."""


def show(lines: Iterable[str]) -> None:
    """Write lines to standard output, made safe to print."""
    sys.stdout.writelines(f"{encodable(neutralise(line), sys.stdout.encoding)}\n" for line in lines)


def complain(text: str) -> None:
    """Write to standard error what went wrong. It may quote files, so it is made safe to print."""
    sys.stderr.write(f"{encodable(neutralise(text), sys.stderr.encoding)}\n")


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM raise ``Terminated`` for as long as a command runs."""
    if threading.current_thread() is not threading.main_thread():  # which alone is told of signals
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated
