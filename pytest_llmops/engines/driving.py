"""Drives one run through as many workers as it takes: one, unless lines hang or crash it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing

from pytest_llmops.engines import commands
from pytest_llmops.engines.base import Journal, Progress
from pytest_llmops.engines.events import Event
from pytest_llmops.engines.keeping import Keeper
from pytest_llmops.engines.tally import Tally
from pytest_llmops.engines.text import aggregation_timeout
from pytest_llmops.engines.workers import Worker
from pytest_llmops.records.run import Outcome, RunRequest, RunResult

_GRACE = 2.0
"""Seconds that a worker has beyond a line's time to say that the line took too long."""
_LAST_WORDS = 10.0
"""Seconds that it may take until the end of a killed worker is reported."""
_VAIN_DEATHS = 2
"""Number of workers that may die without a line being at fault."""


class _End(Exception):
    """A worker will say nothing more. ``hung`` tells that it was killed because it had said nothing for too long."""

    def __init__(self, event: Event, *, hung: bool = False) -> None:
        super().__init__()
        self.event = event
        self.hung = hung

    def obituary(self, when: str) -> str:
        last_output = self.event.get("last_output")
        how = self.event.get("how", "died")
        return f"worker process {how} {when}" + (f"; last output: {last_output}" if last_output else "")


