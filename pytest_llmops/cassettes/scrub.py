"""Secrets out of what is written to disk or shown to people."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MARK = "<removed>"
# Shorter values are placeholders ("none", "EMPTY", "test"), which occur in ordinary text.
_SHORTEST_SECRET = 8
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|organization|project", re.IGNORECASE)


def secrets_of(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the credentials that request headers carry, longest first: ``X`` of ``Authorization: Bearer X``."""
    words = {word for name, value in headers if _SECRET_HEADER.search(name) for word in value.split()}
    return tuple(sorted((word for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True))


def scrub(value: Any, secrets: tuple[str, ...]) -> Any:
    """Replace every secret in every string of a JSON value, keys included."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MARK)
        return value
    if isinstance(value, list):
        return [scrub(item, secrets) for item in value]
    if isinstance(value, Mapping):
        return {scrub(key, secrets): scrub(item, secrets) for key, item in value.items()}
    return value


def spelled_in_pieces(events: Iterable[Any], secrets: tuple[str, ...]) -> bool:
    """Tell whether a stream's events spell a secret together that none of them holds alone."""
    joined: dict[str, str] = defaultdict(str)
    for event in events:
        for path, value in leaves(event):
            joined[path] += value if isinstance(value, str) else ""
    return any(secret in text for secret in secrets for text in joined.values())


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each scalar and empty container of a JSON value with its path, as in ``messages[1].content``."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{number}]")
    else:
        yield path, value
