"""What a benchmark finds out: times, their ratio, and the figures that are printed and documented."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

REPETITIONS = 3
_LONG = 30.0
"""Seconds from which on a contestant is measured once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. ``reached`` is None where there is no target, or nothing could be measured."""

    name: str
    against: str
    result: str
    spread: str = ""
    target: str = ""
    reached: bool | None = None

    @property
    def line(self) -> str:
        """The figure as text for a terminal."""
        notes = [f"{what} {text}" for what, text in (("against", self.against), ("spread", self.spread)) if text]
        if self.target:
            notes.append(f"target {self.target}{', missed' if self.reached is False else ''}")
        return f"{self.name}: {self.result} ({', '.join(notes)})"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says. ``quick`` asks for a small trial, whose figures mean little."""

    quick: bool = False

    @property
    def repetitions(self) -> int:
        """How often each contestant is measured."""
        return 1 if self.quick else REPETITIONS


def alternately(contestants: Mapping[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """Measure contestants in turn, those that take long only once, and return what each took in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(times):
        for name, contestant in contestants.items():
            if max(taken[name], default=0.0) < _LONG:
                taken[name].append(contestant())
    return taken


def ratio(
    name: str, against: str, ours: Sequence[float], theirs: Sequence[float], *, target: float | None = None
) -> Figure:
    """Say how many times faster we are: ratio of the medians, and its extremes."""
    value = median(theirs) / median(ours)
    lowest, highest = min(theirs) / max(ours), max(theirs) / min(ours)
    return Figure(
        name=name,
        against=against,
        result=f"{number(value)}x",
        spread=f"{number(lowest)}x to {number(highest)}x" if len(ours) + len(theirs) > 2 else "",
        target="" if target is None else f"at least {target:g}x",
        reached=None if target is None else value >= target,
    )


def at_most(
    name: str, against: str, values: Sequence[float], *, unit: str, target: float, digits: int | None = None
) -> Figure:
    """Say what something costs: the median, and the extremes."""

    def text(value: float) -> str:
        return f"{number(value) if digits is None else format(value, f'.{digits}f')}{unit}"

    return Figure(
        name=name,
        against=against,
        result=text(median(values)),
        spread=f"{text(min(values))} to {text(max(values))}" if len(values) > 1 else "",
        target=f"at most {target:g}{unit}",
        reached=median(values) <= target,
    )


def number(value: float) -> str:
    """Write a number with two digits, or all of its whole ones."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"
