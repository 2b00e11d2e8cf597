"""Each line is executed once, whoever else wants it, and whoever dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ledger_case import Engine, upper

from pytest_llmops.ledger import Ledger
from pytest_llmops.records.run import RunRequest

Ledgers = Callable[..., Ledger]
Requests = Callable[..., RunRequest]

SESSION = """
import sys, time
from pathlib import Path
from typing import Any
from ledger_case import Engine, upper, write_request
from pytest_llmops.ledger import Ledger

folder, log, count, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

def answer(inputs):
    with log.open("a") as file:
        file.write(inputs["word"] + "\\n")
    time.sleep(seconds)
    return upper(inputs)

request = write_request(folder / sys.argv[5], data=[{"word": f"w{n}"} for n in range(count)])
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(folder / ".llmops")
result = Engine(ledger, answer).run(request)
print(len(result.rows), *ledger.troubles, flush=True)
ledger.close()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give a function that starts a session in another process, which waits for a line before it runs."""
    support = Path(__file__).parents[1] / "support"
    setup = f"import sys; sys.path[:0] = {[str(support), str(Path(__file__).parents[2])]!r}\n"
    with ExitStack() as until_end:

        def start_session(count: int, seconds: float, repo: str = "repo") -> subprocess.Popen[str]:
            arguments = (str(tmp_path), str(tmp_path / "log.txt"), str(count), str(seconds), repo)
            process = subprocess.Popen(
                [sys.executable, "-c", setup + SESSION, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            until_end.enter_context(process)
            until_end.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        yield start_session


def executed(tmp_path: Path) -> Counter[str]:
    """Count how often each line was executed, by whomever."""
    return Counter((tmp_path / "log.txt").read_text(encoding="utf-8").split())


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def test_sessions_that_want_the_same_run_execute_it_once(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    sessions = [start(20, 0.005, repo) for repo in ("one", "two", "three")]
    for session in sessions:
        go(session)
    assert {session.communicate(timeout=60)[0] for session in sessions} == {"20\n"}
    assert executed(tmp_path) == Counter({f"w{n}": 1 for n in range(20)})


def test_sessions_that_share_lines_execute_each_once(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Different runs, of which one has all lines of the other, each doing what the other does not."""
    sessions = [start(count, 0.005, f"repo{count}") for count in (20, 30)]
    for session in sessions:
        go(session)
    said = {session.communicate(timeout=60)[0] for session in sessions}
    assert said == {"20\n", "30\n"}
    assert executed(tmp_path) == Counter({f"w{n}": 1 for n in range(30)})


def test_a_killed_session_loses_only_the_line_under_way(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    killed, heir = start(12, 0.05, "one"), start(12, 0.0, "two")
    go(killed)
    deadline = time.monotonic() + 20
    while not (tmp_path / "log.txt").exists() or len(executed(tmp_path)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    go(heir)  # waits for the other one's run, and takes it over
    killed.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    assert heir.communicate(timeout=60)[0] == "12\n"
    counts = executed(tmp_path)
    assert set(counts) == {f"w{n}" for n in range(12)}
    assert sum(counts.values()) <= 13
    assert list((tmp_path / ".llmops/owners").iterdir()) == []


def test_threads_that_want_the_same_run_execute_it_once(open_ledger: Ledgers, request_of: Requests) -> None:
    request, ledger = request_of(), open_ledger()

    def slow(inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        time.sleep(0.01)
        return upper(inputs)

    engines = [Engine(ledger, slow) for _ in range(4)]
    with ExitStack() as threads:
        for engine in engines:
            threads.enter_context(in_thread(lambda engine=engine: engine.run(request)))  # type: ignore[misc]
    assert sorted(len(engine.executed) for engine in engines) == [0, 0, 0, 3]
    assert ledger.troubles == ()


def test_a_line_that_failed_elsewhere_is_executed_here(open_ledger: Ledgers, request_of: Requests) -> None:
    started, may_fail = threading.Event(), threading.Event()

    def fail(inputs: object) -> None:
        started.set()
        assert may_fail.wait(20)

    one, other = Engine(open_ledger(), fail), Engine(open_ledger())
    with in_thread(lambda: one.run(request_of())):
        assert started.wait(20)
        with in_thread(lambda: other.run(request_of(max_rows=3))):
            may_fail.set()
    assert (len(one.executed), len(other.executed)) == (3, 3)


def test_who_waits_holds_nothing_that_another_one_waits_for(open_ledger: Ledgers, request_of: Requests) -> None:
    """Two runs each took a line, gave up on it without a word, and now ask for the other one's."""
    lines = [(0, {"word": "a"}), (1, {"word": "b"})]
    one, other = open_ledger().journal(request_of()), open_ledger().journal(request_of(max_rows=9))
    with one, other:
        assert list(one.take(lines[:1])[1]) == [0]
        assert list(other.take(lines[1:])[1]) == [1]
        taken: list[int] = []
        with in_thread(lambda: taken.extend(one.take(lines[1:])[1])):
            taken.extend(other.take(lines[:1])[1])
            other.__exit__()
    assert sorted(taken) == [0, 1]


def test_closing_the_ledger_ends_the_waiting(open_ledger: Ledgers, request_of: Requests) -> None:
    ledger = open_ledger()
    with open_ledger().journal(request_of()) as holder:
        assert holder.finished() is None
        holder.take([(0, {"word": "a"})])
        found: list[object] = []
        with in_thread(lambda: found.append(ledger.journal(request_of()).finished())):
            time.sleep(0.1)
            ledger.close()
    assert found == [None]
