"""Threshold rules: text such as ``>= 0.8`` or ``{min: 0.8}``, parsed once and compared many times."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RULE = re.compile(rf"\s*(>=|<=|==|>|<)\s*({_NUMBER})\s*(%)?\s*")
GRAMMAR = "write '>= 0.8', '<= 20000', '> 0', '< 5', '== 1', '>= 80 %', or {min: 0.8, max: 1}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A closed or open range. ``text`` is the rule as people read it."""

    text: str
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

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
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a rule; {GRAMMAR}")
    match = _RULE.fullmatch(raw)
    if match is None:
        raise ValueError(f"{raw!r} is not a rule; {GRAMMAR}")
    operator, number, percent = match.groups()
    bound = float(number) / (100 if percent else 1)
    text = f"{operator} {number}{' %' if percent else ''}"
    if operator == "==":
        return Rule(text, low=bound, high=bound)
    if operator.startswith(">"):
        return Rule(text, low=bound, low_open=operator == ">")
    return Rule(text, high=bound, high_open=operator == "<")


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
