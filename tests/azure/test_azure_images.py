"""Container images of flows: the build context, and that its start command serves the flow.

There is no Docker daemon where these tests run. So the context is laid out in a folder as its Dockerfile would lay it
out in the image, and the Dockerfile's own command is started there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from openai_server import serving

from pytest_llmops.azure.images import HEALTH, RUNNING_PYTHON, SCORE, write_context
from pytest_llmops.deployment.initial import with_init
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Experiment, Flow, Port
from pytest_llmops.records.run import Variant
from pytest_llmops.resolving import write_resolved
from pytest_llmops.versions import flow_files

ECHO = """
inputs: {text: {type: string}}
outputs: {shout: {type: string, reference: "${shout.output}"}}
nodes:
- {name: shout, type: python, source: {type: code, path: shout.py}, inputs: {text: "${inputs.text}"}}
"""
SHOUT = """
import os, time
from importlib.metadata import version
from pathlib import Path
from promptflow.core import tool
from voice import louder

@tool
def shout(text: str) -> str:
    if text == "die":
        os._exit(1)
    if text == "fail":
        raise ValueError("no voice")
    if text == "wait":
        time.sleep(0.5)
    return louder(text) + Path("mark.txt").read_text()
"""
CHAT = """
inputs: {question: {type: string}}
outputs: {answer: {type: string, reference: "${ask.output}"}}
nodes:
- name: ask
  type: llm
  source: {type: code, path: ask.jinja2}
  inputs: {model: m, question: "${inputs.question}"}
  connection: my_llm
  provider: OpenAI
  api: chat
  module: promptflow.tools.openai
"""
PROMPTY = """---
name: ask
model: {api: chat, configuration: {type: openai, model: m, connection: my_llm}, parameters: {temperature: 0}}
inputs: {question: {type: string}}
---
user:
{{question}}
"""
ASKER = """
from openai import OpenAI
from promptflow.core import OpenAIModelConfiguration

class Asker:
    def __init__(self, model_config: OpenAIModelConfiguration, greeting: str = "Hello"):
        self.greeting, self.config = greeting, model_config
    def __call__(self, name: str):
        client = OpenAI(base_url=self.config.base_url, api_key=self.config.api_key, max_retries=0)
        messages = [{"role": "user", "content": name}]
        reply = client.chat.completions.create(model=self.config.model, messages=messages, temperature=0)
        return f"{self.greeting} {reply.choices[0].message.content}"
"""


def make_flow(folder: Path, kind: Any, files: Mapping[str, str], **fields: Any) -> Flow:
    """Write a flow; the first file is its definition."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Flow(name=folder.name, kind=kind, file=folder / next(iter(files)), folder=folder, **fields)


@pytest.fixture
def echo(tmp_path: Path) -> Flow:
    files = {"flow.dag.yaml": ECHO, "shout.py": SHOUT, "voice.py": "louder = str.upper", "mark.txt": "!"}
    return make_flow(tmp_path / "echo", "dag", files)


@dataclass(frozen=True)
class Server:
    """A started image."""

    url: str
    process: subprocess.Popen[str]

    def score(self, **inputs: Any) -> requests.Response:
        return requests.post(self.url + SCORE, json=inputs, timeout=60)


