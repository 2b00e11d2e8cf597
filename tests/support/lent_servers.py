"""Servers of worker processes that the engines of many sessions share: each would otherwise start its own."""

from __future__ import annotations

from collections import defaultdict

from pytest_llmops.engines.forking import ForkedWorker, ForkServer
from pytest_llmops.engines.workers import CLOSED, Launcher, Library


class Servers:
    """Running servers, one for each library, so that a worker has imported what it would have without the sharing."""

    def __init__(self) -> None:
        self._running: defaultdict[Library | None, ForkServer] = defaultdict(ForkServer)

    def lend(self, fork: bool = True) -> Launcher:
        """Return a launcher for one engine."""
        return _Lent(self)

    def of(self, library: Library | None) -> ForkServer:
        """Return the server for flows that need a library, or none."""
        return self._running[library]

    def close(self) -> None:
        """End all servers."""
        for server in self._running.values():
            server.close()


class _Lent:
    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._closed = False

    def warm_up(self, library: Library) -> None:
        self._servers.of(library).warm_up(library)

    def launch(self, library: Library | None) -> ForkedWorker:
        if self._closed:
            raise OSError(CLOSED)
        return self._servers.of(library).launch(library)

    def close(self) -> None:
        """Launch no more. What runs is ended by the engine, which closes its worker."""
        self._closed = True
