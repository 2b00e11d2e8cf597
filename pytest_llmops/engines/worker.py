"""Executes one run in a process that exists for nothing else, and tells how it goes, event by event.

Forked from the warm server, or started afresh where processes can't fork. It loads the flow, then does as it is told.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pytest_llmops.engines import commands, events, orders
from pytest_llmops.engines.commands import Command
from pytest_llmops.engines.depth import TOO_DEEP, is_too_deep
from pytest_llmops.engines.environment import placeholders
from pytest_llmops.engines.executor import Aggregation, Executor
from pytest_llmops.engines.executors import executor_of
from pytest_llmops.engines.keeping import Receipts, is_costly
from pytest_llmops.engines.lines import run_lines
from pytest_llmops.engines.marks import Marks
from pytest_llmops.engines.orders import Order
from pytest_llmops.engines.process import SCRATCH, end_this_process, redirect_standard_streams
from pytest_llmops.engines.reads import NoTracker, ReadTracker, Tracker
from pytest_llmops.engines.redaction import environment_secrets
from pytest_llmops.engines.text import aggregation_timeout, one_line
from pytest_llmops.engines.tokens import counting_tokens, follow_threads, watch_clients
from pytest_llmops.errors import LLMOpsError, RunError
from pytest_llmops.ledger import is_its_folder
from pytest_llmops.records.run import NO_READS, Outcome, Row, RunRequest
from pytest_llmops.secrets import redact

if TYPE_CHECKING:
    from pytest_llmops.cassettes import Recorder

Commands = queue.SimpleQueue[Command]
Emit = Callable[[bytes], None]


def work(source: BinaryIO, sink: BinaryIO, scratch: Path) -> None:
    """Read one order and carry it out, writing events. ``scratch`` is an empty folder for this run alone.

    The process ends when ``source`` closes: then nobody waits for the result any more.
    """
    emit = _writer(sink)
    emit(events.hello(os.getpid()))
    order = orders.decode(source)
    told: Commands = queue.SimpleQueue()
    receipts = Receipts() if order.track else None
    threading.Thread(target=_listen, args=(source, told, receipts), daemon=True).start()
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[:] = order.import_path
    importlib.invalidate_caches()
    _run(order, scratch, told, emit, receipts)


def _writer(sink: BinaryIO) -> Emit:
    """Return a function that writes one event, whole, from whatever thread."""
    lock = threading.Lock()

    def emit(event: bytes) -> None:
        try:
            with lock:
                sink.write(event)
                sink.flush()
        except (OSError, ValueError):
            # The flow closed what is not its own, or nobody listens any more.
            end_this_process()

    return emit


def _listen(source: BinaryIO, told: Commands, receipts: Receipts | None) -> None:
    for line in source:
        command = commands.decode(line)
        if command["command"] != "kept":
            told.put(command)
        elif receipts is not None:
            receipts.arrive(command["numbers"])
    end_this_process()


def _run(order: Order, scratch: Path, told: Commands, emit: Emit, receipts: Receipts | None) -> None:
    """Execute a run and emit its events. LLM calls are intercepted from before the flow is loaded."""
    request, recorder, reads = order.request, None, NO_READS
    error, aggregation = None, None
    try:
        os.chdir(request.flow.folder)
        for name, value in placeholders(request.llm.mode).items():
            os.environ.setdefault(name, value)
        with _intercepted(request) as recorder:
            tracker = _tracker(order, scratch)
            aggregation = _Run(
                request, scratch, emit=emit, recorder=recorder, tracker=tracker, receipts=receipts
            ).follow(told)
            reads = tracker.new()
    except BaseException as problem:
        # Whatever the flow raises: what is not told of, the engine waits for.
        error = str(problem) if isinstance(problem, LLMOpsError) else one_line(problem)
    if aggregation is not None:
        aggregation = replace(aggregation, error=_clean(aggregation.error))
    error = _clean(error)
    calls, misses = (recorder.calls, recorder.misses) if recorder else (0, ())
    if error is None and aggregation is None:
        emit(events.spent(llm_calls=calls, misses=misses))
    else:
        emit(events.summary(error=error, aggregation=aggregation, llm_calls=calls, misses=misses, reads=reads))


def _clean(message: str | None) -> str | None:
    """Remove the secrets of the environment as the flow has it by now: it may have read some from a file of its own."""
    return message and redact(message, environment_secrets(os.environ.copy()))


def _tracker(order: Order, scratch: Path) -> Tracker:
    """Begin to track what the flow reads, where the order says so."""
    if not order.track:
        return NoTracker()
    flow = order.request.flow
    in_context = is_its_folder(flow)
    ignored = [scratch.parent]
    tracker = ReadTracker(flow.folder, in_context=in_context, environment=order.environment, ignored=ignored)
    tracker.start()
    return tracker


@contextmanager
def _intercepted(request: RunRequest) -> Iterator[Recorder]:
    """Count, record or replay LLM calls; those that are really made are limited, and repeated where that may help."""
    from pytest_llmops import cassettes, throttle

    llm = request.llm
    with ExitStack() as until_end:
        if llm.mode != "replay":
            limit = throttle.install(llm.limit or None, limit=request.concurrency, retries=llm.retries)
            until_end.callback(limit.close)
        recorder = cassettes.install(llm)
        until_end.callback(recorder.close)
        until_end.callback(watch_clients())
        until_end.callback(follow_threads())
        yield recorder


class _Run:
    """The flow of the order, loaded, with its lines."""

    def __init__(
        self,
        request: RunRequest,
        scratch: Path,
        *,
        emit: Emit,
        recorder: Recorder,
        tracker: Tracker,
        receipts: Receipts | None,
    ) -> None:
        self._emit = emit
        self._recorder = recorder
        self._tracker = tracker
        self._receipts = receipts
        self._lock = threading.Lock()
        self._executor = executor_of(request, scratch, tracker)
        self._lines = dict(self._executor.prepare(request))
        for number, inputs in self._lines.items():
            if is_too_deep(inputs):
                raise RunError(f"the inputs of row {number} are {TOO_DEEP}")
        self._marks = Marks(scratch, list(self._lines))

    def follow(self, told: Commands) -> Aggregation | None:
        """Do as told until the metrics are computed. Returns None where another worker has to go on."""
        executor, lines = self._executor, self._lines
        started = events.started(
            list(lines.items()),
            line_timeout=executor.line_timeout,
            aggregates=executor.aggregates,
            reads=self._tracker.new(),
        )
        self._emit(started)
        while True:
            command = told.get()
            if command["command"] == "restore":
                for number, contribution in command["lines"]:
                    executor.restore((number, lines[number]), contribution)
            elif command["command"] == "execute":
                batch = [(number, lines[number]) for number in command["numbers"]]
                at_once, timeout = command["concurrency"], executor.line_timeout
                if run_lines(self._work, batch, self._finish, concurrency=at_once, timeout=timeout) < len(batch):
                    return None
            else:
                return _aggregate(executor, command["completed"])

    def _work(self, inputs: Mapping[str, Any], number: int) -> Row:
        self._marks.set(number)
        with counting_tokens() as count:
            row = self._executor.run_line(inputs, number)
        return count.put_into(row)

    def _finish(self, row: Row) -> None:
        receipt = self._receipts.expect(row.line_number) if self._receipts and is_costly(row) else None
        # Whatever kills this process later, this line is told of, with all that was read by now, and is not to blame.
        with self._lock:
            self._emit(self._event(row))
        self._marks.clear(row.line_number)
        if receipt is not None:
            # So that no more lines are paid for than run at once, before an outcome is safe.
            receipt.wait()

    def _event(self, row: Row) -> bytes:
        """Encode a row; an output that JSON can't hold makes it a failed row."""
        reads = self._tracker.new()
        row = replace(row, error=_clean(row.error))
        if is_too_deep(row.output):
            row = replace(row, output=None, error=f"The output is {TOO_DEEP}")
        try:
            return events.finished(Outcome(row=row, aggregation=self._contribution(row)), reads)
        except (TypeError, ValueError) as problem:
            error = f"The output is not JSON serializable: {one_line(problem)}"
            return events.finished(Outcome(row=replace(row, output=None, error=error)), reads)

    def _contribution(self, row: Row) -> str | None:
        if self._recorder.misses:
            # A line that got no answer may not say so; nobody may take it for one that did.
            return None
        return self._executor.contribution(row.line_number) if self._executor.aggregates and not row.failed else ""


def _aggregate(executor: Executor, completed: Collection[int]) -> Aggregation:
    """Compute the metrics in a thread, because promptflow replaces signal handlers on the main one."""
    outcome: queue.SimpleQueue[Aggregation] = queue.SimpleQueue()

    def aggregate() -> None:
        try:
            found = executor.aggregate(completed)
            too_deep = is_too_deep(dict(found.metrics))
            outcome.put(Aggregation(error=f"the metrics are {TOO_DEEP}") if too_deep else found)
        except BaseException as problem:
            outcome.put(Aggregation(error=one_line(problem)))

    threading.Thread(target=aggregate, daemon=True).start()
    try:
        return outcome.get(timeout=executor.line_timeout)
    except queue.Empty:
        return Aggregation(error=aggregation_timeout(executor.line_timeout))


def main() -> None:
    """Execute the one run that standard input asks for; events go to standard output, all prints to standard error.

    The working directory is a private folder, which whoever started this process removes.
    """
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    redirect_standard_streams(log=2)
    scratch = Path.cwd() / SCRATCH
    scratch.mkdir()
    work(source, sink, scratch)
    # Threads of lines that never end would keep a regular exit waiting.
    os._exit(0)
