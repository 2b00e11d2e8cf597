"""Runs and their lines as the service tells of them, in records of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pytest_llmops.records.run import Row, Tokens

_ENDED = ("Completed", "Failed", "Canceled")
_LINE_NUMBER = "line_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What the service says of a run. Times are Unix times; ``error`` is there for failed rows of a run, too."""

    name: str
    status: str
    tags: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    started: float | None = None
    ended: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether its status will never change again."""
        return self.status in _ENDED

    @property
    def duration(self) -> float:
        """Seconds from its start to its end, 0 where one of them is not known."""
        return self.ended - self.started if self.started and self.ended else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What the service tells of the lines of a run: their outcomes in order of their numbers, and their LLM calls.

    ``llm_calls`` is None where it does not tell what one of them called.
    """

    rows: tuple[Row, ...] = ()
    llm_calls: int | None = 0


def lines_of(children: Iterable[Mapping[str, Any]]) -> Lines:
    """Read what the service keeps of all lines."""
    children = list(children)
    calls = [_llm_calls(child.get("api_calls")) for child in children]
    return Lines(
        rows=tuple(sorted(map(row_of, children), key=lambda row: row.line_number)),
        llm_calls=None if None in calls else sum(map(int, filter(None, calls))),
    )


def state_of(metadata: Mapping[str, Any]) -> RunState:
    """Read what the service keeps of a run."""
    error = ((metadata.get("error") or {}).get("error") or {}).get("message") or ""
    return RunState(
        name=str(metadata["runId"]),
        status=str(metadata["status"]),
        tags={str(name): str(value) for name, value in (metadata.get("tags") or {}).items()},
        error=str(error),
        started=_unix_time(metadata.get("startTimeUtc")),
        ended=_unix_time(metadata.get("endTimeUtc")),
    )


def row_of(child: Mapping[str, Any]) -> Row:
    """Read what the service keeps of a line: a child run. One without an output is a failed row."""
    inputs = dict(child.get("inputs") or {})
    number = inputs.pop(_LINE_NUMBER, child["index"])
    output, status = child.get("output"), child.get("status")
    completed = status == "Completed" and isinstance(output, dict)
    told = child.get("system_metrics") or {}
    return Row(
        line_number=int(number),
        inputs=inputs,
        output=output if completed else None,
        error=None if completed else _why(child),
        duration=float(told.get("duration") or 0.0),
        tokens=Tokens(**{kind: _whole(told.get(f"{kind}_tokens")) for kind in ("prompt", "completion", "total")}),
        usage=_usage(child.get("api_calls") or ()),
    )


def _why(child: Mapping[str, Any]) -> str:
    message = (child.get("error") or {}).get("message")
    return str(message or f"the line has no output; the service calls it {child.get('status')}")


def _usage(calls: Any) -> dict[str, Tokens]:
    """Add up what the service traced of calls to models, by model."""
    used: dict[str, Tokens] = {}
    for output in _llm_outputs(calls):
        if not isinstance(output, dict) or not isinstance(usage := output.get("usage"), dict):
            continue
        model = str(output.get("model") or "")
        before = used.get(model, Tokens())
        used[model] = Tokens(
            prompt=before.prompt + _whole(usage.get("prompt_tokens")),
            completion=before.completion + _whole(usage.get("completion_tokens")),
            total=before.total + _whole(usage.get("total_tokens")),
        )
    return used


def _llm_calls(calls: Any) -> int | None:
    """Count calls to models; None without a trace, in which there is at least the call of the flow itself."""
    return sum(1 for _ in _llm_outputs(calls)) if calls else None


def _llm_outputs(calls: Any) -> Iterator[Any]:
    """Yield what models answered, as far as it was traced."""
    for call in calls:
        if call.get("type") == "LLM":
            yield call.get("output")
        yield from _llm_outputs(call.get("children") or ())


def _whole(text: Any) -> int:
    return int(float(text)) if text else 0


def _unix_time(text: Any) -> float | None:
    """Read a time such as ``2024-05-13T07:19:39.6313491+00:00``, whose digits Python before 3.11 takes six of."""
    if not text:
        return None
    return datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", lambda part: f".{part[1]:0<6}", str(text))).timestamp()
