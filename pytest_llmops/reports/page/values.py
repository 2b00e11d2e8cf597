"""Values as the page holds them: JSON values of bounded size and depth, with all text in them visible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pytest_llmops.hashing import digest
from pytest_llmops.records.encoding import to_json
from pytest_llmops.reports.text import visible

LONGEST = 20_000
"""Characters of one text."""

MOST = 200
"""Items of one list, or of one mapping, that a flow made."""

DEEPEST = 50
"""Levels of nesting. Python can't write some hundreds of them."""

_EXACT = 2**53
_REST = "in results.json"


def shown(value: Any, *, longest: int = LONGEST, most: int | None = None) -> Any:
    """Turn any value, records included, into JSON values that a browser shows as they are.

    Texts of more than ``longest`` characters, lists and mappings of more than ``most`` items, and what is nested too
    deeply, are cut and say so. Whole numbers that a browser would round become text.
    """
    return _shown(value, longest, most, DEEPEST)


def _shown(value: Any, longest: int, most: int | None, levels: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, longest)
    if value is None or kind is bool or (kind is float and math.isfinite(value)):
        return value
    if kind is int:
        return value if -_EXACT <= value <= _EXACT else str(value)
    if kind is dict or kind is list or kind is tuple:
        return _items(value, longest, most, levels)
    return _unusual(value, longest, most, levels)


def _items(value: Any, longest: int, most: int | None, levels: int) -> Any:
    if not levels:
        return f"… (what is nested more deeply is {_REST})"
    cut = most is not None and len(value) > most
    note = f"({len(value):,} items, {_mark(to_json(value))}; all of them are {_REST})" if cut else ""
    if type(value) is dict:
        pairs = list(value.items())[:most] if cut else value.items()
        known = {_text(str(key), longest): _shown(item, longest, most, levels - 1) for key, item in pairs}
        return {**known, "…": note} if cut else known
    items = [_shown(item, longest, most, levels - 1) for item in (value[:most] if cut else value)]
    return [*items, f"… {note}"] if cut else items


def _unusual(value: Any, longest: int, most: int | None, levels: int) -> Any:
    """Turn what only Python has into JSON values, and no more of it at once than is looked at."""
    if isinstance(value, Mapping):
        return _items(dict(value), longest, most, levels)
    if isinstance(value, (list, tuple)):
        return _items(list(value), longest, most, levels)
    if isinstance(value, str):
        return _text(str.__str__(value), longest)
    encoded = to_json(value)
    return encoded if isinstance(encoded, (int, float)) else _shown(encoded, longest, most, levels)


def _text(text: str, longest: int) -> str:
    if len(text) <= longest:
        return visible(text)
    return f"{visible(text[:longest])}… ({len(text):,} characters, {_mark(text)}; all of them are {_REST})"


def _mark(value: Any) -> str:
    """Name a value by its digest, so that two which differ only in what is cut are not taken for the same."""
    return f"SHA-256 {digest(value)[:8]}…"
