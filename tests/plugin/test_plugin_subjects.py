"""What a session's verdicts are about: the flow's files and the data, as they were before anything was executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from project import Project

from pytest_llmops.spec import load_experiment
from pytest_llmops.subjects import subject_of

PATH = "evals/shouting/experiment.yaml"


def subject(project: Project) -> dict[str, str]:
    """What the experiment is about, by its files as they are now."""
    found = subject_of(load_experiment(project.folder / "experiment.yaml", root=project.path))
    return asdict(found)


@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_both_reports_say_which_files_were_evaluated(project: Project, options: list[str]) -> None:
    before = subject(project)
    project.run(*options)
    assert project.report("gate.json")["subjects"] == project.report()["subjects"] == {PATH: before}
    assert before["flow"] == "shout"
    assert {len(before[name]) for name in ("digest", "data", "criteria")} == {64}


def test_files_that_change_during_the_session_are_those_of_before(project: Project) -> None:
    project.write(
        "test_changes.py",
        """
        from pathlib import Path


        def test_changes():
            file = Path(__file__).with_name("shout.py")
            file.write_text(file.read_text() + "# changed\\n")
        """,
    )
    before = subject(project)
    project.run()
    assert project.report("gate.json")["subjects"][PATH] == before != subject(project)


def test_all_shards_name_the_same_files(project: Project) -> None:
    before = subject(project)
    for index in (1, 2):
        project.run(f"--llmops-shard={index}/2", f"--llmops-report-dir=reports-{index}")
    first, second = (project.pytester.path / f"reports-{index}" / "results.json" for index in (1, 2))
    assert [f'"digest": "{before["digest"]}"' in file.read_text(encoding="utf-8") for file in (first, second)]


def test_a_plan_says_nothing_of_them(project: Project) -> None:
    project.run("--llmops-plan")
    assert not (project.path / "reports").exists()


class _Answers(BaseHTTPRequestHandler):
    """An endpoint that is healthy, and gives every row the same output."""

    def do_GET(self) -> None:
        self.answer(b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b'{"loud": "ONE!"}')

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/score"
        server.shutdown()
        thread.join()


def test_which_files_an_endpoint_serves_is_not_known(project: Project, endpoint: str) -> None:
    before = subject(project)
    project.run("--llmops-backend=endpoint", f"--llmops-endpoint={endpoint}")
    assert project.report("gate.json")["subjects"] == {PATH: {**before, "digest": ""}}
