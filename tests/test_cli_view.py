"""``llmops view``: the reports of a session, served to a browser on this machine and to nobody else."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from report_samples import report

from pytest_llmops.cli import main
from pytest_llmops.cli.serving import ReportServer
from pytest_llmops.reports.write import write_reports

ALWAYS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_reports(report(), tmp_path / "reports")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    return tmp_path / "reports"


@pytest.fixture
def server(folder: Path) -> Iterator[ReportServer]:
    with ReportServer(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: ReportServer, path: str = "/", method: str = "GET", host: str = ""
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_it_listens_to_this_machine_alone(server: ReportServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("path", ["/", "/index.html", "/?x=1"])
def test_the_page_is_sent(server: ReportServer, folder: Path, path: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, headers["Content-Type"], body) == (
        200,
        "text/html; charset=utf-8",
        (folder / "index.html").read_bytes(),
    )
    assert headers.items() >= ALWAYS.items()
    assert "Content-Security-Policy" not in headers


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/gate.json", "application/json"),
        ("/summary.md", "text/plain; charset=utf-8"),
        ("/ner/matcher_result.csv", "text/plain; charset=utf-8"),
        ("/ner/matcher%5Fresult.html", "text/html; charset=utf-8"),
        ("/strange.bin", "application/octet-stream"),
    ],
)
def test_other_files_are_sent_with_a_policy(server: ReportServer, folder: Path, path: str, kind: str) -> None:
    (folder / "strange.bin").write_bytes(b"x")
    status, headers, _ = ask(server, path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert headers["Content-Security-Policy"] == (
        "default-src 'self' 'unsafe-inline' data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def test_the_head_of_a_file_is_sent_alone(server: ReportServer, folder: Path) -> None:
    status, headers, body = ask(server, "/gate.json", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str((folder / "gate.json").stat().st_size), b"")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "127.0.0.1:80"])
def test_it_answers_to_names_of_this_machine(server: ReportServer, host: str) -> None:
    assert ask(server, host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io", "[::1]:80", " "]
)
def test_it_answers_to_no_other_name(server: ReportServer, host: str) -> None:
    status, headers, body = ask(server, host=host)
    assert (status, headers.items() >= ALWAYS.items(), b"gate" in body) == (421, True, False)


@pytest.mark.parametrize(
    "path",
    [
        "/ner",
        "/ner/",
        "/nothing.html",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/ner/..%2f..%2fsecret.txt",
        "//etc/passwd",
        "/link.txt",
        "/linked/secret.txt",
        "/pipe",
        "/%00",
        "/" + "x" * 5000,
    ],
)
def test_nothing_else_is_sent(server: ReportServer, folder: Path, path: str) -> None:
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "linked").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    status, headers, body = ask(server, path)
    assert (status, headers.items() >= ALWAYS.items(), b"secret" in body) == (404, True, False)


def test_an_absolute_path_is_looked_for_in_the_folder(server: ReportServer, folder: Path) -> None:
    assert ask(server, f"/{folder.parent}/secret.txt")[0] == 404
    assert ask(server, f"/%2f{folder.parent}/secret.txt")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_files_are_read_only(server: ReportServer, method: str) -> None:
    assert ask(server, "/gate.json", method)[0] == 501


def test_requests_are_not_printed(server: ReportServer, capfd: pytest.CaptureFixture[str]) -> None:
    ask(server, "/%23%23vso[task.complete]")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def viewing(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, with a browser that writes down what it is given."""
    browser = tmp_path / "browser.sh"
    browser.write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/opened.new && mv {tmp_path}/opened.new {tmp_path}/opened\n', "utf-8"
    )
    browser.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", "from pytest_llmops.cli import main; raise SystemExit(main())", "view", "reports"],
        cwd=tmp_path,
        env={**os.environ, "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell, as the browser")
def test_the_command_says_the_address_opens_a_browser_and_ends_with_ctrl_c(
    viewing: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert viewing.stdout
    line = viewing.stdout.readline()
    match = re.fullmatch(r"serving reports at (http://127\.0\.0\.1:\d+/) until Ctrl-C\n", line)
    assert match
    connection = http.client.HTTPConnection(urlsplit(match[1]).netloc)
    connection.request("GET", "/gate.json")
    assert connection.getresponse().status == 200
    opened = tmp_path / "opened"
    waiting = threading.Event()
    for _ in range(200):
        if opened.exists() or waiting.wait(0.05):
            break
    assert opened.read_text(encoding="utf-8") == f"{match[1]}\n"
    viewing.send_signal(signal.SIGINT)
    _, err = viewing.communicate(timeout=20)
    assert (viewing.returncode, err) == (130, "interrupted\n")


def test_wrong_usage_is_exit_code_4(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["view", "nowhere"]) == 4
    assert capsys.readouterr().err == (
        "nowhere: there is no index.html; run pytest, or make it from results with: llmops report nowhere\n"
    )
    assert main(["view", "--port", "65536"]) == 4
    assert capsys.readouterr().err == "--port: 65536 is no port; give a number up to 65535\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["view", "--port", str(port)]) == 4
    assert capsys.readouterr().err == f"--port: {port} can't be used: Address already in use; give another one\n"
