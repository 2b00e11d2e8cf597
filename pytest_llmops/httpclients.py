"""What the LLM calls of all flows have in common: they are requests of ``httpx`` or ``httpx2`` clients.

``Client.send`` is the one public method that all requests pass, whatever transport, proxy, base URL or event hooks a
client has, and a class attribute, so that a patch of it also holds for clients that exist already.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any

OPERATIONS = ("chat/completions", "completions", "embeddings", "responses")
_OPERATION = re.compile(rf"/({'|'.join(OPERATIONS)})/?$")
MODULES = ("httpx", "httpx2")

# The two modules have the same classes, and either may be absent: their clients, requests and responses are Any here.
Send = Callable[..., Any]
Wrap = Callable[[Send, ModuleType], Send]


def operation_of(method: str, path: str) -> str | None:
    """Return the LLM operation that a request is for, or None for any other request."""
    match = _OPERATION.search(path) if method == "POST" else None
    return match[1] if match else None


def patch_send(sync: Wrap, asynchronous: Wrap) -> Callable[[], None]:
    """Wrap ``send`` of all clients, and return the function that takes the wrapping away again.

    A wrap is given the ``send`` in place and its module. Wrappings come off in the reverse order of their making.
    """
    restore = []
    for module in map(importlib.import_module, filter(importlib.util.find_spec, MODULES)):
        for client, wrap in ((module.Client, sync), (module.AsyncClient, asynchronous)):
            restore.append(functools.partial(setattr, client, "send", client.send))
            client.send = functools.wraps(client.send)(wrap(client.send, module))

    def undo() -> None:
        for action in restore:
            action()

    return undo


def make_response(
    module: ModuleType, request: Any, status: int, headers: Mapping[str, str], content: bytes, *, stream: bool
) -> Any:
    """Build a response that never was on the network, unread where the caller asked for a ``stream``."""
    response = module.Response(status, headers=headers, stream=module.ByteStream(content), request=request)
    response.elapsed = timedelta(0)
    if not stream:
        response.read()
    return response
