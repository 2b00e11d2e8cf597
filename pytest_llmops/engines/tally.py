"""What is known of one run by now, and the result that it adds up to."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.engines import events
from pytest_llmops.engines.events import Event
from pytest_llmops.records.run import CassetteMiss, Line, Outcome, Reads, Row, RunResult


class Tally:
    """Lines, their outcomes, and what else workers told of one run, whichever of them it was."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._inputs: dict[int, Mapping[str, Any]] | None = None
        self._outcomes: dict[int, Outcome] = {}
        self._files: dict[str, str | None] = {}
        self._variables: dict[str, str | None] = {}
        self._llm_calls = 0
        self._misses: list[CassetteMiss] = []

    @property
    def loaded(self) -> bool:
        """Whether the flow was loaded and its lines are known."""
        return self._inputs is not None

    @property
    def numbers(self) -> list[int]:
        """Numbers of all lines, in the order of their execution."""
        return list(self._inputs or ())

    @property
    def reads(self) -> Reads:
        """All that the flow has read."""
        return Reads(files=self._files, variables=self._variables)

    @property
    def completed(self) -> list[Outcome]:
        """Outcomes of the lines that gave an output, by number."""
        return [self._outcomes[number] for number in sorted(self._outcomes) if not self._outcomes[number].row.failed]

    @property
    def counts(self) -> tuple[int, int]:
        """Number of finished lines, and of all lines."""
        return len(self._outcomes), len(self._inputs or ())

    def unfinished(self) -> list[Line]:
        """Return the lines without an outcome."""
        return [line for line in (self._inputs or {}).items() if line[0] not in self._outcomes]

    def note_start(self, event: Event) -> None:
        """Learn which lines there are. Every worker of a run tells the same."""
        self._note_reads(event)
        if self._inputs is None:
            self._inputs = dict(event["lines"])

    def note_rows(self, rows: Sequence[Event]) -> list[Outcome]:
        """Learn finished lines from their events."""
        for event in rows:
            self._note_reads(event)
        outcomes = [events.outcome_of(event, self._inputs or {}) for event in rows]
        self.note(outcomes)
        return outcomes

    def note(self, outcomes: Collection[Outcome]) -> None:
        """Learn finished lines."""
        self._outcomes |= {outcome.row.line_number: outcome for outcome in outcomes}

    def note_calls(self, event: Event) -> None:
        """Learn how often a worker called a model, at its end."""
        self._note_reads(event)
        self._llm_calls += event["llm_calls"]
        self._misses += [CassetteMiss(**miss) for miss in event["misses"]]

    def forget(self, outcomes: Iterable[Outcome]) -> list[int]:
        """Take lines as unfinished again, and return their numbers."""
        numbers = [outcome.row.line_number for outcome in outcomes]
        for number in numbers:
            del self._outcomes[number]
        return numbers

    def failed_row(self, number: int, error: str) -> Outcome:
        """Make the outcome of a line that failed without its worker saying so."""
        return Outcome(row=Row(line_number=number, inputs=(self._inputs or {})[number], error=error))

    def failed(self, error: str) -> RunResult:
        """Return the result of a run that could not be executed."""
        return RunResult(status="Failed", error=error, duration=time.monotonic() - self._begun)

    def completed_run(
        self, metrics: Mapping[str, Any] | None = None, aggregation_error: str | None = None
    ) -> RunResult:
        """Return the result of a run whose lines have all finished."""
        return RunResult(
            status="Completed",
            rows=tuple(self._outcomes[number].row for number in sorted(self._outcomes)),
            metrics=metrics or {},
            aggregation_error=aggregation_error,
            duration=time.monotonic() - self._begun,
            llm_calls=self._llm_calls,
            misses=tuple(self._misses),
        )

    def _note_reads(self, event: Event) -> None:
        reads = events.reads_of(event)
        self._files |= reads.files
        self._variables |= reads.variables
