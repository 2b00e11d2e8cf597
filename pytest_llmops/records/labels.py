"""Values of data as text: by it rows are named, and grouped."""

from __future__ import annotations

import json


def as_label(value: object) -> str:
    """Return a value's text: text as it is, anything else as JSON. What is missing, or null, is the empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
