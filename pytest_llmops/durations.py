"""Durations as people write them: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``."""

from __future__ import annotations

import re

_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([wdhms])")


def parse_duration(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: for anything but a number and a unit.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit, such as 90s, 30m, 12h, 7d or 2w")
    return float(match[1]) * _UNITS[match[2]]


def format_duration(seconds: float) -> str:
    """Write a duration with the largest unit of which it is a whole number."""
    unit = next((unit for unit, size in _UNITS.items() if seconds >= size and seconds % size == 0), "s")
    return f"{seconds / _UNITS[unit]:g}{unit}"
