"""The ``llmops`` command: thin over the library, a module for each of its commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import UnsupportedOperation
from typing import NoReturn

from pytest_llmops import __version__
from pytest_llmops.cli import (
    ab,
    audit,
    baseline,
    compare,
    deploy,
    endpoint,
    gate,
    ledger,
    merge,
    mutate,
    noise,
    pr_comment,
    regate,
    register,
    register_data,
    report,
    schema,
    traffic,
    view,
)
from pytest_llmops.cli.base import Terminated, complain, terminable
from pytest_llmops.errors import CloudError, LLMOpsError

_COMMANDS = (
    schema,
    ledger,
    baseline,
    compare,
    regate,
    noise,
    mutate,
    audit,
    gate,
    pr_comment,
    merge,
    report,
    view,
    register,
    register_data,
    deploy,
    traffic,
    endpoint,
    ab,
)
_BAD, _USAGE, _INTERRUPTED, _UNREAD, _TERMINATED = 1, 4, 130, 141, 143
_CODES = """\
exit codes:
  0    all is well
  1    what was found is bad: the gate is closed, no gate noticed, nothing can be told
  4    settings, files or the command line are wrong
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, 1 where what it found is bad, 4 for a usage or configuration error.

    The codes mean what they mean to pytest; 1 is also output that can't be written. A command that is ended by a signal
    has the code that shells give it: 130 for Ctrl-C, 141 where nobody reads its output, 143 for SIGTERM.
    """
    try:
        with terminable():
            code = _run(arguments)
            sys.stdout.flush()
    except Terminated:
        complain("terminated")
        return _TERMINATED
    except KeyboardInterrupt:
        complain("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return _UNREAD
    except OSError as error:
        if error.filename is not None:  # of a file, not of the output
            raise
        _drop_output()
        complain(f"the output can't be written: {error.strerror}")
        return _BAD
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except CloudError as error:
        complain(str(error))
        return _BAD
    except LLMOpsError as error:
        complain(str(error))
        return _USAGE
    return code


def _drop_output() -> None:
    # Python flushes at exit, and would complain then.
    with suppress(UnsupportedOperation), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit as for every other mistake in settings."""
        self.print_usage(sys.stderr)
        complain(f"{self.prog}: {message}")
        raise SystemExit(_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="llmops",
        description="Tools around the evaluation of LLM flows with pytest.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"llmops {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
