"""One request to a served flow, and what is wrong with the answer."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.deployment.sample import first_request
from pytest_llmops.deployment.smoke import check
from pytest_llmops.engines.endpoint.client import EndpointClient
from pytest_llmops.errors import RunError
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.experiment import Dataset, Experiment, Flow, Port
from pytest_llmops.spec import find_flow

TOKEN = "t0ken-0123456789"
FLOW = Flow(name="ner", kind="dag", file=Path("flow.dag.yaml"), folder=Path(), outputs=("titles", "count"))
SAMPLE = {"text": "one"}
GOOD = json.dumps({"titles": ["nurse"], "count": 0}).encode()

Answer = tuple[int, bytes, dict[str, str]]


class Server:
    """A server that gives its answers one after the other, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[dict[str, str], Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((dict(self.headers), json.loads(body)))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                status, content, headers = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/score"

    def gives(self, *answers: bytes | Answer) -> None:
        self.answers = [(200, answer, {}) if isinstance(answer, bytes) else answer for answer in answers]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.http.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.http.shutdown()
    made.http.server_close()


def ask(server: Server, *, flow: Flow = FLOW, timeout: float = 5, sample: Path | None = None) -> list[str]:
    """Return the problems, without the address in front."""
    address = Address(url=server.url, deployment="green", token=TOKEN)
    problems = check(address, sample or SAMPLE, flow, timeout=timeout)
    assert all(problem.startswith(f"{address}: ") for problem in problems)
    return [problem.partition("): ")[2] for problem in problems]


def test_a_good_answer(server: Server, tmp_path: Path) -> None:
    server.gives(GOOD)
    (tmp_path / "sample-request.json").write_text('\ufeff{"text": "Zoë"}', encoding="utf-8")

    assert ask(server, sample=tmp_path / "sample-request.json") == []

    headers, body = server.requests[0]
    assert body == {"text": "Zoë"}
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["azureml-model-deployment"] == "green"


def test_a_token_is_not_replaced_by_that_of_a_netrc_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.gives(GOOD)

    assert ask(server) == []
    assert server.requests[0][0]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b'{"titles": [], "count": null}', "output 'count' is null"),
        (b'{"titles": [], "count": NaN}', "output 'count' is NaN"),
        (b'{"titles": null}', "the answer lacks output 'count', which the flow declares; it has: 'titles'"),
        (b'{"error": {"code": "UserError", "message": "no key"}}',
         'the answer is an error: {"code": "UserError", "message": "no key"}'),
        (b'["nurse"]', 'the answer is no JSON object (no content type): ["nurse"]'),
        (b"<html>\n<h1>Sign in</h1>", "the answer is no JSON object (no content type): <html> <h1>Sign in</h1>"),
        (b"", "the answer is no JSON object (no content type): it is empty"),
        (b"x" * 2_000_000, "the answer is no JSON object (no content type): " + "x" * 300),
        ((400, b'{"error": {"message": "bad"}}', {}), "400 Bad Request: bad"),
        ((500, TOKEN.encode(), {}), "500 Internal Server Error: ***"),
        (b'"\xe2\x80\xae##vso[task.complete]\x1b[2J"',
         'the answer is no JSON object (no content type): "\\u202e# #vso[task.complete]\\x1b[2J"'),
    ],
)  # fmt: skip
def test_answers_that_are_not_good(server: Server, answer: bytes | Answer, problem: str) -> None:
    server.gives(answer)

    assert ask(server) == [problem]
    assert len(server.requests) == 1


def test_the_token_follows_no_redirect(server: Server) -> None:
    server.gives((302, b"", {"Location": server.url}))

    assert ask(server) == ["302 Found: it redirects, and requests follow nowhere; give the URL that it redirects to"]
    assert len(server.requests) == 1


def test_an_output_named_error_is_an_output(server: Server) -> None:
    server.gives(b'{"error": "none"}')

    assert ask(server, flow=Flow(name="f", kind="dag", file=Path("f"), folder=Path(), outputs=("error",))) == []


def test_a_flow_that_declares_no_outputs_has_to_give_something(server: Server) -> None:
    flow = Flow(name="f", kind="flex", file=Path("f"), folder=Path())
    server.gives(b'{"output": 0}', b'{"output": null}', b"{}")

    assert ask(server, flow=flow) == []
    assert ask(server, flow=flow) == ["output 'output' is null"]
    assert ask(server, flow=flow) == ["the answer is empty"]


def test_a_service_that_is_busy_is_asked_again(server: Server) -> None:
    server.gives((503, b"", {"retry-after-ms": "10"}), (429, b"", {"retry-after-ms": "10"}), GOOD)

    assert ask(server) == []
    assert len(server.requests) == 3


def test_nobody_waits_for_longer_than_is_left(server: Server) -> None:
    server.gives((429, b"", {"Retry-After": "200"}))

    (problem,) = ask(server, timeout=5)
    assert problem.startswith("gave up after 0 s: 429 Too Many Requests")


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address(url=f"http://127.0.0.1:{free.getsockname()[1]}/score?sig={TOKEN}", token=TOKEN)

    (problem,) = check(address, SAMPLE, FLOW, timeout=0.01)
    assert problem.startswith(f"{address}: gave up after 0 s: no answer from 127.0.0.1:")
    assert TOKEN not in problem


def test_a_token_does_not_travel_in_the_clear() -> None:
    assert check(Address(url="http://ner.example/score", token=TOKEN), SAMPLE, FLOW, timeout=1) == [
        "http://ner.example/score: a token is only sent over https"
    ]


