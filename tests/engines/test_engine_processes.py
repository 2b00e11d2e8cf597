"""Processes of the local engine: how they die, who notices, and that none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Connection, Flow
from pytest_llmops.records.run import RunRequest, RunResult

Run = Callable[..., RunResult]
Flows = Callable[..., Flow]
FUNCTIONS = "plain/functions.py"
ROOT = Path(__file__).parents[2]
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


def processes(mark: str) -> list[int]:
    """Return the processes that have ``mark`` in the environment that they were started with."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.02)


def in_another_process(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_runs_from_several_threads_overlap(run: Run) -> None:
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: run(FUNCTIONS, "functions:clock", data=[{"answer": "a"}]), range(3)))
    outputs = [result.rows[0].output or {} for result in results]
    assert max(output["begun"] for output in outputs) < min(output["ended"] for output in outputs)


def test_callable_never_meets_promptflow(flow: Flows) -> None:
    with closing(LocalEngine()) as engine:
        result = engine.run(RunRequest(flow=flow(FUNCTIONS, "functions:imported"), data=[{"answer": "a"}]))
    assert [row.output for row in result.rows] == [{"promptflow": False}]


@NEEDS_PROC
def test_a_server_that_died_is_replaced(flow: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    request = RunRequest(flow=flow(FUNCTIONS, "functions:loud"), data=[{"answer": "a"}])
    mark = uuid4().hex
    monkeypatch.setenv("LLMOPS_TEST_MARK", mark)
    with closing(LocalEngine()) as engine:
        assert engine.run(request).status == "Completed"
        wait_for(lambda: len(processes(mark)) == 1)
        os.kill(processes(mark)[0], signal.SIGKILL)
        wait_for(lambda: not processes(mark))
        assert engine.run(request).status == "Completed"


KILLED = """
from pathlib import Path
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest
folder = Path("tests/engines/flows/plain").resolve()
flow = Flow(name="stuck", kind="callable", file=folder / "functions.py", folder=folder, entry="functions:stuck")
LocalEngine(fork={fork}).run(RunRequest(flow=flow, data=[dict(answer="a")]))
"""


@NEEDS_PROC
@pytest.mark.parametrize(("fork", "count"), [(True, 4), (False, 3)])
def test_kill_9_of_the_caller_leaves_no_process(fork: bool, count: int, tmp_path: Path) -> None:
    mark = uuid4().hex
    environment = {**os.environ, "LLMOPS_TEST_MARK": mark, "TMPDIR": str(tmp_path)}
    script = KILLED.format(fork=fork)
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment) as caller:
        # The caller, the server, its worker, and what the flow in it started.
        wait_for(lambda: len(processes(mark)) == count)
        caller.kill()
    wait_for(lambda: not processes(mark))
    if fork:
        wait_for(lambda: not any(tmp_path.iterdir()))


CALLER = """
import os, sys
from pathlib import Path
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest
folder = Path("tests/engines/flows/triage").resolve()
flow = Flow(name="triage", kind="dag", file=folder / "flow.dag.yaml", folder=folder)
engine = LocalEngine()
engine.warm_up()
print(engine.run(RunRequest(flow=flow, data=[dict(text="invoice", gold="billing")])).metrics["accuracy"])
engine.close()
print({"promptflow", "pandas", "openai", "pydantic"} & set(sys.modules), os.listdir(os.environ["HOME"]))
"""


def test_caller_stays_light_and_home_stays_clean(tmp_path: Path) -> None:
    assert in_another_process(CALLER, HOME=str(tmp_path), TMPDIR=str(tmp_path)) == "1.0\nset() []\n"


def test_without_fork(flow: Flows) -> None:
    with closing(LocalEngine(fork=False)) as engine:
        engine.warm_up()
        data = [{"answer": "fine"}, {"answer": "not fine"}]
        good = engine.run(RunRequest(flow=flow(FUNCTIONS, "functions:loud"), data=data))
        crashed = engine.run(RunRequest(flow=flow(FUNCTIONS, "functions:crash"), data=data))
    assert [row.output for row in good.rows] == [{"output": "FINE!"}, {"output": "NOT FINE!"}]
    assert [row.error for row in crashed.rows] == [
        None,
        "Process crashed while executing line 1,\n"
        "worker process died (signal 9) in the middle of it; last output: the last words",
    ]


@pytest.mark.parametrize("fork", [True, False])
def test_close_ends_runs_under_way(flow: Flows, fork: bool) -> None:
    engine = LocalEngine(fork=fork)
    request = RunRequest(flow=flow(FUNCTIONS, "functions:stuck"), data=[{"answer": "a"}])
    with ThreadPoolExecutor(1) as pool:
        begun: list[tuple[int, int]] = []
        running = pool.submit(engine.run, request, progress=lambda done, total: begun.append((done, total)))
        wait_for(lambda: bool(begun))
        engine.close()
        result = running.result(timeout=10)
    assert [row.error for row in result.rows] == ["worker process was ended with its engine before line 0 finished"]
    refusal = "worker process could not be started (the engine is closed) before the flow was loaded"
    assert engine.run(request).error == refusal


def test_without_fork_with_promptflow(flow: Flows) -> None:
    with closing(LocalEngine(fork=False)) as engine:
        data = [{"text": "invoice", "gold": "billing"}]
        result = engine.run(RunRequest(flow=flow("triage"), data=data))
    assert (result.error, result.metrics) == (None, {"rows": 1, "accuracy": 1.0})


@NEEDS_PROC
def test_server_has_one_thread_because_it_forks(flow: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = uuid4().hex
    monkeypatch.setenv("LLMOPS_TEST_MARK", mark)
    with closing(LocalEngine()) as engine:
        engine.run(RunRequest(flow=flow("triage"), data=[{"text": "invoice", "gold": "billing"}]))
        wait_for(lambda: len(processes(mark)) == 1)
        threads = Path(f"/proc/{processes(mark)[0]}/task").iterdir()
        # Where pyarrow is installed, pandas imports it; its allocator starts a thread that it restarts after a fork.
        names = [(thread / "comm").read_text(encoding="utf-8").strip() for thread in threads]
        assert len([name for name in names if not name.startswith("jemalloc")]) == 1


def test_promptflow_that_can_not_be_imported(flow: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "promptflow").mkdir()
    (tmp_path / "promptflow" / "__init__.py").write_text("raise ImportError('it is broken')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with closing(LocalEngine(fork=False)) as engine:
        result = engine.run(RunRequest(flow=flow("triage"), data=[{"text": "invoice", "gold": "billing"}]))
    assert result.error == "dag flows need prompt flow, which can't be imported: it is broken"


def test_rows_that_can_not_be_sent(run: Run) -> None:
    result = run(FUNCTIONS, "functions:loud", data=[{"answer": lambda: 1}])
    assert result.status == "Failed"
    assert result.error is not None
    assert result.error.startswith("the rows can't be handed to another process: ")


def test_messages_do_not_hold_secrets_of_a_worker_that_died(flow: Flows) -> None:
    connections = (Connection(name="c", type="custom", values={}, secrets={"key": "last words"}),)
    request = RunRequest(flow=flow(FUNCTIONS, "functions:crash"), data=[{"answer": "x"}], connections=connections)
    with closing(LocalEngine()) as engine:
        result = engine.run(request)
    assert [row.error for row in result.rows] == [
        "Process crashed while executing line 0,\n"
        "worker process died (signal 9) in the middle of it; last output: the ***"
    ]
