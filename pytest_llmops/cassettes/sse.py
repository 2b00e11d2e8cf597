"""Server-sent events, as far as LLM streams use them."""

from __future__ import annotations

import re
from typing import Any

from pytest_llmops.cassettes.jsontext import one_line, parse

DONE = "[DONE]"
_NAME = re.compile(r"[a-z_.]+")
_LINE_END = re.compile(r"\r\n|\n|\r")


def read_events(text: str) -> list[Any]:
    """Return the data of each event: its JSON value, or its text (``[DONE]``). Comments and event names are left out.

    Raises:
        ValueError: when data is neither JSON nor the end mark.
    """
    events = []
    data: list[str] = []
    for line in [*_LINE_END.split(text), ""]:
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            whole = "\n".join(data)
            events.append(whole if whole == DONE else parse(whole))
            data = []
    return events


def render_events(events: list[Any]) -> bytes:
    """Render events as a stream. Events that say their own ``type``, as the Responses API's do, are named after it."""
    return b"".join(map(_render, events))


def _render(event: Any) -> bytes:
    named = _NAME.fullmatch(str(event.get("type"))) if isinstance(event, dict) and "type" in event else None
    name = f"event: {named[0]}\n" if named else ""
    return f"{name}data: {event if event == DONE else one_line(event)}\n\n".encode()
