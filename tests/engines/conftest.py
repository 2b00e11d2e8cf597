"""Flows, an engine to run them, and an OpenAI-compatible server on the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.records.run import RunRequest, RunResult

FLOWS = Path(__file__).parent / "flows"


def _make_flow(source: str, entry: str = "") -> Flow:
    path = FLOWS / source
    file = path if path.is_file() else next(iter(sorted(path.glob("flow.*.yaml"))))
    kind: FlowKind = "dag"
    if entry:
        kind = "callable"
    elif file.suffix == ".prompty":
        kind = "prompty"
    elif file.name.endswith(".flex.yaml"):
        kind = "flex"
    return Flow(name=path.stem, kind=kind, file=file, folder=file.parent, entry=entry)


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """Give a warm engine that all tests share."""
    with closing(LocalEngine()) as engine:
        engine.warm_up()
        yield engine


@pytest.fixture
def run(engine: LocalEngine) -> Callable[..., RunResult]:
    """Give a function that runs a flow on the shared engine, given its place below ``flows`` and a request's fields."""

    def run_flow(source: str, entry: str = "", **request: Any) -> RunResult:
        return engine.run(RunRequest(flow=_make_flow(source, entry), **request))

    return run_flow


@pytest.fixture
def flow() -> Callable[..., Flow]:
    """Give a function that makes the record of a flow, given its place below ``flows``, and the entry of a callable."""
    return _make_flow


@dataclass
class LLMStub:
    """A server that answers every question with ``echo: <question>``. ``requests`` holds path, headers and body."""

    url: str
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)


@contextmanager
def _serve() -> Iterator[LLMStub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append((self.path, dict(self.headers), body))
            question = body["messages"][-1]["content"]
            answer = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "tiny",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": f"echo: {question}"},
                    }
                ],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            }
            payload = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub = LLMStub(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stub
        server.shutdown()
        thread.join()


@pytest.fixture
def llm_stub() -> Iterator[LLMStub]:
    """Give an OpenAI-compatible server."""
    with _serve() as stub:
        yield stub
