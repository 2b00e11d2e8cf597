"""The contexts of what is kept, so that a miss can be explained by what is different."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.ledger.context import Context
from pytest_llmops.ledger.exact import digest, exact


def add(connection: sqlite3.Connection, key: str, context: Context, now: float) -> None:
    """Keep a context, if it is not kept already."""
    ingredients = exact(context.ingredients)
    connection.execute(
        "INSERT INTO contexts (key, label, used, ingredients, checksum) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET used = excluded.used",
        (key, context.label, now, ingredients, digest(key, ingredients)),
    )


def with_label(connection: sqlite3.Connection, label: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield keys and ingredients of all contexts with a label, the last used first."""
    query = "SELECT key, ingredients, checksum FROM contexts WHERE label = ? ORDER BY used DESC"
    for key, ingredients, checksum in connection.execute(query, (label,)):
        if checksum == digest(key, ingredients):
            yield key, json.loads(ingredients)
