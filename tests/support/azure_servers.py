"""The two servers of the Azure emulator on loopback: HTTPS under the names of Azure, and the proxy that leads there."""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from azure_routes import Answer, Request

Destination = Callable[[], int | None]
"""The port on loopback that a host name leads to; None where there is no server for it."""


class LostConnectionError(Exception):
    """Raised by who answers a request, to close the connection without an answer."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default of five is too few for a burst of clients.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that go away."""


class TlsServer(_Server):
    """HTTPS on loopback; ``answer`` is asked for every request, in the connection's own thread."""

    def __init__(self, tls: ssl.SSLContext, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _HttpsHandler)
        self.answer = answer
        self._tls = tls

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        """Accept a connection; the handshake is left to its thread."""
        connection, address = self.socket.accept()
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


class _HttpsHandler(BaseHTTPRequestHandler):
    server: TlsServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        address = urlsplit(self.path)
        request = Request(
            method=self.command,
            host=self.headers["host"].partition(":")[0].lower(),
            path=unquote(address.path),
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        try:
            self._send(self.server.answer(request))
        except LostConnectionError:
            self.close_connection = True
            self.connection.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/json"} | dict(answer.headers)).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Proxy(_Server):
    """Connects to those hosts that ``destinations`` names (a pattern each) and to nothing else: see ``refused``."""

    def __init__(self, destinations: Mapping[str, Destination]) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.refused: list[str] = []
        self._destinations = destinations

    def port_of(self, host: str) -> int | None:
        """Return where a host is emulated, None for one that is not."""
        found = next((port for pattern, port in self._destinations.items() if fnmatch(host, pattern)), None)
        port = found() if found else None
        if port is None:
            self.refused.append(host)
        return port


class _ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        """Carry bytes to and fro until a side closes."""
        self.close_connection = True
        port = self.server.port_of(self.path.partition(":")[0].lower())
        if port is None:
            self.send_error(403, "not emulated")
            return
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self.send_response(200, "Connection established")
            self.end_headers()
            _carry(self.connection, upstream)

    def do_GET(self) -> None:
        """Refuse what is not TLS: nothing of Azure is asked in plain text."""
        self.server.refused.append(self.path)
        self.send_error(403, "not emulated")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def _carry(one: socket.socket, other: socket.socket) -> None:
    towards = {one: other, other: one}
    for end in towards:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):
        while True:
            for source in select.select(list(towards), [], [])[0]:
                # urllib3 leaves Nagle's algorithm on where there is a proxy: a body waits for this until its headers
                # are acknowledged, which takes 40 ms unless it is done at once.
                if sys.platform == "linux":
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                data = source.recv(65536)
                if not data:
                    return
                towards[source].sendall(data)


@contextmanager
def running(server: HTTPServer) -> Iterator[None]:
    """Serve in a thread for as long as it is needed."""
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
