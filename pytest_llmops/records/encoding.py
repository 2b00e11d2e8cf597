"""Records as JSON text, for processes, files and reports."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

_PLAIN = frozenset({str, int, bool})


def to_json(value: Any) -> Any:
    """Turn records into JSON values: dataclasses to objects, tuples to arrays, paths to posix text.

    JSON has no NaN and no infinities: they become the strings ``NaN``, ``Infinity`` and ``-Infinity``, which no
    reader can mistake for a number. Anything else that JSON lacks becomes its ``str``.
    """
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name)) for name in _names(type(value))}
    return _unusual(value)


def _unusual(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, PurePath):
        return value.as_posix()
    return value if isinstance(value, (str, bool, int, float)) else str(value)


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Render records as strict JSON text."""
    return json.dumps(to_json(value), ensure_ascii=False, allow_nan=False, indent=indent)
