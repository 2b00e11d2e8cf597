"""A server on loopback that speaks the OpenAI API, for tests of everything that calls an LLM."""

from __future__ import annotations

import base64
import itertools
import json
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class OpenAIServer(ThreadingHTTPServer):
    """Answers each request with a new number, so that it shows who was asked twice.

    ``answers`` maps a prompt to the text that answers it every time. ``failures`` is the number of requests to refuse
    first, with ``refusal``: status (0 hangs up), body and headers. More requests at once than ``capacity`` are refused
    as well. ``gate`` is waited for before each answer, and ``delay`` are the seconds that it takes. ``peak`` is the
    highest number of requests that were under way at once, refused ones not counted.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.requests: list[tuple[str, Any]] = []
        self.answers: dict[str, str] = {}
        self.failures = 0
        self.refusal: tuple[int, Any, dict[str, str]] = (
            429,
            {"error": {"message": "slow down"}},
            {"retry-after-ms": "1"},
        )
        self.capacity = 1000
        self.delay = 0.0
        self.peak = 0
        self.refused = 0
        self._under_way = 0
        self.gate = threading.Event()
        self.gate.set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def note(self, path: str, body: Any) -> tuple[int, bool]:
        """Note a request, and return its number and whether to refuse it."""
        with self._lock:
            self.requests.append((path, body))
            self.failures -= 1
            refused = self.failures >= 0 or self._under_way >= self.capacity
            self.refused += refused
            self._under_way += not refused
            self.peak = max(self.peak, self._under_way)
            return next(self._numbers), refused

    def work(self) -> None:
        """Take the time of an answer."""
        time.sleep(self.delay)
        with self._lock:
            self._under_way -= 1


class _Handler(BaseHTTPRequestHandler):
    server: OpenAIServer
    protocol_version = "HTTP/1.1"
    # Headers and body go out in two writes, which Nagle's algorithm would hold up for 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": "model-1", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number, refused = self.server.note(self.path, body)
        self.server.gate.wait(10)
        path = self.path.partition("?")[0]
        if refused:
            return self._refuse(*self.server.refusal)
        # Done before the answer goes out: whoever has it may make the next request at once.
        self.server.work()
        if path.endswith("/chat/completions"):
            self._chat(body, number)
        elif path.endswith("/completions"):
            choice = {"index": 0, "text": self._answer(body["prompt"], number), "finish_reason": "stop"}
            self._json(200, self._stamped("cmpl-", "text_completion", body, [choice]))
        elif path.endswith("/embeddings"):
            vector: Any = [0.25, -1.5e-05, float(number)]
            if body.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
            data = [{"object": "embedding", "index": 0, "embedding": vector}]
            self._json(200, {"object": "list", "model": body["model"], "data": data, "usage": {"total_tokens": 3}})
        elif path.endswith("/responses"):
            self._response(body, number)
        else:
            self._json(200, {"path": path})
        return None

    def _refuse(self, status: int, body: Any, headers: dict[str, str]) -> None:
        if status:
            self._json(status, body, headers)
        else:
            self.close_connection = True

    def _chat(self, body: Any, number: int) -> None:
        prompt = body["messages"][-1]["content"]
        text = self._answer(prompt, number)
        if prompt == "error in disguise":
            self._json(200, {"error": {"message": "overloaded"}})
        elif prompt == "not JSON":
            self._send(200, "text/html", b"<html>sign in</html>")
        elif body.get("stream"):
            deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in _pieces(text))]
            choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
            stop = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
            whole = self._stamped("chatcmpl-", "chat.completion.chunk", body, stop)
            events = [json.dumps({**whole, "choices": choice}) for choice in [*choices, stop]]
            if prompt != "early end":
                events.append("[DONE]")
            self._send(200, "text/event-stream", "".join(f": ping\r\ndata: {e}\r\n\r\n" for e in events).encode())
        else:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json(200, {**self._stamped("chatcmpl-", "chat.completion", body, [choice]), "echo": body})

    def _response(self, body: Any, number: int) -> None:
        text: dict[str, Any] = {"type": "output_text", "text": self._answer(body["input"], number), "annotations": []}
        output: Any = [{"type": "message", "id": f"msg_{number}", "role": "assistant", "content": [text]}]
        response = {
            "id": f"resp_{number}",
            "object": "response",
            "model": body["model"],
            "output": output,
            "error": None,
        }
        if not body.get("stream"):
            return self._json(200, response)
        events = [
            {"type": "response.output_text.delta", "item_id": f"msg_{number}", "delta": text["text"]},
            {"type": "response.completed", "response": response},
        ]
        lines = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return self._send(200, "text/event-stream", lines.encode())

    def _answer(self, prompt: Any, number: int) -> str:
        if prompt == "what is my key?":
            return f"it is {self.headers.get('authorization') or self.headers['api-key']}"
        return self.server.answers.get(str(prompt)) or f"answer {number} to {prompt}"

    def _stamped(self, prefix: str, kind: str, body: Any, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": f"{prefix}{uuid.uuid4().hex}",
            "created": time.time_ns(),
            "system_fingerprint": f"fp_{uuid.uuid4().hex}",
            "object": kind,
            "model": f"{body.get('model', 'none')}-2024",
            "choices": choices,
        }

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", json.dumps(value).encode(), headers)

    def _send(self, status: int, kind: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        extra = {"x-request-id": "req_private", "openai-organization": "org-private", **(headers or {})}
        for name, value in {"content-type": kind, "content-length": str(len(content)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def _pieces(text: str) -> list[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]


@contextmanager
def serving() -> Iterator[OpenAIServer]:
    """Run a server while the block lasts."""
    with OpenAIServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()
