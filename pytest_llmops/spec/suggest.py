"""Words for messages: hints at what was meant, and values as people read them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date

_SHOWN = 12


def suggest(word: str, options: Iterable[str], known: str) -> str:
    """Name the option nearest to ``word``, or list what there is, introduced by ``known`` (``its inputs``)."""
    options = list(options)
    return did_you_mean(word, options) or f"{known}: {listing(options)}"


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Name the option nearest to ``word``; empty where none is near."""
    by_folded = {option.casefold(): option for option in options if option != word}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return f"did you mean {by_folded[near[0]]!r}?" if near else ""


def listing(words: Iterable[str]) -> str:
    """Quote words and join them by commas, the first dozen of them."""
    quoted = [repr(word) for word in words]
    more = f" and {len(quoted) - _SHOWN} more" if len(quoted) > _SHOWN else ""
    return (", ".join(quoted[:_SHOWN]) + more) or "none"


def short(value: object, limit: int = 60) -> str:
    """Show a value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def printable(name: str) -> str:
    """Show a name as it is, quoted where it would break the line of a message."""
    return name if name.isprintable() else repr(name)


def count(rows: int) -> str:
    """Say how many rows there are."""
    return "1 row" if rows == 1 else f"{rows} rows"


def describe(value: object) -> str:
    """Say what YAML made of a value, for people who meant something else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, date):
        return f"the date {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    return {list: "a list", dict: "a mapping", type(None): "empty"}.get(type(value), type(value).__name__)