def test_without_a_sample_there_is_nothing_to_go_by(tmp_path: Path) -> None:
    address = Address(url="http://127.0.0.1:1/score")

    assert check(address, None, FLOW, timeout=1) == [
        "there is no sample request to test it with; name one: sample, or TEST_FILE_PATH"
    ]
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    assert check(address, tmp_path / "a.json", FLOW, timeout=1) == [
        "the sample request can't be read: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    ]


def with_rows(tmp_path: Path, rows: str, **mappings: Any) -> Experiment:
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    inputs = {"text": Port(name="text"), "limit": Port(name="limit", default=3, required=False)}
    flow = Flow(name="ner", kind="dag", file=Path("flow.dag.yaml"), folder=Path(), inputs=inputs)
    remote = Dataset(name="far", mappings={}, remote="azureml:far:1")
    here = Dataset(name="rows", mappings=mappings, source=tmp_path / "rows.jsonl")
    return Experiment(
        name="ner", file=tmp_path / "experiment.yaml", env=None, flow=flow, datasets=(remote, here), evaluators=()
    )


def test_the_first_row_of_the_data_is_a_request(tmp_path: Path) -> None:
    rows = '{"text": "one", "limit": 1}\n{"text": "two"}\n'

    assert first_request(with_rows(tmp_path, rows)) == {"text": "one"}
    assert first_request(with_rows(tmp_path, rows, text="${data.limit}", limit=2)) == {"text": 1, "limit": 2}
    with pytest.raises(RunError):
        first_request(with_rows(tmp_path, rows, text="${data.txt}"))


FLOW_FILE = """\
inputs:
  text: {type: string}
outputs:
  title: {type: string, reference: "${find.output}"}
nodes:
- {name: find, type: python, source: {type: code, path: find.py}, inputs: {text: "${inputs.text}"}}
"""
TOOL = """\
from promptflow.core import tool

@tool
def find(text: str) -> str:
    if text == "fail":
        raise ValueError("no title")
    return text.upper() if text != "none" else None
"""


def test_a_flow_that_prompt_flow_serves(tmp_path: Path) -> None:
    folder = tmp_path / "titles"
    folder.mkdir()
    (folder / "flow.dag.yaml").write_text(FLOW_FILE, encoding="utf-8")
    (folder / "find.py").write_text(TOOL, encoding="utf-8")
    flow = find_flow("titles", base=tmp_path, root=tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pf = shutil.which("pf", path=str(Path(sys.executable).parent))
    assert pf
    command = [pf, "flow", "serve", "--source", str(folder), "--port", str(port), "--host", "127.0.0.1"]
    environment = {**os.environ, "HOME": str(tmp_path), "PF_TRACING_SKIP_LOCAL_SETUP": "true"}
    serving = subprocess.Popen(
        [*command, "--skip-open-browser"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    address = Address(url=f"http://127.0.0.1:{port}/score", deployment="green", token=TOKEN)
    try:
        EndpointClient(address, 0).wait_until_ready(90)
        assert check(address, {"text": "nurse"}, flow, timeout=30) == []
        (failed,) = check(address, {"text": "fail"}, flow, timeout=30)
        assert failed.startswith(f"{address}: 400 Bad Request: ")
        assert "no title" in failed
        assert check(address, {"text": "none"}, flow, timeout=30) == [f"{address}: output 'title' is null"]
    finally:
        serving.terminate()
        serving.wait(10)


def test_a_refusal_says_what_right_is_missing(server: Server) -> None:
    server.gives((401, b"", {}))
    assert ask(server) == [
        "401 Unauthorized; where callers log in with Microsoft Entra, "
        "the login needs the right onlineEndpoints/score/action"
    ]
    assert check(Address(url=server.url), SAMPLE, FLOW, timeout=5) == [
        f"{server.url}: 401 Unauthorized; "
        "App Service asks callers for a login: exclude the path /score, or allow this network"
    ]


def test_an_answer_without_end_is_no_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_llmops.engines.endpoint.exchange._LARGEST", 2**20)
    server.gives(b'{"titles": "' + b"x" * 2_000_000 + b'", "count": 1}')
    assert ask(server) == ["200 OK: the answer is larger than 1 MiB, and not read any further"]


SECRETS = {
    "AZURE_OPENAI_API_KEY=sk-LIVE-0123456789abcdef ": "sk-LIVE",
    "AccountKey=abcdEFGH1234==;": "abcdEFGH",
    "https://x/?sv=1&sig=SIGSECRETSIG ": "SIGSECRET",
    "Authorization: Bearer eyJabc.def.ghi": "eyJabc",
    f"the key {TOKEN}": TOKEN,
}


@pytest.mark.parametrize("body", ["{}", '{{"error": {{"code": "E", "message": "{}"}}}}', '"{}"', '{{"error": "{}"}}'])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_secrets_that_an_answer_holds_are_not_shown(server: Server, status: int, body: str) -> None:
    server.gives((status, body.format(" ".join(SECRETS)).encode(), {}))

    (problem,) = ask(server)

    assert [secret for secret in SECRETS.values() if secret in problem] == []
    assert "***" in problem


def test_no_part_of_the_key_is_shown_where_an_answer_is_cut_off(server: Server) -> None:
    server.gives((500, ("x" * 295 + " " + TOKEN).encode(), {}))

    assert ask(server) == ["500 Internal Server Error: " + "x" * 295 + " ***"]
