"""JSON that gives back exactly what went in, or nothing."""

from __future__ import annotations

import json
import math
from typing import Any


def exact_json(value: Any) -> str | None:
    """Render a value as JSON, NaN and the infinities included; None where reading it would give another value.

    A tuple would come back as a list, a key of another type as text, an object not at all.
    """
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if _same(json.loads(text), value) else None


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)