class Drive:
    """One run under way: which lines are finished, and what has to be done about the others."""

    def __init__(self, request: RunRequest, journal: Journal | None, progress: Progress | None) -> None:
        self.tally = Tally()
        self._request = request
        self._journal = journal
        self._progress = progress
        self._line_timeout = request.line_timeout
        self._aggregates = False
        self._keeper = Keeper(journal, self._acknowledge)
        self._worker: Worker | None = None
        self._mine: dict[int, None] = {}
        self._suspects: list[int] = []
        self._vain_deaths = 0

    def through(self, launch: Callable[[], Worker], order: bytes, closed: Callable[[], bool]) -> RunResult:
        """Have workers carry out the order until the run has ended, well or badly, or the engine is closed.

        Raises:
            OSError: when no worker can be started.
        """
        while True:
            with closing(launch()) as worker:
                self._worker = worker
                worker.tell(order)
                end = self._converse(worker)
            self._keeper.flush()
            if closed():
                return self.break_off("was ended with its engine")
            if (result := self._result_of(end)) is not None:
                return result

    def break_off(self, how: str) -> RunResult:
        """Return what there is by now, with an error for every line that is not finished."""
        return self._result_of_death(_End({"how": how}))

    def _converse(self, worker: Worker) -> _End:
        """Have a worker load the flow, execute what is left of its lines, and aggregate."""
        try:
            for event in self._listen(worker, self._request.line_timeout):
                if event.get("event") == "started":
                    self._note_start(event)
                    break
            self._execute_lines(worker)
            numbers = [outcome.row.line_number for outcome in self.tally.completed]
            worker.tell(commands.aggregate(numbers))
            for _ in self._listen(worker, self._line_timeout + _GRACE):
                pass
        except _End as end:
            return end
        raise AssertionError("unreachable: a worker has an end")

    def _listen(self, worker: Worker, patience: float) -> Iterator[Event]:
        """Yield what the worker tells. It is killed when it says nothing for ``patience`` seconds.

        Raises:
            _End: when it ends.
        """
        hung = False
        while True:
            heard = self._hear(worker, _LAST_WORDS if hung else patience)
            if heard is None or (hung and not heard):
                raise _End({}, hung=hung)
            if not heard:
                worker.kill()
                hung = True
            self._note_rows([event for event in heard if event.get("event") == "row"])
            for event in heard:
                if event.get("event") in ("summary", "spent", "died"):
                    raise _End(event, hung=hung)
                yield event

    def _hear(self, worker: Worker, patience: float) -> Sequence[Event] | None:
        if (due_in := self._keeper.due_in) is not None:
            heard = worker.listen(due_in)
            if heard is None or heard:
                return heard
            self._keeper.flush()
        return worker.listen(patience)

    def _acknowledge(self, numbers: Collection[int]) -> None:
        if self._worker is not None:
            self._worker.tell(commands.kept(numbers))

    def _note_start(self, event: Event) -> None:
        self._line_timeout, self._aggregates = event["line_timeout"], event["aggregates"]
        self.tally.note_start(event)
        if self._aggregates:
            # Only the worker that executed them could have aggregated these.
            again = self.tally.forget([o for o in self.tally.completed if o.aggregation is None])
            self._mine |= dict.fromkeys(again)
        self._tell_progress()

    def _execute_lines(self, worker: Worker) -> None:
        self._restore(worker, self.tally.completed)
        while batch := self._suspects or list(self._mine or self._take(worker)):
            worker.tell(commands.execute(batch, concurrency=1 if self._suspects else self._request.concurrency))
            missing = set(batch)
            for event in self._listen(worker, self._line_timeout + _GRACE):
                missing.discard(event.get("line_number", -1))
                if not missing:
                    break

    def _take(self, worker: Worker) -> Collection[int]:
        """Decide which lines to execute next: none when all are finished. The worker learns of what is known."""
        self._keeper.flush()
        while not self._mine and (unfinished := self.tally.unfinished()):
            if self._journal is None:
                self._mine = {number: None for number, _ in unfinished}
                break
            known, mine = self._journal.take(unfinished)
            self._mine = dict.fromkeys(mine)
            self.tally.note(known.values())
            self._restore(worker, known.values())
            self._tell_progress()
        return self._mine

    def _restore(self, worker: Worker, outcomes: Collection[Outcome]) -> None:
        if self._aggregates and outcomes:
            worker.tell(commands.restore(outcomes))

    def _note_rows(self, rows: list[Event]) -> None:
        if rows:
            self._finish(self.tally.note_rows(rows))

    def _finish(self, outcomes: Collection[Outcome]) -> None:
        for outcome in outcomes:
            self._mine.pop(outcome.row.line_number, None)
        if self._suspects:
            finished = {outcome.row.line_number for outcome in outcomes}
            self._suspects = [number for number in self._suspects if number not in finished]
        self._keeper.add(outcomes, self.tally.reads)
        self._tell_progress()

    def _result_of(self, end: _End) -> RunResult | None:
        """Return the result of the run, or None where another worker has to go on."""
        if end.event.get("event") == "spent":
            self.tally.note_calls(end.event)
            return None
        if end.event.get("event") == "summary":
            self.tally.note_calls(end.event)
            if end.event["error"] is not None:
                return self.tally.failed(end.event["error"])
            return self.tally.completed_run(end.event["metrics"], end.event["aggregation_error"])
        return self._bury(end)

    def _bury(self, end: _End) -> RunResult | None:
        """Find out which line killed a worker, and fail that line alone."""
        numbers, unfinished = self.tally.numbers, {number for number, _ in self.tally.unfinished()}
        under_way = [n for place in end.event.get("under_way", ()) if (n := numbers[place]) in unfinished]
        if len(under_way) == 1:
            self._fail(under_way[0], end)
            return None
        if under_way:
            # One at a time in workers to come, the innocent ones will finish.
            self._suspects = under_way
            return None
        self._vain_deaths += 1
        # One that said nothing at all was never started, because its server died.
        in_vain = bool(unfinished) if self.tally.loaded else not end.event and not end.hung
        return None if in_vain and self._vain_deaths < _VAIN_DEATHS else self._result_of_death(end)

    def _fail(self, number: int, end: _End) -> None:
        if end.hung:
            error = f"Line {number} execution timeout for exceeding {self._line_timeout:g} seconds"
        else:
            # The first line is prompt flow's, comma included.
            error = f"Process crashed while executing line {number},\n{end.obituary('in the middle of it')}"
        outcome = self.tally.failed_row(number, error)
        self.tally.note([outcome])
        self._finish([outcome])

    def _result_of_death(self, end: _End) -> RunResult:
        if not self.tally.loaded:
            if end.hung:
                return self.tally.failed(f"the flow did not load within {self._request.line_timeout:g} seconds")
            return self.tally.failed(end.obituary("before the flow was loaded"))
        unfinished = [number for number, _ in self.tally.unfinished()]
        if not unfinished and end.hung:
            return self.tally.completed_run(aggregation_error=aggregation_timeout(self._line_timeout))
        when = "before all lines finished" if unfinished else "while it computed the metrics"
        self.tally.note([self.tally.failed_row(n, end.obituary(f"before line {n} finished")) for n in unfinished])
        return self.tally.completed_run(aggregation_error=end.obituary(when))

    def _tell_progress(self) -> None:
        if self._progress is not None and self.tally.loaded:
            self._progress(*self.tally.counts)
