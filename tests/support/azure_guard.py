"""Keeps a process on loopback: what else it would connect to or look up is refused, and noted.

A copy of this file named ``sitecustomize.py`` on PYTHONPATH does so in processes that tests start; it then notes in the
file that ``NOTES`` names. So it imports nothing of its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOTES = "LLMOPS_TEST_CONNECTIONS"
_HERE = {"127.0.0.1", "::1", "localhost", "", None, socket.gethostname()}

Patch = Callable[[object, str, Any], None]


def guard(note: Callable[[str], None], patch: Patch) -> None:
    """Refuse what is not on loopback; ``patch`` sets an attribute of an object."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def check(host: Any) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in _HERE:
            note(str(name))
            raise ConnectionRefusedError(f"no connection leaves loopback: {name}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            check(address[0])
        connect(self, address)

    def guarded_resolve(host: Any, *arguments: Any, **named: Any) -> Any:
        check(host)
        return resolve(host, *arguments, **named)

    patch(socket.socket, "connect", guarded_connect)
    patch(socket, "getaddrinfo", guarded_resolve)


def _note_in_file(host: str) -> None:
    with Path(os.environ[NOTES]).open("a", encoding="utf-8") as file:
        file.write(f"{host}\n")


if __name__ == "sitecustomize" and NOTES in os.environ:
    guard(_note_in_file, setattr)
