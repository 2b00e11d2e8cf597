"""A flow that is served on loopback as prompt flow serves it, and a server that can be told to fail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Sent:
    """What is sent in place of an answer. ``status`` 0 hangs up, after half of the body if there is one."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


class ServedFlow(ThreadingHTTPServer):
    """Answers ``POST /score`` with what ``answer`` makes of the inputs; an exception is the flow's, as a status 400.

    ``faults`` is what is sent first, one for each request, and ``unready`` the number of looks at ``/health`` that
    find the server starting. ``health`` is the status of that page afterwards. ``requests`` holds path, headers and
    inputs of every POST.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.faults: list[Sent] = []
        self.unready = 0
        self.health = 200
        self.delay = 0.0
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.looks: list[dict[str, str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Scoring URL."""
        return f"http://127.0.0.1:{self.server_port}/score"


class _Handler(BaseHTTPRequestHandler):
    server: ServedFlow
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.looks.append(dict(self.headers))
            self.server.unready -= 1
            starting = self.server.unready >= 0
        self._send(Sent(503 if starting else self.server.health, b'{"status": "Healthy"}'))

    def do_POST(self) -> None:
        inputs = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers), inputs))
            fault = self.server.faults.pop(0) if self.server.faults else None
        time.sleep(self.server.delay if fault is None else fault.delay)
        self._send(fault or self._answered(inputs))

    def _answered(self, inputs: Any) -> Sent:
        try:
            return Sent(200, json.dumps(self.server.answer(inputs)).encode())
        except Exception as problem:
            return Sent(400, json.dumps({"error": {"code": "UserError", "message": str(problem)}}).encode())

    def _send(self, sent: Sent) -> None:
        if not sent.status:
            if sent.body:
                self.send_response(200)
                self.send_header("content-length", str(2 * len(sent.body)))
                self.end_headers()
                self.wfile.write(sent.body)
            self.close_connection = True
            return
        self.send_response(sent.status)
        headers = {"content-type": "application/json", "content-length": str(len(sent.body)), **sent.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def served(answer: Answer) -> Iterator[ServedFlow]:
    """Serve a flow while the block lasts."""
    with ServedFlow(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
