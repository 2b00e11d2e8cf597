"""One recorded answer: how it is read from HTTP, kept in the cassette, and served again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_llmops.cassettes.call import Call, Question
from pytest_llmops.cassettes.jsontext import Lines, one_line, parse
from pytest_llmops.cassettes.scrub import scrub, spelled_in_pieces
from pytest_llmops.cassettes.sse import DONE, read_events, render_events
from pytest_llmops.httpclients import OPERATIONS

_STREAM = "text/event-stream"
_LAST_EVENTS = ("response.completed", "response.incomplete")
# Differ each time the same answer is given. The Responses API is not among these operations: later requests refer to
# its ids, and a server knows only those that it gave.
_VOLATILE = frozenset({"id", "created", "system_fingerprint"})
_ID_PREFIX = {"chat/completions": "chatcmpl-", "completions": "cmpl-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP response in the form in which it is handed to a client."""

    status: int
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A call and its answer. ``answer`` is the response's JSON object, or for a stream the list of its events."""

    call: Call
    status: int
    answer: Any
    streamed: bool = False

    def reply(self) -> Reply:
        """Render the answer as an HTTP response, with what was left out of the recording made up from the key."""
        made_up = self._made_up()
        if not self.streamed:
            return json_reply(self.status, made_up | self.answer)
        events = [made_up | event if isinstance(event, dict) else event for event in self.answer]
        return Reply(status=self.status, content_type=_STREAM, content=render_events(events))

    def _made_up(self) -> dict[str, Any]:
        prefix = _ID_PREFIX.get(self.call.operation)
        return {} if prefix is None else {"id": f"{prefix}{self.call.key()[:24]}", "created": 0}

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it stands in the cassette."""
        deployment = {} if self.call.deployment is None else {"deployment": self.call.deployment}
        answer = {"events": Lines(self.answer)} if self.streamed else {"response": self.answer}
        return {
            "operation": self.call.operation,
            **deployment,
            "request": self.call.body,
            "status": self.status,
            **answer,
        }

    @classmethod
    def from_json(cls, value: Any) -> Entry:
        """Read an entry of a cassette.

        Raises:
            ValueError: saying what is wrong with it.
        """
        if not isinstance(value, dict):
            raise ValueError("is not an object")
        if value.get("operation") not in OPERATIONS:
            raise ValueError(f"'operation' is {value.get('operation')!r}, not one of {', '.join(OPERATIONS)}")
        if not isinstance(value.get("status"), int) or "request" not in value:
            raise ValueError("'status' or 'request' is missing")
        streamed = isinstance(value.get("events"), list)
        if not streamed and not isinstance(value.get("response"), dict):
            raise ValueError("'response' or 'events' is missing")
        call = Call(operation=value["operation"], deployment=value.get("deployment"), body=value["request"])
        answer = value["events" if streamed else "response"]
        return cls(call=call, status=value["status"], answer=answer, streamed=streamed)


def json_reply(status: int, body: Any) -> Reply:
    """Render a JSON response."""
    return Reply(status=status, content_type="application/json", content=one_line(body).encode())


def read_answer(question: Question, status: int, content_type: str, content: bytes) -> Entry:
    """Make the entry for a successful response, without volatile fields and secrets.

    Raises:
        ValueError: saying why the response is not an answer that could be replayed.
    """
    streamed = content_type.startswith(_STREAM)
    text = content.decode("utf-8")
    parts = read_events(text) if streamed else [parse(text)]
    if streamed and not _ended(parts):
        raise ValueError("its stream ended early")
    for part in parts:
        _check(part, streamed)
    kept = [scrub(_without_volatile(question.call, part), question.secrets) for part in parts]
    if spelled_in_pieces(kept, question.secrets):
        raise ValueError("its events spell a credential in pieces")
    return Entry(call=question.call, status=status, answer=kept if streamed else kept[0], streamed=streamed)


def _ended(events: list[Any]) -> bool:
    return bool(events) and (events[-1] == DONE or _type(events[-1]) in _LAST_EVENTS)


def _check(part: Any, streamed: bool) -> None:
    if streamed and part == DONE:
        return
    if not isinstance(part, dict):
        raise ValueError("it is not a JSON object")
    if part.get("error") or _type(part) == "error":
        raise ValueError("it is an error with a status of success")


def _type(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else None


def _without_volatile(call: Call, part: Any) -> Any:
    if call.operation not in _ID_PREFIX or not isinstance(part, dict):
        return part
    return {name: item for name, item in part.items() if name not in _VOLATILE}
