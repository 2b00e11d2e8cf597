"""A web server for the reports in a folder, for this machine alone.

Any page that a browser has open may send requests to it, under a name of its own that leads to this machine (DNS
rebinding): so it answers only to names of the machine itself. It sends files that are in the folder, and lists none.
"""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pytest_llmops.reports import page

_ADDRESS = "127.0.0.1"
_NAMES = (_ADDRESS, "localhost")
_TEXT = "text/plain; charset=utf-8"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".xml": "text/xml; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    **dict.fromkeys((".csv", ".log", ".md", ".txt"), _TEXT),
}
_POLICY = "default-src 'self' 'unsafe-inline' data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
"""Policy of all but index.html, which has a stricter one: the scripts of pytest-html run, and reach no host."""


class ReportServer(ThreadingHTTPServer):
    """Serves the files in a folder on a port, 0 for a free one, of the loopback address."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        super().__init__((_ADDRESS, port), _Handler)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{_ADDRESS}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    server_version = sys_version = ""

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send the head of a file alone."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if name not in _NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        file = self._file()
        try:
            content = file.read_bytes() if file else None
        except OSError:
            content = None
        if file is None or content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES.get(file.suffix.lower(), "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        if file != self.server.folder / page.FILE:
            self.send_header("Content-Security-Policy", _POLICY)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _file(self) -> Path | None:
        """Return the file that is asked for; None where there is none, or a link leads out of the folder."""
        path = unquote(urlsplit(self.path).path).strip("/") or page.FILE
        try:
            file = (self.server.folder / path).resolve()
            return file if file.is_relative_to(self.server.folder) and file.is_file() else None
        except (OSError, ValueError):  # of names that no file can have
            return None

    def end_headers(self) -> None:
        """Add what holds for every answer."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: requests are of no interest, and may hold anything."""
