"""Workflows that can't be made, and what one is kept from doing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest, RunResult, Variant

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

Run = Callable[..., RunResult]

ECHO = """
@executor(id="echo")
async def echo(word: str, ctx: WorkflowContext[Never, Any]) -> None:
    await ctx.yield_output(seen(word))

def seen(word):
    return word

def build():
    return WorkflowBuilder(start_executor=echo).build()
"""
CREATE = ECHO + "def create_workflow(variant='a'):\n    return build()\n"
ROWS = [{"word": "a"}, {"word": "b"}]
MAPPING = {"word": "${data.word}"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import nothing_of_that_name", "can't import 'workflow': (ModuleNotFoundError) No module named "
        "'nothing_of_that_name'"),
        ("raise SystemExit(1)", "can't import 'workflow': (SystemExit) 1"),
        ("", "'workflow' has no function 'create_workflow'"),
        (ECHO + "def create_workflow():\n    raise KeyError('MODEL')",
         "can't make a workflow with create_workflow(): (KeyError) 'MODEL'"),
        (ECHO + "def create_workflow():\n    return echo",
         "'create_workflow' returned FunctionExecutor, not a workflow: return what WorkflowBuilder.build() gives"),
        (ECHO + "def create_workflow():\n    exit(4)",
         "can't make a workflow with create_workflow(): (SystemExit) 4"),
        (ECHO + "def create_workflow():\n    raise KeyboardInterrupt",
         "can't make a workflow with create_workflow(): (KeyboardInterrupt)"),
        ("raise KeyboardInterrupt", "can't import 'workflow': (KeyboardInterrupt)"),
        ("import agent_framework_mine", "can't import 'workflow': (ModuleNotFoundError) No module named "
         "'agent_framework_mine'"),
        ("raise ModuleNotFoundError(name='agent_framework_openai')", "workflows need Agent Framework, and "
         "agent_framework_openai is not installed: pip install 'pytest-llmops[agents]', where need be in an "
         "environment of its own, since it does not share one with the newest prompt flow"),
    ],
)  # fmt: skip
def test_a_workflow_that_can_not_be_made_fails_the_run_in_one_line(run: Run, text: str, error: str) -> None:
    result = run(text, data=ROWS, column_mapping=MAPPING)
    assert (result.status, result.error, result.rows) == ("Failed", error, ())


def test_init_values_are_arguments(run: Run) -> None:
    wrong = run(CREATE, data=ROWS, column_mapping=MAPPING, variant=Variant(init={"varient": "b"}))
    assert wrong.error == (
        "can't make a workflow with create_workflow(varient): (TypeError) create_workflow() got an unexpected keyword "
        "argument 'varient'"
    )
    text = CREATE.replace("return word", "return VARIANT").replace("return build", "global VARIANT\n    VARIANT = variant\n    return build")  # fmt: skip  # noqa: E501
    result = run(text, data=ROWS, column_mapping=MAPPING, variant=Variant(init={"variant": "b"}))
    assert [row.output for row in result.rows] == [{"output": "b"}] * 2


def test_a_workflow_that_is_made_once_for_all_rows_is_refused(run: Run) -> None:
    result = run(ECHO + "MADE = build()\n\ndef create_workflow():\n    return MADE", data=ROWS, column_mapping=MAPPING)
    error = "'create_workflow' returned the same workflow again, and each row needs a new one: build it there"
    assert [row.error for row in result.rows] == [error] * 2


def test_a_workflow_may_be_made_asynchronously(run: Run) -> None:
    result = run(ECHO + "async def create_workflow():\n    return build()", data=ROWS, column_mapping=MAPPING)
    assert [row.output for row in result.rows] == [{"output": "a"}, {"output": "b"}]


def test_a_row_that_hangs_is_given_up_on(run: Run) -> None:
    text = "import asyncio\n" + CREATE.replace("await ctx", "await asyncio.sleep(60 * (word == 'b'))\n    await ctx")
    result = run(text, data=ROWS, column_mapping=MAPPING, line_timeout=1.0)
    assert [row.error for row in result.rows] == [None, "Line 1 execution timeout for exceeding 1 seconds"]


def test_without_fork(write: Callable[..., Flow]) -> None:
    with closing(LocalEngine(fork=False)) as engine:
        result = engine.run(RunRequest(flow=write(CREATE), data=ROWS, column_mapping=MAPPING))
    assert [row.output for row in result.rows] == [{"output": "a"}, {"output": "b"}]


def test_a_workflow_imports_no_prompt_flow(run: Run) -> None:
    text = CREATE.replace("return word", "import sys; return 'promptflow' in sys.modules")
    (row,) = run(text, data=ROWS[:1], column_mapping=MAPPING).rows
    assert row.output == {"output": False}


def test_nothing_is_told_of_what_a_workflow_does(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though exporters are configured, by the environment and by the workflow itself."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the exporter is not installed")
    told: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        thread = Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("ENABLE_INSTRUMENTATION", "true")
        text = """
from agent_framework.observability import configure_otel_providers
from opentelemetry import trace
configure_otel_providers()
"""
        flush = "getattr(trace.get_tracer_provider(), 'force_flush', int)(); return word"
        result = run(text + CREATE.replace("return word", flush), data=ROWS, column_mapping=MAPPING)
        collector.shutdown()
        thread.join()
    assert [row.error for row in result.rows] == [None, None]
    assert told == []
