"""A service on loopback, and throttles that are taken away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from openai_server import OpenAIServer, serving

from pytest_llmops import throttle
from pytest_llmops.throttle import LimitServer, Throttle

Throttling = Callable[..., Throttle]


@pytest.fixture
def service() -> Iterator[OpenAIServer]:
    with serving() as running:
        yield running


@pytest.fixture
def throttling() -> Iterator[Throttling]:
    """Return ``throttle.install``, undone at the end of the test."""
    with ExitStack() as cleanup:

        def install(address: str | None = None, **options: int) -> Throttle:
            installed = throttle.install(address, **options)
            cleanup.callback(installed.close)
            return installed

        yield install


@pytest.fixture
def one_slot() -> Iterator[LimitServer]:
    server = LimitServer(1)
    yield server
    server.close()
