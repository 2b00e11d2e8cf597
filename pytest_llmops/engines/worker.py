"""Executes one run in a process that exists for nothing else, and tells how it goes, event by event.

Forked from the warm server, or started afresh where processes can't fork.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pytest_llmops.engines import events, orders
from pytest_llmops.engines.environment import placeholders
from pytest_llmops.engines.executor import Aggregation, Executor
from pytest_llmops.engines.lines import run_lines
from pytest_llmops.engines.process import end_this_process, redirect_standard_streams
from pytest_llmops.engines.text import one_line
from pytest_llmops.errors import LLMOpsError, RunError
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import Row, RunRequest


def work(source: BinaryIO, sink: BinaryIO, scratch: Path) -> None:
    """Read one order and execute it, writing events. ``scratch`` is an empty folder for this run alone.

    The process ends when ``source`` closes: then nobody waits for the result any more.
    """
    order = orders.decode(source)
    threading.Thread(target=_end_when_closed, args=(source,), daemon=True).start()
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[:] = order.import_path
    importlib.invalidate_caches()
    for event in _run(order.request, scratch):
        sink.write(event)
        sink.flush()


def _end_when_closed(source: BinaryIO) -> None:
    source.read(1)
    end_this_process()


def _run(request: RunRequest, scratch: Path) -> Iterator[bytes]:
    """Execute a run and yield its events. LLM calls are intercepted from before the flow is loaded."""
    from pytest_llmops.cassettes import install

    recorder, error, aggregation = None, None, None
    try:
        os.chdir(request.flow.folder)
        for name, value in placeholders(request.llm.mode).items():
            os.environ.setdefault(name, value)
        recorder = install(request.llm)
        try:
            aggregation = yield from _execute(request, scratch)
        finally:
            recorder.close()
    except (Exception, SystemExit) as problem:
        error = str(problem) if isinstance(problem, LLMOpsError) else one_line(problem)
    yield events.summary(
        error=error,
        aggregation=aggregation,
        llm_calls=recorder.calls if recorder else 0,
        misses=recorder.misses if recorder else (),
    )


def _execute(request: RunRequest, scratch: Path) -> Generator[bytes, None, Aggregation]:
    executor = _executor_for(request.flow, scratch)
    lines = executor.prepare(request)
    yield events.started(lines)
    completed = []
    for done in run_lines(executor.run_line, lines, concurrency=request.concurrency, timeout=executor.line_timeout):
        row, event = _encoded(done)
        if not row.failed:
            completed.append(row.line_number)
        yield event
    return _aggregate(executor, sorted(completed))


def _executor_for(flow: Flow, scratch: Path) -> Executor:
    """Make the executor of a flow. ``scratch`` is an empty folder that lasts as long as the run.

    Raises:
        RunError: when the flow needs promptflow, and that is not installed.
    """
    if flow.kind == "callable":
        from pytest_llmops.engines.function.executor import FunctionExecutor

        return FunctionExecutor()
    from pytest_llmops.engines.promptflow.setup import preload

    try:
        preload(scratch.parent)
    except ImportError as problem:
        raise RunError(f"{flow.kind} flows need prompt flow, which can't be imported: {problem}") from problem
    from pytest_llmops.engines.promptflow.executor import PromptflowExecutor

    return PromptflowExecutor(scratch)


def _encoded(row: Row) -> tuple[Row, bytes]:
    """Encode a row; an output that JSON can't hold makes it a failed row."""
    try:
        return row, events.finished(row)
    except (TypeError, ValueError) as problem:
        row = replace(row, output=None, error=f"The output is not JSON serializable: {one_line(problem)}")
        return row, events.finished(row)


def _aggregate(executor: Executor, completed: Collection[int]) -> Aggregation:
    """Compute the metrics in a thread, because promptflow replaces signal handlers on the main one."""
    outcome: queue.SimpleQueue[Aggregation] = queue.SimpleQueue()

    def aggregate() -> None:
        try:
            outcome.put(executor.aggregate(completed))
        except BaseException as problem:
            outcome.put(Aggregation(error=one_line(problem)))

    threading.Thread(target=aggregate, daemon=True).start()
    try:
        return outcome.get(timeout=executor.line_timeout)
    except queue.Empty:
        return Aggregation(error=f"the aggregation did not finish within {executor.line_timeout:g} seconds")


def main() -> None:
    """Execute the one run that standard input asks for; events go to standard output, all prints to standard error.

    The working directory is a private folder, which whoever started this process removes.
    """
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    redirect_standard_streams(log=2)
    scratch = Path.cwd() / "run"
    scratch.mkdir()
    work(source, sink, scratch)
    # Threads of lines that never end would keep a regular exit waiting.
    os._exit(0)
