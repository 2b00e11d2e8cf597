"""What a worker tells while it runs, one JSON object per line.

``hello`` names its process; ``started`` gives the inputs of every line; ``row`` is a finished line, without its inputs;
``spent`` asks for another worker to go on in its place; ``summary`` ends the run; ``died`` comes from whoever watched
the worker end without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.records.run import NO_READS, CassetteMiss, Line, Outcome, Reads, Row, Tokens

Event = Mapping[str, Any]

_NO_TOKENS = Tokens()


def hello(pid: int) -> bytes:
    """Encode the first thing that a worker says."""
    return _encode({"event": "hello", "pid": pid})


def started(lines: Sequence[Line], *, line_timeout: float, aggregates: bool, reads: Reads = NO_READS) -> bytes:
    """Encode the numbers and inputs of all lines. What JSON lacks becomes its ``str``."""
    event = {"event": "started", "lines": lines, "line_timeout": line_timeout, "aggregates": aggregates}
    return _encode(_with_reads(event, reads), default=_plain)


def finished(outcome: Outcome, reads: Reads = NO_READS) -> bytes:
    """Encode a line's outcome, and what the flow has read since the last one.

    Raises:
        TypeError, ValueError: for an output that JSON can't hold.
    """
    row = outcome.row
    event: dict[str, Any] = {"event": "row", "line_number": row.line_number, "output": row.output}
    event |= {"error": row.error, "duration": row.duration}
    if outcome.aggregation != "":
        event["aggregation"] = outcome.aggregation
    if row.tokens != _NO_TOKENS:
        event["tokens"] = asdict(row.tokens)
    if row.usage:
        event["usage"] = {model: asdict(tokens) for model, tokens in row.usage.items()}
    if row.uncounted:
        event["uncounted"] = row.uncounted
    return _encode(_with_reads(event, reads))


def outcome_of(event: Event, inputs: Mapping[int, Mapping[str, Any]]) -> Outcome:
    """Read the outcome of a line from its event. ``inputs`` are those of every line, by number."""
    number = event["line_number"]
    row = Row(
        line_number=number,
        inputs=inputs[number],
        output=event["output"],
        error=event["error"],
        duration=event["duration"],
        tokens=Tokens(**event["tokens"]) if "tokens" in event else _NO_TOKENS,
        usage={model: Tokens(**tokens) for model, tokens in event.get("usage", {}).items()},
        uncounted=event.get("uncounted", 0),
    )
    return Outcome(row=row, aggregation=event.get("aggregation", ""))


def reads_of(event: Event) -> Reads:
    """Read what the flow has read, as far as an event tells."""
    return Reads(**event["reads"]) if "reads" in event else NO_READS


def spent(*, llm_calls: int = 0, misses: Sequence[CassetteMiss] = ()) -> bytes:
    """Encode the wish of a worker for another one in its place, because it can't get rid of a line that hangs."""
    return _encode({"event": "spent", "llm_calls": llm_calls, "misses": [asdict(miss) for miss in misses]})


def summary(
    *,
    error: str | None = None,
    aggregation: Aggregation | None = None,
    llm_calls: int = 0,
    misses: Sequence[CassetteMiss] = (),
    reads: Reads = NO_READS,
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
    return _encode(_with_reads(event, reads), default=_plain)


def died(how: str, last_output: str = "", under_way: Sequence[int] = ()) -> bytes:
    """Encode the end of a worker that gave no summary. ``under_way`` are the lines it was at, by position.

    The line that the worker was writing may be torn, so this begins a new one.
    """
    event = {"event": "died", "how": how, "last_output": last_output, "under_way": under_way}
    return b"\n" + _encode(event)


def decode(line: bytes) -> Event:
    """Read one event; a torn line gives an empty one."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _with_reads(event: dict[str, Any], reads: Reads) -> dict[str, Any]:
    return event | {"reads": asdict(reads)} if reads.files or reads.variables else event


def _encode(event: Mapping[str, Any], default: Any = None) -> bytes:
    return json.dumps(event, ensure_ascii=False, default=default).encode("utf-8", "surrogatepass") + b"\n"


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays into numbers and lists, and anything else that JSON lacks into text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
