"""Strict JSON in, and JSON laid out for people who review a diff out."""

from __future__ import annotations

import json
import math
from typing import Any

WIDTH = 110


class Lines(list[Any]):
    """An array that is laid out with each item on a line of its own, however long: the events of a stream."""


def parse(text: str | bytes) -> Any:
    """Read strict JSON: NaN, infinities and numbers beyond double precision are a ValueError, as any bad JSON is."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def one_line(value: Any) -> str:
    """Render a JSON value on one line, readable in every script.

    Half a surrogate pair, which a model cut short may give and UTF-8 can't hold, becomes its JSON escape.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace").decode("utf-8")


def pretty(value: Any, indent: int = 0) -> str:
    """Render a JSON value over as many lines as it needs, and no more.

    What fits in one line stays on one, and so do lists of numbers (embeddings).
    """
    line = one_line(value)
    if not isinstance(value, (dict, list)) or len(line) + indent <= WIDTH or _all_numbers(value):
        return line
    inner = "\n" + " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{one_line(key)}: {pretty(item, indent + 2)}" for key, item in value.items()]
    else:
        items = [one_line(item) if isinstance(value, Lines) else pretty(item, indent + 2) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{inner}{f',{inner}'.join(items)}{inner[:-2]}{closing}"


def _all_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, (int, float)) for item in value)


def _refuse(token: str) -> float:
    raise ValueError(f"{token} is not JSON")


def _finite(token: str) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise ValueError(f"{token} is too large")
    return number
