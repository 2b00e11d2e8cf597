"""The patch of ``httpx`` and ``httpx2``: every LLM call of every client waits for a slot, and is made again.

A streamed answer is read to its end before it is handed on. A flow that makes a call while it reads the stream of
another would otherwise hold one slot and wait for a second, and enough such flows would wait for each other for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pytest_llmops.httpclients import Send, operation_of, patch_send
from pytest_llmops.throttle.call import Call, Throttle


def patch_clients(throttle: Throttle) -> Callable[[], None]:
    """Put the throttle between all clients and the network, and return the function that takes it away again."""

    def sync(original: Send, module: ModuleType) -> Send:
        def send(client: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
            if operation_of(request.method, request.url.path) is None:
                return original(client, request, stream=stream, **options)
            request.read()
            call = Call(throttle, module, request)
            while call.open:
                time.sleep(call.wait)
                with call.attempt(blocking=True) as granted:
                    granted.result()
                    call.answered(original(client, request, **options))
            return call.result(stream=stream)

        return send

    def asynchronous(original: Send, module: ModuleType) -> Send:
        async def send(client: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
            if operation_of(request.method, request.url.path) is None:
                return await original(client, request, stream=stream, **options)
            import asyncio  # Loaded by now: there is a loop that runs this.

            await request.aread()
            call = Call(throttle, module, request)
            while call.open:
                await asyncio.sleep(call.wait)
                with call.attempt(blocking=False) as granted:
                    await asyncio.wrap_future(granted)
                    call.answered(await original(client, request, **options))
            return call.result(stream=stream)

        return send

    return patch_send(sync, asynchronous)
