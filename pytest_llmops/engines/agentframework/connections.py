"""HTTP connections that belong to one row's event loop, whoever made the client.

Each row runs in an event loop of its own. A connection can't leave the loop that it was opened in, but a client may:
one that a module makes when it is imported is shared by all rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import importlib.util
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from pytest_llmops.httpclients import MODULES

_Loop = asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class _Origin:
    """The loop that a transport was made in, if any, and what makes another like it."""

    loop: _Loop | None
    again: Callable[[], Any]


class LoopConnections:
    """Has every asynchronous client keep one set of connections for each event loop, closed when that ends."""

    def __init__(self) -> None:
        # The modules' classes are Any here.
        self._origins: WeakKeyDictionary[Any, _Origin] = WeakKeyDictionary()
        # By loop: transports and, for each, the one that stands in for it there.
        self._of: dict[_Loop, dict[Any, Any]] = {}
        self._contexts: dict[tuple[str, bool, bool], Any] = {}

    def install(self) -> None:
        """Begin with clients that are made from now on. There is no end to it: the process has one run."""
        for module in map(importlib.import_module, filter(importlib.util.find_spec, MODULES)):
            self._install(module)

    @contextlib.asynccontextmanager
    async def own(self) -> AsyncIterator[None]:
        """Close, at the end, all connections that were opened in the running loop meanwhile."""
        loop = asyncio.get_running_loop()
        self._of[loop] = {}
        try:
            yield
        finally:
            for transport in self._of.pop(loop).values():
                # What can't be closed ends with its loop, and neither the others nor the row's result depend on it.
                with contextlib.suppress(Exception):
                    await transport.aclose()

    def _install(self, module: ModuleType) -> None:
        kind = module.AsyncHTTPTransport
        make, handle = kind.__init__, kind.handle_async_request

        @functools.wraps(make)
        def make_known(transport: Any, *args: Any, **options: Any) -> None:
            if not args and options.get("verify", True) is True and options.get("cert") is None:
                options["verify"] = self._context(module, options)
            make(transport, *args, **options)
            self._origins[transport] = _Origin(_running_loop(), functools.partial(kind, *args, **options))

        @functools.wraps(handle)
        async def handle_in_loop(transport: Any, request: Any) -> Any:
            return await handle(self._for_this_loop(transport), request)

        kind.__init__, kind.handle_async_request = make_known, handle_in_loop

    def _context(self, module: ModuleType, options: dict[str, Any]) -> Any:
        """Return what verifies certificates by default. To read them takes most of the time of a row's own client."""
        trust_env = options.get("trust_env", True)
        key = module.__name__, trust_env, options.get("http2", False)
        if key not in self._contexts:
            self._contexts[key] = module.create_ssl_context(trust_env=trust_env)
        return self._contexts[key]

    def _for_this_loop(self, transport: Any) -> Any:
        loop = asyncio.get_running_loop()
        known, origin = self._of.get(loop), self._origins.get(transport)
        if known is None or origin is None:
            return transport  # a loop that the flow made, or a client from before
        if transport not in known:
            known[transport] = transport if origin.loop is loop else origin.again()
        return known[transport]


def _running_loop() -> _Loop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
