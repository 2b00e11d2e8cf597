"""``--llmops-backend endpoint``: the same items and gates, about what is served at a URL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from project import Project
from served_flow import Sent, ServedFlow, served

from pytest_llmops.cli import main

TOKEN = "the-secret-token"
BACKEND = ("--llmops-backend", "endpoint")


def shout(inputs: Mapping[str, Any]) -> Any:
    if inputs["word"] == "crash":
        raise ValueError("the word is crash")
    return {"loud": inputs["word"].upper() + inputs.get("ending", "!")}


@pytest.fixture
def server() -> Iterator[ServedFlow]:
    with served(shout) as running:
        yield running


@pytest.fixture
def asked(project: Project, server: ServedFlow) -> tuple[str, ...]:
    """Options that have the server asked."""
    return (*BACKEND, "--llmops-endpoint", f"{server.url}?code=hidden-key")


def test_the_gates_are_decided_on_what_is_served(
    project: Project, server: ServedFlow, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_ENDPOINT_TOKEN", TOKEN)
    thresholds = ("run.error_rate=<= 0", "run.latency_p50=<= 5 s", "run.latency_p95=<= 5 s", "run.latency_max=<= 5 s")
    options = [f"--llmops-threshold={text}" for text in thresholds]
    result = project.run(*asked, "--llmops-deployment=green", *options)
    result.assert_outcomes(passed=6)
    assert not (project.folder / "calls.txt").exists()
    assert {headers["azureml-model-deployment"] for _, headers, _ in server.requests} == {"green"}
    assert {headers["Authorization"] for _, headers, _ in server.requests} == {f"Bearer {TOKEN}"}
    result.stdout.fnmatch_lines(
        [
            f"llmops: *backend=endpoint (--llmops-backend), endpoint={server.url} (--llmops-endpoint), "
            "deployment=green (--llmops-deployment)*",
            "llmops: an endpoint serves one variant: only the default one of each experiment is evaluated",
        ]
    )
    settings = project.report()["settings"]
    assert [settings[name] for name in ("backend", "endpoint", "deployment")] == ["endpoint", server.url, "green"]
    assert project.report("gate.json")["settings"] == {
        "backend": "endpoint",
        "deployment": "green",
        "endpoint": server.url,
        "llm": "replay",
        "thresholds": settings["thresholds"],
    }
    (cell,) = project.report()["cells"]
    assert [row["output"] for row in cell["run"]["rows"]][:2] == [{"loud": "ONE!"}, {"loud": "TWO!"}]
    assert cell["llm"] == "live"


def test_no_secret_is_written_anywhere(
    project: Project, server: ServedFlow, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_ENDPOINT_TOKEN", TOKEN)
    body = {"error": {"code": "Denied", "message": f"{TOKEN} and hidden-key"}}
    server.faults = [Sent(403, json.dumps(body).encode())]
    result = project.run(*asked, "-vv")
    said = result.stdout.str() + result.stderr.str()
    assert "403 Forbidden: Denied: *** and ***" in said
    files = [path for path in project.path.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.sqlite" or path.parent.name == ".llmops" for path in files)
    texts = [said.encode(), *(path.read_bytes() for path in files)]
    assert not any(secret in text for text in texts for secret in (TOKEN.encode(), b"hidden-key"))


def test_nothing_of_what_is_served_is_reused_but_evaluations_are(
    project: Project, server: ServedFlow, asked: tuple[str, ...]
) -> None:
    project.run(*asked).assert_outcomes(passed=2)
    project.run(*asked).assert_outcomes(passed=2)
    assert len(server.requests) == 8
    (cell,) = project.report()["cells"]
    assert cell["run"].get("recorded") is None
    assert cell["evaluations"]["compare"]["result"]["recorded"] is not None
    plan = project.run(*asked, "--llmops-plan")
    plan.stdout.fnmatch_lines(["*what is served is asked anew each time*"])
    assert len(server.requests) == 8


def test_a_local_session_does_not_reuse_answers_of_an_endpoint(project: Project, asked: tuple[str, ...]) -> None:
    project.run(*asked).assert_outcomes(passed=2)
    project.run().assert_outcomes(passed=2)
    assert len(project.calls()) == 4


def test_failed_rows_close_the_gate(project: Project, server: ServedFlow, asked: tuple[str, ...]) -> None:
    server.faults = [Sent(200, b"<html>sign in</html>", {"content-type": "text/html"})]
    result = project.run(*asked, "--llmops-threshold=run.error_rate=<= 0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the answer is no JSON object (text/html): <html>sign in</html>*"])
    gate = project.report("gate.json")
    assert gate["state"] == "closed"
    verdicts = {line["item"].partition("[")[0]: line["verdict"] for line in gate["gates"]}
    assert verdicts["run"] == "ERROR"
    assert verdicts["run.error_rate"] in ("FAIL", "ERROR")


def test_an_endpoint_that_dies_in_the_middle_closes_the_gate(
    project: Project, server: ServedFlow, asked: tuple[str, ...]
) -> None:
    good = json.dumps({"loud": "ONE!"}).encode()
    server.faults = [Sent(200, good), *[Sent(0)] * 50]
    result = project.run(*asked, "--llmops-concurrency=1", "--llmops-llm-retries=0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (cell,) = project.report()["cells"]
    assert [row.get("error") is None for row in cell["run"]["rows"]] == [True, False, False, False]
    assert project.report("gate.json")["state"] == "closed"


def test_slow_answers_break_a_limit_on_latency(project: Project, server: ServedFlow, asked: tuple[str, ...]) -> None:
    server.delay = 0.15
    result = project.run(*asked, "--llmops-threshold=run.latency_p95=<= 100 ms")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*run.latency_p95*required <= 100 ms*"])


def test_tokens_that_nobody_reports_satisfy_no_limit(project: Project, asked: tuple[str, ...]) -> None:
    result = project.run(*asked, "--llmops-threshold=run.total_tokens=<= 1000")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*the service did not report the tokens of 4 LLM calls*"])


def test_rows_are_repeated_as_the_settings_say(project: Project, server: ServedFlow, asked: tuple[str, ...]) -> None:
    project.run(*asked, "--llmops-repeat=3").assert_outcomes(passed=2)
    assert len(server.requests) == 12


def test_only_the_default_variant_is_asked(project: Project, server: ServedFlow, asked: tuple[str, ...]) -> None:
    project.replace("shout.py", 'def shout(word: str, ending: str = "!") -> dict:', 'class Shout:\n    def __init__('
                    'self, ending: str = "!") -> None:\n        self.ending = ending\n\n    def __call__(self, word: '
                    "str) -> dict:\n        return {}\n\n\ndef other(word: str, ending: str) -> dict:")  # fmt: skip
    project.replace("experiment.yaml", "flow: shout:shout", "flow: shout:Shout")
    with (project.folder / "experiment.yaml").open("a", encoding="utf-8") as file:
        file.write("llmops:\n  variants:\n    overrides: {init.ending: ['!', '?']}\n")
    result = project.run(*asked)
    result.assert_outcomes(passed=2)
    assert len(server.requests) == 4
    result.stdout.fnmatch_lines(["llmops: an endpoint serves one variant: only the default one*"])


@pytest.mark.parametrize("arguments", [["-n2"], ["-p", "no:xdist"]])
def test_workers_and_shards_ask_each_row_once(
    project: Project, server: ServedFlow, asked: tuple[str, ...], arguments: list[str]
) -> None:
    project.run(*asked, *arguments, "--llmops-shard=1/1")
    assert len(server.requests) == 4
    assert main(["merge", str(project.path / "reports"), "--report-dir", str(project.path / "merged")]) == 0
    merged = json.loads((project.path / "merged" / "gate.json").read_text(encoding="utf-8"))
    assert (merged["state"], merged["settings"]["backend"]) == ("open", "endpoint")


def test_results_are_decided_on_again(
    project: Project, server: ServedFlow, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    project.run(*asked).assert_outcomes(passed=2)
    monkeypatch.chdir(project.path)
    assert main(["regate", "--threshold", "compare.accuracy=>= 0.9"]) == 1
    assert "FAIL" in capsys.readouterr().out
    assert main(["regate"]) == 0
    assert len(server.requests) == 4


def test_the_gate_says_what_it_is_about(
    project: Project, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run(*asked)
    monkeypatch.chdir(project.path)
    assert main(["gate"]) == 0
    (subject,) = project.report("gate.json")["subjects"].values()
    assert subject["digest"] == ""
    summary = (project.path / "reports" / "summary.md").read_text(encoding="utf-8")
    assert "backend endpoint" in summary


def test_what_failed_last_is_asked_again(project: Project, server: ServedFlow, asked: tuple[str, ...]) -> None:
    server.faults = [Sent(500, b"oops")]
    command = [sys.executable, "-m", "pytest", *asked, "-q", "--lf"]
    for code, requests in (1, 4), (0, 8):
        assert subprocess.run(command, cwd=project.path, capture_output=True, check=False).returncode == code
        assert len(server.requests) == requests


def test_ctrl_c_ends_what_is_asked_and_opens_no_gate(
    project: Project, server: ServedFlow, asked: tuple[str, ...]
) -> None:
    server.delay = 30
    command = [sys.executable, "-m", "pytest", *asked, "-p", "no:cacheprovider"]
    with subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as session:
        deadline = time.monotonic() + 60
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        session.send_signal(signal.SIGINT)
        said, _ = session.communicate(timeout=20)
    assert session.returncode == pytest.ExitCode.INTERRUPTED, said
    gate = project.path / "reports" / "gate.json"
    assert not gate.exists() or json.loads(gate.read_text(encoding="utf-8"))["state"] != "open"


URL = "--llmops-endpoint=https://shout.example/score"


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (BACKEND, {}, "--llmops-backend: the endpoint's URL is missing; give it with --llmops-endpoint"),
        ([URL], {}, "--llmops-endpoint: is for the backend endpoint, and this one is local; "
                    "add --llmops-backend endpoint"),
        (["--llmops-deployment=green"], {"LLMOPS_BACKEND": "azureml"},
         "--llmops-deployment: is for the backend endpoint, and this one is azureml; add --llmops-backend endpoint"),
        ([*BACKEND, URL, "--llmops-variants=other"], {},
         "--llmops-variants: an endpoint serves one variant; leave the option out"),
        ([*BACKEND, "--llmops-endpoint=shout.example/score"], {},
         "--llmops-endpoint: it is not the URL of a flow that is served; "
         "give one such as https://NAME.REGION.inference.ml.azure.com/score"),
        ([*BACKEND], {"LLMOPS_ENDPOINT": "https://shout.example:port/hidden"},
         "LLMOPS_ENDPOINT: it is not the URL of a flow that is served; "
         "give one such as https://NAME.REGION.inference.ml.azure.com/score"),
        ([*BACKEND, "--llmops-endpoint=https://me:hidden@shout.example/score"], {},
         "--llmops-endpoint: a URL must not hold a password; put the endpoint's key or token into "
         "LLMOPS_ENDPOINT_TOKEN"),
        ([*BACKEND, "--llmops-endpoint=http://shout.example/score"], {"LLMOPS_ENDPOINT_TOKEN": TOKEN},
         "--llmops-endpoint: LLMOPS_ENDPOINT_TOKEN is sent over https alone; give the URL with https"),
        ([*BACKEND, URL], {"LLMOPS_ENDPOINT_TOKEN": "first\nsecond"},
         "--llmops-endpoint: LLMOPS_ENDPOINT_TOKEN holds a line break, a blank or another character that no header can "
         "hold; set it to the key or token alone"),
        ([*BACKEND, URL], {"LLMOPS_ENDPOINT_TOKEN": "k\u20acy"},
         "--llmops-endpoint: LLMOPS_ENDPOINT_TOKEN holds a line break, a blank or another character that no header can "
         "hold; set it to the key or token alone"),
        (["--llmops-backend=remote"], {},
         "--llmops-backend: 'remote' is not allowed; give local|azureml|endpoint"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_usage_errors(
    project: Project, arguments: list[str], environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line.startswith("ERROR: ")] == [f"ERROR: {message}"]


def test_the_library_asks_an_endpoint_too(project: Project, server: ServedFlow) -> None:
    import pytest_llmops as llmops

    experiment = llmops.load(project.folder / "experiment.yaml")
    results = llmops.evaluate(experiment, backend="endpoint", endpoint=server.url, deployment="blue")
    assert results.decision.state == "open"
    assert {headers["azureml-model-deployment"] for _, headers, _ in server.requests} == {"blue"}
    assert results.settings["endpoint"] == server.url
    with pytest.raises(llmops.RunError, match=r"^backend='endpoint' needs the endpoint's URL; give it as endpoint$"):
        llmops.evaluate(experiment, backend="endpoint")
    with pytest.raises(llmops.RunError, match=r"^endpoint and deployment are for backend='endpoint'$"):
        llmops.evaluate(experiment, endpoint=server.url)
    with pytest.raises(llmops.RunError, match=r"^variants: an endpoint serves one variant; leave it out$"):
        llmops.evaluate(experiment, backend="endpoint", endpoint=server.url, variants="all")
    with pytest.raises(llmops.RunError, match=r"^endpoint: it is not the URL of a flow that is served; give one such"):
        llmops.evaluate(experiment, backend="endpoint", endpoint="shout")
    with pytest.raises(llmops.RunError, match=r"^backend is 'cloud'; give local, azureml, endpoint$"):
        llmops.evaluate(experiment, backend="cloud")  # type: ignore[arg-type]
