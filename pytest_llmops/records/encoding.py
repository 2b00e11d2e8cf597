"""Records as JSON text, for processes, files and reports."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any


def to_json(value: Any) -> Any:
    """Turn records into JSON values: dataclasses to objects, tuples to arrays, paths to posix text.

    JSON has no NaN and no infinities: they become the strings ``NaN``, ``Infinity`` and ``-Infinity``, which no
    reader can mistake for a number. Anything else that JSON lacks becomes its ``str``.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Render records as strict JSON text."""
    return json.dumps(to_json(value), ensure_ascii=False, allow_nan=False, indent=indent)
