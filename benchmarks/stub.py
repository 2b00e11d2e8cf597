"""A server on loopback that stands for an LLM: it takes its time for each answer, and keeps a log of them.

Executed as a script, by ``serving``: in a process of its own, it takes no time from those that are measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DELAY = 0.2


class Api(BaseHTTPRequestHandler):
    """Answers a chat request with its last message."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer at once."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = {"role": "assistant", "content": f"answer to {body['messages'][-1]['content']}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 150, "completion_tokens": 8, "total_tokens": 158}
        answer = {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion", "created": 1, "model": "m-2024"}
        content = json.dumps({**answer, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        for name, value in (("content-type", "application/json"), ("content-length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Serves ``Api`` or what is derived from it, on a port of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[Api] = Api) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Stub:
    """The server as those know it who measure its clients."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def take_log(self) -> list[tuple[float, float]]:
        """Return begin and end of every request so far, in Unix time, and forget them."""
        lines = self._log.read_text(encoding="ascii").splitlines()
        self._log.write_text("", encoding="ascii")
        return [(float(begin), float(end)) for begin, end in map(str.split, lines)]


@contextmanager
def serving(folder: Path) -> Iterator[Stub]:
    """Run a server while the block lasts."""
    log = folder / "requests.log"
    log.touch()
    command = [sys.executable, "-m", "benchmarks.stub", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield Stub(process.stdout.readline().strip(), log)
        process.stdin.close()


def main(log: Path) -> None:
    """Serve until standard input is closed."""
    with log.open("a", encoding="ascii") as file:

        class SlowApi(Api):
            def do_POST(self) -> None:
                begun = time.time()
                time.sleep(DELAY)
                super().do_POST()
                file.write(f"{begun} {time.time()}\n")
                file.flush()

        print(Server(SlowApi).url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
