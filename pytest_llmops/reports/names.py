"""File names made from names in experiment files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from pytest_llmops.hashing import digest

_UNSAFE = re.compile(r"[^\w. -]+")
_LONGEST = 80


def file_names(wanted: Mapping[str, str]) -> dict[str, str]:
    """Give each key a file name close to the name it wants, safe on every system and different from all others.

    Names that would fall together, also where only case differs, get a digest of their key, whatever their order.
    """
    safe = {key: _safe(name) for key, name in wanted.items()}
    times = Counter(name.casefold() for name in safe.values())
    return {key: name if times[name.casefold()] == 1 else f"{name}-{digest(key)[:8]}" for key, name in safe.items()}


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)[:_LONGEST].strip(". ") or "unnamed"
