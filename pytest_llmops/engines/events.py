"""What a worker tells while it runs, one JSON object per line, and how that becomes the result of a run.

``started`` gives the inputs of every line; ``row`` a finished line, without them; ``summary`` ends the run; ``died``
comes from whoever watched the worker end without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_llmops.engines.base import Progress
from pytest_llmops.engines.executor import Aggregation, Line
from pytest_llmops.records.run import CassetteMiss, Row, RunResult, Tokens

Event = Mapping[str, Any]


def started(lines: Sequence[Line]) -> bytes:
    """Encode the numbers and inputs of all lines. What JSON lacks becomes its ``str``."""
    return _encode({"event": "started", "lines": lines}, default=_plain)


def finished(row: Row) -> bytes:
    """Encode a row.

    Raises:
        TypeError, ValueError: for an output that JSON can't hold.
    """
    event = {
        "event": "row",
        "line_number": row.line_number,
        "output": row.output,
        "error": row.error,
        "duration": row.duration,
        "tokens": asdict(row.tokens),
    }
    return _encode(event)


def summary(
    *,
    error: str | None = None,
    aggregation: Aggregation | None = None,
    llm_calls: int = 0,
    misses: Sequence[CassetteMiss] = (),
) -> bytes:
    """Encode the end of a run. Metrics are kept as they are; what JSON lacks becomes its ``str``."""
    aggregation = aggregation or Aggregation()
    event = {
        "event": "summary",
        "error": error,
        "metrics": {str(name): value for name, value in aggregation.metrics.items()},
        "aggregation_error": aggregation.error,
        "llm_calls": llm_calls,
        "misses": [asdict(miss) for miss in misses],
    }
    return _encode(event, default=_plain)


def died(how: str, last_output: str = "") -> bytes:
    """Encode the end of a worker that gave no summary. The line it was writing may be torn, so begin a new one."""
    return b"\n" + _encode({"event": "died", "how": how, "last_output": last_output})


def decode(line: bytes) -> Event:
    """Read one event; a torn line gives an empty one."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


@dataclass(slots=True)
class Collector:
    """Gathers the events of one run. ``progress`` is told of every finished row."""

    progress: Progress | None = None
    _inputs: dict[int, Mapping[str, Any]] | None = None
    _rows: dict[int, Row] = field(default_factory=dict)
    _summary: Event | None = None
    _death: Event = field(default_factory=lambda: {"how": "died", "last_output": ""})

    @property
    def complete(self) -> bool:
        """Whether the summary has come."""
        return self._summary is not None

    def add(self, event: Event) -> None:
        """Take the next event."""
        kind = event.get("event")
        if kind == "started":
            self._inputs = dict(event["lines"])
        elif kind == "row":
            row = self._row(event)
            self._rows[row.line_number] = row
        elif kind == "summary":
            self._summary = event
        elif kind == "died":
            self._death = event
        if self.progress is not None and self._inputs is not None and kind in ("started", "row"):
            self.progress(len(self._rows), len(self._inputs))

    def result(self, duration: float) -> RunResult:
        """Make the result of what has come; lines that never finished become failed rows."""
        if self._summary is None:
            return self._result_of_death(duration)
        event = self._summary
        return RunResult(
            status="Completed" if event["error"] is None else "Failed",
            rows=self._sorted_rows(),
            metrics=event["metrics"],
            error=event["error"],
            aggregation_error=event["aggregation_error"],
            duration=duration,
            llm_calls=event["llm_calls"],
            misses=tuple(CassetteMiss(**miss) for miss in event["misses"]),
        )

    def _result_of_death(self, duration: float) -> RunResult:
        if self._inputs is None:
            return RunResult(status="Failed", error=self._obituary("before the flow was loaded"), duration=duration)
        unfinished = [number for number in self._inputs if number not in self._rows]
        for number in unfinished:
            error = self._obituary(f"before line {number} finished")
            self._rows[number] = Row(line_number=number, inputs=self._inputs[number], error=error)
        when = "before all lines finished" if unfinished else "while it computed the metrics"
        return RunResult(
            status="Completed",
            rows=self._sorted_rows(),
            aggregation_error=self._obituary(when),
            duration=duration,
        )

    def _obituary(self, when: str) -> str:
        last_output = self._death["last_output"]
        return f"worker process {self._death['how']} {when}" + (f"; last output: {last_output}" if last_output else "")

    def _row(self, event: Event) -> Row:
        number = event["line_number"]
        return Row(
            line_number=number,
            inputs=(self._inputs or {}).get(number, {}),
            output=event["output"],
            error=event["error"],
            duration=event["duration"],
            tokens=Tokens(**event["tokens"]),
        )

    def _sorted_rows(self) -> tuple[Row, ...]:
        return tuple(self._rows[number] for number in sorted(self._rows))


def _encode(event: Mapping[str, Any], default: Any = None) -> bytes:
    return json.dumps(event, ensure_ascii=False, default=default).encode("utf-8", "surrogatepass") + b"\n"


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars into numbers, and anything else that JSON lacks into text."""
    return value.item() if hasattr(value, "item") else str(value)
