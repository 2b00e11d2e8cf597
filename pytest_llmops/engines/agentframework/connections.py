"""HTTP connections that belong to one row's event loop, whoever made the client.

Each row runs in an event loop of its own. A connection can't leave the loop that it was opened in, but a client may:
one that a module makes when it is imported is shared by all rows.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from pytest_llmops.httpclients import MODULES

_Loop = asyncio.AbstractEventLoop


class LoopConnections:
    """Has every asynchronous client keep one set of connections for each event loop, closed when that ends."""

    def __init__(self) -> None:
        # By loop: transports and, for each, the one that stands in for it there. The modules' classes are Any here.
        self._of: dict[_Loop, dict[Any, Any]] = {}
        self._contexts: dict[tuple[str, bool, bool], Any] = {}

    def install(self) -> None:
        """Begin with clients that are made from now on. There is no end to it: the process has one run."""
        for module in map(importlib.import_module, filter(importlib.util.find_spec, MODULES)):
            self._install(module)

    @asynccontextmanager
    async def own(self) -> AsyncIterator[None]:
        """Close, at the end, all connections that were opened in the running loop meanwhile."""
        loop = asyncio.get_running_loop()
        self._of[loop] = {}
        try:
            yield
        finally:
            for transport in self._of.pop(loop).values():
                await transport.aclose()

    def _install(self, module: ModuleType) -> None:
        kind = module.AsyncHTTPTransport
        make, handle = kind.__init__, kind.handle_async_request

        @functools.wraps(make)
        def make_known(
            transport: Any, verify: Any = True, cert: Any = None, trust_env: bool = True, **options: Any
        ) -> None:
            if verify is True and cert is None:
                verify = self._context(module, trust_env, http2=options.get("http2", False))
            known = {"verify": verify, "cert": cert, "trust_env": trust_env, **options}
            make(transport, **known)
            transport.llmops_loop = _running_loop()
            transport.llmops_copy = functools.partial(kind, **known)

        @functools.wraps(handle)
        async def handle_in_loop(transport: Any, request: Any) -> Any:
            return await handle(self._for_this_loop(transport), request)

        kind.__init__, kind.handle_async_request = make_known, handle_in_loop

    def _context(self, module: ModuleType, trust_env: bool, *, http2: bool) -> Any:
        """Return what verifies certificates by default. To read them takes most of the time of a row's own client."""
        key = module.__name__, trust_env, http2
        if key not in self._contexts:
            self._contexts[key] = module.create_ssl_context(trust_env=trust_env)
        return self._contexts[key]

    def _for_this_loop(self, transport: Any) -> Any:
        loop = asyncio.get_running_loop()
        known = self._of.get(loop)
        if known is None or not hasattr(transport, "llmops_copy"):
            return transport  # a loop that the flow made, or a client from before
        if transport not in known:
            known[transport] = transport if transport.llmops_loop is loop else transport.llmops_copy()
        return known[transport]


def _running_loop() -> _Loop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
