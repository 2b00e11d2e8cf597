"""``llmops view``: the reports of a session in a browser, served to this machine alone.

A page that is opened from its file needs no server. This is for machines whose files a browser can't open: containers,
remote hosts whose port is forwarded.
"""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands

_PORTS = range(65_536)


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "view", "serve the reports of a session to a browser on this machine")
    parser.add_argument("folder", nargs="?", default="reports", metavar="DIR", help="reports of a session (reports)")
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help="port to listen on; without it, a free one")
    parser.add_argument("--no-browser", action="store_true", help="say the address, and open no browser")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from pytest_llmops.cli.serving import ReportServer
    from pytest_llmops.reports import page

    folder = Path(options.folder)
    if not (folder / page.FILE).is_file():
        todo = f"run pytest, or make it from results with: llmops report {options.folder}"
        raise LLMOpsError(f"{options.folder}: there is no {page.FILE}; {todo}")
    if options.port not in _PORTS:
        raise LLMOpsError(f"--port: {options.port} is no port; give a number up to {_PORTS[-1]}")
    try:
        server = ReportServer(folder, options.port)
    except OSError as error:
        raise LLMOpsError(f"--port: {options.port} can't be used: {error.strerror}; give another one") from None
    with server:
        show([f"serving {options.folder} at {server.url} until Ctrl-C"])
        sys.stdout.flush()
        if not options.no_browser:
            # Some browsers run in the terminal, and return when they are closed.
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        server.serve_forever()
    return 0
