"""Values that are nested too deeply for JSON: what reads and writes it, here and in reports, calls itself."""

from __future__ import annotations

from typing import Any

DEEPEST = 200
_NESTED = (dict, list, tuple)

TOO_DEEP = f"nested more than {DEEPEST} levels deep"


def is_too_deep(value: Any) -> bool:
    """Tell whether a value is nested more deeply than it can be handed on; one that contains itself is."""
    found = [(value, 0)]
    while found:
        item, depth = found.pop()
        if depth > DEEPEST:
            return True
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, _NESTED) else ()
        found += ((part, depth + 1) for part in inner if isinstance(part, _NESTED))
    return False
