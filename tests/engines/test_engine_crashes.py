"""Lines that crash or hang: each fails alone, whatever was under way beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest, RunResult

Run = Callable[..., RunResult]
FLOW = ("plain/dangerous.py", "dangerous:act")


def errors(result: RunResult) -> dict[int, str]:
    """First lines of the messages of all failed rows, by line number."""
    return {row.line_number: (row.error or "").splitlines()[0] for row in result.failed}


def crash(number: int) -> str:
    return f"Process crashed while executing line {number},"


def timeout(number: int) -> str:
    return f"Line {number} execution timeout for exceeding 0.5 seconds"


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("os._exit", "died (exit code 3) in the middle of it; last output: the last words"),
        ("kill", "died (signal 9) in the middle of it"),
        ("segfault", "died (signal 11) in the middle of it"),
    ],
)
def test_a_crash_fails_its_line_only(run: Run, what: str, how: str) -> None:
    result = run("trouble", data=[{"what": "fine"}, {"what": what}, {"what": "good"}])
    assert result.status == "Completed"
    assert [row.output for row in result.rows] == [{"result": "fine"}, None, {"result": "good"}]
    assert result.rows[1].error == f"Process crashed while executing line 1,\nworker process {how}"
    assert result.rows[1].inputs == {"what": what, "number": 1}
    assert result.aggregation_error is None


@pytest.mark.parametrize("fork", [True, False])
def test_crashes_among_many_lines(flow: Callable[..., Flow], fork: bool) -> None:
    data = [{"what": "kill" if number in (7, 20, 21) else f"row {number}"} for number in range(40)]
    with closing(LocalEngine(fork=fork)) as engine:
        result = engine.run(RunRequest(flow=flow(*FLOW), data=data))
    assert errors(result) == {number: crash(number) for number in (7, 20, 21)}
    assert [row.output for row in result.completed] == [{"output": row.inputs["what"]} for row in result.completed]
    assert result.metrics == {"rows": 37}


def test_every_line_crashes(run: Run) -> None:
    result = run(*FLOW, data=[{"what": "leave"}] * 5)
    assert errors(result) == {number: crash(number) for number in range(5)}
    assert result.metrics == {"rows": 0}


def test_lines_that_hang_fail_and_end(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    data = [{"what": "wait" if number in (0, 9) else f"row {number}"} for number in range(20)]
    mapping = {"what": "${data.what}", "log": str(log)}
    result = run(*FLOW, data=data, column_mapping=mapping, line_timeout=0.5, concurrency=4)
    assert errors(result) == {0: timeout(0), 9: timeout(9)}
    assert result.metrics == {"rows": 18}
    assert sorted(log.read_text(encoding="utf-8").splitlines()) == sorted(row["what"] for row in data)


def test_a_line_that_blocks_the_interpreter(run: Run) -> None:
    result = run(*FLOW, data=[{"what": "fine"}, {"what": "backtrack"}, {"what": "good"}], line_timeout=0.5)
    assert errors(result) == {1: timeout(1)}
    assert result.metrics == {"rows": 2}


def test_a_line_that_closes_what_is_not_its_own(run: Run) -> None:
    result = run(*FLOW, data=[{"what": "fine"}, {"what": "close"}, {"what": "good"}])
    assert errors(result) == {1: crash(1)}
    assert result.metrics == {"rows": 2}


def test_a_crash_of_the_aggregation_keeps_the_rows(run: Run) -> None:
    result = run(*FLOW, data=[{"what": "fine"}, {"what": "poison"}])
    assert result.failed == ()
    assert result.aggregation_error == "worker process died (signal 11) while it computed the metrics"


def test_a_flow_that_crashes_while_it_loads(flow: Callable[..., Flow], tmp_path: Path) -> None:
    (tmp_path / "fatal.py").write_text("import os\nprint('so long', flush=True)\nos._exit(5)\n", encoding="utf-8")
    doomed = Flow(name="fatal", kind="callable", file=tmp_path / "fatal.py", folder=tmp_path, entry="fatal:act")
    with closing(LocalEngine()) as engine:
        result = engine.run(RunRequest(flow=doomed, data=[{"what": "fine"}]))
    assert result.status == "Failed"
    assert result.error == "worker process died (exit code 5) before the flow was loaded; last output: so long"


def test_a_flow_that_hangs_while_it_loads(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    slow = Flow(name="slow", kind="callable", file=tmp_path / "slow.py", folder=tmp_path, entry="slow:act")
    with closing(LocalEngine()) as engine:
        result = engine.run(RunRequest(flow=slow, data=[{"what": "fine"}], line_timeout=0.5))
    assert (result.status, result.error) == ("Failed", "the flow did not load within 0.5 seconds")


@pytest.mark.parametrize("fork", [True, False])
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise KeyboardInterrupt", "can't import 'stopped': (KeyboardInterrupt)"),
        ("import sys; sys.exit(4)", "can't import 'stopped': (SystemExit) 4"),
        (
            "class Flow:\n    def __init__(self): raise KeyboardInterrupt",
            "can't make a 'Flow' with (): (KeyboardInterrupt)",
        ),
    ],
)
def test_what_stops_a_flow_from_loading_is_told_at_once(tmp_path: Path, text: str, error: str, fork: bool) -> None:
    file = tmp_path / "stopped.py"
    file.write_text(text, encoding="utf-8")
    flow = Flow(name="stopped", kind="callable", file=file, folder=tmp_path, entry="stopped:Flow")
    with closing(LocalEngine(fork=fork)) as engine:
        result = engine.run(RunRequest(flow=flow, data=[{"answer": "a"}]))
    assert (result.status, result.error) == ("Failed", error)
    assert result.duration < 20