def instructions(context: Path) -> list[tuple[str, str]]:
    """Read a Dockerfile: each instruction with what follows it, in one line."""
    text = re.sub(r"\\\n\s*", "", (context / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def lay_out(context: Path, image: Path) -> dict[str, str]:
    """Do what the Dockerfile's COPY lines say, and return what its ENV lines say."""
    environ: dict[str, str] = {}
    for name, rest in instructions(context):
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (context / source).is_dir():
                    shutil.copytree(context / source, image / target)
                else:
                    (image / target).mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(context / source, image / target / source)
        elif name == "ENV":
            environ |= dict(pair.split("=", 1) for pair in rest.split())
    return environ


@contextmanager
def started(context: Path, image: Path, **environ: str) -> Iterator[Server]:
    """Start an image's command on a free port of loopback, without any variable of this process."""
    variables = lay_out(context, image)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = json.loads(dict(instructions(context))["CMD"])
    assert command[0] == "gunicorn"
    command = [a.replace("0.0.0.0:8080", f"127.0.0.1:{port}") for a in command[1:]]
    home = image / "home"
    (home / ".promptflow").mkdir(parents=True)
    (home / ".promptflow/pf.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    variables |= {"HOME": str(home), "PATH": os.environ["PATH"], "WEB_CONCURRENCY": "1", **environ}
    log = (image / "log.txt").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *command], cwd=image, env=variables, stdout=log, stderr=log, text=True
    )
    try:
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def wait_until_healthy(server: Server, image: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_healthy(server):
        log = (image / "log.txt").read_text(encoding="utf-8")
        assert server.process.poll() is None, log
        assert time.monotonic() < deadline, log
        time.sleep(0.1)


def is_healthy(server: Server) -> bool:
    try:
        return requests.get(server.url + HEALTH, timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


@pytest.mark.slow
def test_the_start_command_serves_a_dag_and_survives_what_it_does(tmp_path: Path, echo: Flow) -> None:
    context = write_context(echo, tmp_path / "context")
    with started(context, tmp_path / "image", LLMOPS_DEPLOYMENT="green") as server:
        wait_until_healthy(server, tmp_path / "image")
        answer = server.score(text="hello")
        assert (answer.json(), answer.headers["azureml-model-deployment"]) == ({"shout": "HELLO!"}, "green")
        failed = server.score(text="fail")
        assert (failed.status_code, failed.json()["error"]["code"]) == (400, "UserError")
        with pytest.raises(requests.ConnectionError):
            server.score(text="die")
        wait_until_healthy(server, tmp_path / "image")
        assert server.score(text="again").json() == {"shout": "AGAIN!"}
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dag", "prompty"])
def test_a_connection_comes_from_the_environment(tmp_path: Path, kind: str) -> None:
    if kind == "dag":
        files = {"flow.dag.yaml": CHAT, "ask.jinja2": "user:\n{{question}}"}
    else:
        files = {"ask.prompty": PROMPTY, "other.prompty": PROMPTY}
    flow = make_flow(tmp_path / "ask", kind, files, connections=("my_llm",))
    context = write_context(flow, tmp_path / "context")
    with serving() as llm:
        llm.answers = {"Who?": "Nobody"}
        variables = {"MY_LLM_API_KEY": "k-123456", "MY_LLM_BASE_URL": llm.url}
        with started(context, tmp_path / "image", **variables) as server:
            wait_until_healthy(server, tmp_path / "image")
            answer = server.score(question="Who?").json()
    assert answer == ({"answer": "Nobody"} if kind == "dag" else "Nobody")
    assert "k-123456" not in (tmp_path / "image/log.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_model_that_an_endpoint_mounts_is_served_and_a_class_gets_its_init_values(tmp_path: Path) -> None:
    files = {"flow.flex.yaml": "entry: ask:Asker", "ask.py": ASKER}
    flow = make_flow(tmp_path / "model/greet", "flex", files, init={"model_config": Port(name="model_config")})
    init = {"model_config": {"connection": "my_llm", "model": "m"}, "greeting": "Bye"}
    experiment = Experiment(
        name="e", file=tmp_path / "e.yaml", env=None, flow=flow, datasets=(), evaluators=(), init=init
    )
    release = with_init(Release(env="prod", kind="managed", endpoint="e"), experiment, Variant())
    context = write_context(flow, tmp_path / "context", connections=release.connections, mounted=True)
    assert list((context / "flow").iterdir()) == []
    with serving() as llm:
        llm.answers = {"Ann": "Anna"}
        variables = {
            **release.environment_variables,
            "AZUREML_MODEL_DIR": str(tmp_path / "model"),
            "MY_LLM_API_KEY": "k-123456",
            "MY_LLM_BASE_URL": llm.url,
        }
        with started(context, tmp_path / "image", **variables) as server:
            wait_until_healthy(server, tmp_path / "image")
            assert server.score(name="Ann").json() == "Bye Anna"


@pytest.mark.slow
def test_a_connection_that_is_nowhere_ends_the_server_and_its_log_says_why(tmp_path: Path) -> None:
    files = {"flow.dag.yaml": CHAT, "ask.jinja2": "user:\n{{question}}"}
    context = write_context(make_flow(tmp_path / "ask", "dag", files), tmp_path / "context")
    with started(context, tmp_path / "image") as server:
        assert server.process.wait(60) == 3
    log = (tmp_path / "image/log.txt").read_text(encoding="utf-8")
    wanted = "connection 'my_llm' is not there; set MY_LLM_API_KEY and so on, or PF_CONNECTION_PROVIDER to a workspace"
    assert wanted in log


def test_the_image_is_of_this_python_and_runs_as_a_user_without_rights(tmp_path: Path, echo: Flow) -> None:
    lines = instructions(write_context(echo, tmp_path / "context"))
    assert lines[0] == ("FROM", f"python:{RUNNING_PYTHON}-slim")
    assert ("EXPOSE", "8080") in lines
    names = [name for name, _ in lines]
    assert names[-1] == "CMD"
    assert names.count("CMD") == names.count("FROM") == names.count("HEALTHCHECK") == 1
    assert names.index("USER") > names.index("RUN")


def test_packages_are_those_that_the_flow_is_evaluated_with(tmp_path: Path, echo: Flow) -> None:
    (echo.folder / "requirements.txt").write_text(
        "promptflow # ours\n\nrequests>=2\njinja2<3 # ours is 3\nno-such-package-anywhere==1.0\n", encoding="utf-8"
    )
    context = write_context(echo, tmp_path / "context")
    asked = (context / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert asked == ["promptflow", "promptflow-tools", "gunicorn>=22", "requests>=2", "jinja2<3", *asked[5:]]
    assert asked[5:] == ["no-such-package-anywhere==1.0"]
    pins = dict(line.split("==") for line in (context / "constraints.txt").read_text(encoding="utf-8").splitlines())
    assert pins["promptflow"] == pins["promptflow-core"] == version("promptflow")
    assert pins["flask"] == version("flask")
    assert "jinja2" not in pins
    assert "pytest" not in pins


def test_a_flow_with_connections_can_ask_a_workspace_for_them(tmp_path: Path, echo: Flow) -> None:
    context = write_context(echo, tmp_path / "context", connections=("aoai",))
    assert "azure-identity" in (context / "requirements.txt").read_text(encoding="utf-8").splitlines()
    serving = json.loads((context / "serving.json").read_text(encoding="utf-8"))
    assert serving == {"definition": "flow.dag.yaml", "connections": ["aoai"]}


def test_the_image_has_the_files_that_the_flow_s_digest_is_of(tmp_path: Path, echo: Flow) -> None:
    for name in (".env", "__pycache__/shout.pyc", "lib/deep.py", "cassettes/a.json", ".hidden/x.txt"):
        (echo.folder / name).parent.mkdir(exist_ok=True)
        (echo.folder / name).write_text("x", encoding="utf-8")
    (tmp_path / "one.py").write_text("one = 1", encoding="utf-8")
    echo.file.write_text("additional_includes: [../one.py]" + ECHO, encoding="utf-8")
    resolved = write_resolved(echo, Variant(), tmp_path / "resolved" / "echo")
    served = write_context(resolved, tmp_path / "context") / "flow"
    names = {path.relative_to(served).as_posix() for path in served.rglob("*") if path.is_file()}
    assert names == {Path(name).name if name.startswith("..") else name for name in flow_files(echo)}
    assert {"one.py", "cassettes/a.json", "lib/deep.py"} <= names
    assert ".env" not in names


def refusal(flow: Flow, folder: Path) -> str:
    with pytest.raises(ConfigurationError) as error:
        write_context(flow, folder / "context")
    assert not (folder / "context").exists()
    return str(error.value).removeprefix(f"{flow.folder.name}/")


def test_what_can_not_be_served_is_refused(tmp_path: Path, echo: Flow) -> None:
    function = make_flow(tmp_path / "f", "callable", {"f.py": "def f(x): ..."}, entry="f:f")
    assert refusal(function, tmp_path) == (
        "f.py: flow: is a Python function, which prompt flow can't serve; "
        "add a flow.flex.yaml with 'entry: module:function'"
    )
    requirements = echo.folder / "requirements.txt"
    requirements.write_text("requests\n-r more.txt\n", encoding="utf-8")
    assert refusal(echo, tmp_path) == (
        "requirements.txt:2: '-r more.txt' is no package that an image can be built with; "
        "write name==version lines only"
    )
    requirements.write_text("promptflow[azure]==1.2\n", encoding="utf-8")
    assert refusal(echo, tmp_path) == (
        f"requirements.txt:1: 'promptflow[azure]==1.2' is not the {version('promptflow')} that the flow is evaluated "
        "with here; install it, or leave out the version"
    )
    echo.file.write_text("environment: {python_requirements_txt: needs.txt}" + ECHO, encoding="utf-8")
    assert refusal(echo, tmp_path) == ("flow.dag.yaml: environment.python_requirements_txt: 'needs.txt' is not there")
