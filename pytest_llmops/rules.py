"""Threshold rules: text such as ``>= 0.8`` or ``<= 3 s``, or ``{min: 0.8}``, parsed once and compared many times."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Unit = Literal["", "%", "s"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BOUND = re.compile(rf"\s*(>=|<=|==|>|<)\s*({_NUMBER})\s*(%|ms|s|minutes|min|m)?\s*")
_AND = re.compile(r"\sand\s")
# What is written after the number: its kind, and the factor and divisor that make seconds, or a share, of it.
_UNITS: dict[str, tuple[Unit, int, int]] = {
    "": ("", 1, 1),
    "%": ("%", 1, 100),
    "ms": ("s", 1, 1000),
    "s": ("s", 1, 1),
    **dict.fromkeys(("m", "min", "minutes"), ("s", 60, 1)),
}
GRAMMAR = "write '>= 0.8', '< 5', '== 1', '>= 80 %', '<= 3 s', '>= 0.7 and <= 0.9', or {min: 0.8, max: 1}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A closed or open range. ``text`` is the rule as people read it.

    ``unit`` tells how it was written: as a plain number, as a percentage (``low`` and ``high`` are shares then), or as
    a duration (``low`` and ``high`` are seconds then).
    """

    text: str
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    unit: Unit = ""

    @property
    def only_high(self) -> bool:
        """Whether there is an upper bound alone."""
        return math.isinf(self.low) and not math.isinf(self.high)

    def accepts(self, value: float) -> bool:
        """Tell whether a finite value is inside the range."""
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def shortfall(self, value: float) -> float:
        """How far a value lies outside the range (0 inside)."""
        return max(self.low - value, value - self.high, 0.0)


ANY = Rule("")
"""The rule that every value satisfies: of what is only compared with a baseline, or row by row."""


def parse_rule(raw: object) -> Rule:
    """Read a rule from its text, or from a mapping with ``min`` and ``max``.

    Raises:
        ValueError: with a message for the user, where the rule can't be read or no number could satisfy it.
    """
    if isinstance(raw, Mapping):
        return _from_range(raw)
    parts = _AND.split(raw) if isinstance(raw, str) else []
    rules = [rule for rule in map(_from_bound, parts) if rule is not None]
    if len(rules) == len(parts) == 1:
        return rules[0]
    if len(rules) == len(parts) == 2:
        low, high = sorted(rules, key=lambda rule: rule.only_high)
        if high.only_high and math.isinf(low.high):
            return _between(low, high)
    raise ValueError(f"{raw!r} is not a rule; {GRAMMAR}")


def _from_bound(part: str) -> Rule | None:
    match = _BOUND.fullmatch(part)
    if match is None:
        return None
    operator, number, written = match[1], match[2], match[3] or ""
    unit, factor, divisor = _UNITS[written]
    bound = float(number) * factor / divisor
    if not math.isfinite(bound):
        return None
    text = f"{operator} {number}{' ' if written else ''}{written}"
    if operator == "==":
        return Rule(text, low=bound, high=bound, unit=unit)
    if operator.startswith(">"):
        return Rule(text, low=bound, low_open=operator == ">", unit=unit)
    return Rule(text, high=bound, high_open=operator == "<", unit=unit)


def _between(low: Rule, high: Rule) -> Rule:
    text = f"{low.text} and {high.text}"
    if low.unit != high.unit:
        raise ValueError(f"'{text}' has two units; write both bounds in the same one")
    if low.low > high.high or (low.low == high.high and (low.low_open or high.high_open)):
        raise ValueError(f"no value can be '{text}'; correct the bounds")
    return replace(low, text=text, high=high.high, high_open=high.high_open)


def _from_range(raw: Mapping[Any, Any]) -> Rule:
    bounds = {key: raw[key] for key in ("min", "max") if raw.get(key) is not None}
    if not bounds:
        raise ValueError(f"a rule needs 'min' or 'max'; {GRAMMAR}")
    for key, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not math.isfinite(bound):
            raise ValueError(f"'{key}' is {bound!r}, not a finite number")
    low, high = bounds.get("min", -math.inf), bounds.get("max", math.inf)
    if low > high:
        raise ValueError(f"min {low} is above max {high}: no value can satisfy it")
    text = " and ".join(f"{sign} {bounds[key]}" for key, sign in (("min", ">="), ("max", "<=")) if key in bounds)
    return Rule(text, low=low, high=high)
