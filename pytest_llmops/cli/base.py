"""What the modules of all commands share."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_llmops.reports.text import encodable, neutralise

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class Terminated(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, it ends what is under way, and what is temporary is removed."""


def add_command(commands: Commands, name: str, purpose: str) -> argparse.ArgumentParser:
    """Declare a command; ``purpose`` is what the list of commands and its own help say that it does."""
    return commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")


def add_history(parser: argparse.ArgumentParser) -> None:
    """Declare the option that names the folder of earlier sessions."""
    parser.add_argument(
        "--history", action=_Once, metavar="FOLDER", help="results of earlier sessions, for the report's trend"
    )


class _Once(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, name: str | None = None
    ) -> None:
        """Refuse a second one: argparse would keep that one alone."""
        if getattr(namespace, self.dest) is not None:
            parser.error(f"argument {name}: there are two; name one folder that has both below it")
        setattr(namespace, self.dest, values)


def show(lines: Iterable[str]) -> None:
    """Write lines to standard output, made safe to print."""
    sys.stdout.writelines(f"{encodable(neutralise(line), sys.stdout.encoding)}\n" for line in lines)


def complain(text: str) -> None:
    """Write to standard error what went wrong. It may quote files, so it is made safe to print."""
    with suppress(OSError):  # which can't be said anywhere
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
