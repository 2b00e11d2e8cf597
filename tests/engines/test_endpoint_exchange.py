"""Answers that never end, and those that are too large."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from pytest_llmops.deployment.smoke import check
from pytest_llmops.engines.endpoint.answers import Refused
from pytest_llmops.engines.endpoint.client import EndpointClient
from pytest_llmops.engines.endpoint.exchange import TooSlow, exchange
from pytest_llmops.errors import RunError
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.experiment import Flow

OK = b"HTTP/1.1 200 OK\r\n"
FLOW = Flow(name="f", kind="flex", file=Path("f"), folder=Path())


@contextmanager
def answering(*pieces: bytes, drip: bytes = b"") -> Iterator[str]:
    """Serve, to whoever connects, pieces of an answer, and then a drop again and again. Yields the URL."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
            while drip and not ended.wait(0.02):
                connection.sendall(drip)
            # Closed with a part of the request unread, it would be reset, and what was sent be lost.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/score"
        ended.set()


CHUNKED = OK + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPPING = {
    "a status line": ((b"HTTP/1.1 2",), b"0"),
    "headers": ((OK,), b"a: b\r\n"),
    "a header": ((OK, b"a: "), b"b"),
    "chunks": ((CHUNKED,), b"1\r\n \r\n"),
    "a body of a length": ((OK + b"Content-Length: 1000000\r\n\r\n",), b" "),
    "a body without a length": ((OK + b"\r\n",), b" "),
}


@pytest.fixture(params=DRIPPING)
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    pieces, drip = DRIPPING[request.param]
    with answering(*pieces, drip=drip) as url:
        yield url


def timed(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_an_answer_that_drips_is_given_up_in_time(dripping: str) -> None:
    def ask() -> None:
        with pytest.raises(TooSlow):
            exchange(requests.Session(), "POST", dripping, data=b"{}", seconds=0.3)

    assert timed(ask) < 2


def test_a_test_request_has_an_end(dripping: str) -> None:
    address = Address(url=dripping)
    assert check(address, {"a": 1}, FLOW, timeout=0.3) == [f"{address}: no answer within 0.3 seconds"]


def test_a_page_of_its_health_that_drips_is_no_health(dripping: str) -> None:
    def wait() -> None:
        EndpointClient(Address(url=dripping), 0).wait_until_ready(0.2)

    with suppress(RunError):  # what it says in its headers may be enough
        assert timed(wait) < 2


def test_what_health_says_is_not_read() -> None:
    with answering(CHUNKED, drip=b"1\r\n \r\n") as url:
        EndpointClient(Address(url=url), 0).wait_until_ready(1)
    with answering(b"HTTP/1.1 200 O", drip=b"K") as url, pytest.raises(RunError) as raised:
        EndpointClient(Address(url=url), 0).wait_until_ready(0.2)
    assert str(raised.value) == (
        f"endpoint {url} is not ready, after 0.2 seconds: /health gives no answer within 0.2 seconds"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(packed: bool) -> None:
    content = b" " * 12_000_000
    head = OK
    if packed:
        content, head = gzip.compress(content), OK + b"Content-Encoding: gzip\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(content)
    with answering(head, content) as url, pytest.raises(Refused) as raised:
        exchange(requests.Session(), "POST", url, data=b"{}", seconds=20)
    assert str(raised.value) == "200 OK: the answer is larger than 10 MiB, and not read any further"
