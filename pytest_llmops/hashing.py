"""Content addressing: JSON values to one canonical text, and that text to a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_EXACT_INTEGERS = 2**53


def canonical(value: object) -> str:
    """Render a JSON value as the one text that stands for it, whatever its key order and spelling of numbers.

    Keys are sorted, nothing is indented, text beyond ASCII is escaped, and ``1.0`` is ``1``, as JSON has one kind of
    number. Tuples count as arrays.

    Raises:
        TypeError: for a value, or a key, that JSON does not have.
        ValueError: for NaN and the infinities.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON value's canonical text, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGERS:
        return int(value)
    return value


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is not a JSON key")
    return key
