"""Exact texts of JSON values: two values have the same text only if no flow can tell them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def exact(value: object) -> str:
    """Render a value as JSON in which key order does not matter and everything else does.

    Unlike ``hashing.canonical``, which knows one kind of number as JSON does, it keeps ``1`` and ``1.0`` apart, because
    Python code that formats them does; and it has NaN and the infinities.

    Raises:
        TypeError: for a value, or a key, that JSON does not have.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def digest(*parts: str) -> str:
    """Return 128 bits of the SHA-256 of some texts, one after the other: short keys keep a large ledger fast."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is not a JSON key")
    return key
