"""How many LLM calls may be under way at once: fewer after a refusal, more again after successes.

Additive increase, multiplicative decrease (AIMD), the rule by which TCP shares a line whose capacity nobody knows.
Nothing here reads a clock: times are passed in, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_MOST_PATIENCE = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call tells about the service's capacity: ``refused`` is a 429, ``unknown`` tells nothing.

    ``pause`` is for how many seconds from now the service wants no more calls.
    """

    kind: Literal["succeeded", "refused", "unknown"]
    pause: float = 0.0


SUCCEEDED = Outcome("succeeded")
UNKNOWN = Outcome("unknown")


class AdaptiveLimit:
    """A limit between 1 and ``most``, where it starts.

    A refusal halves it, at most once per *round*: the calls that were under way when it fell say nothing new. As many
    successes in a row as the limit is high raise it by one. At the height of the last fall it takes more of them,
    twice as many after each fall, until the limit holds there: so a service that refuses for good what is beyond its
    capacity is probed more and more rarely.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"the limit on concurrent LLM calls is {most}; it must be at least 1")
        self.most = most
        self.current = most
        self.round = 0
        self.resume_at = -math.inf
        self._successes = 0
        self._fell_from = most
        self._patience = 1

    def allows(self, under_way: int, now: float) -> bool:
        """Tell whether a call may start while this many are under way."""
        return under_way < self.current and now >= self.resume_at

    def report(self, outcome: Outcome, started_in: int, now: float) -> None:
        """Take in the outcome of a call, which started in the given round."""
        if outcome.kind == "refused":
            self.resume_at = max(self.resume_at, now + outcome.pause)
            if started_in == self.round:
                self._fall()
        elif outcome.kind == "succeeded" and started_in == self.round:
            self._successes += 1
            if self._successes >= self._needed():
                self._rise()

    def _fall(self) -> None:
        self.round += 1
        self._successes = 0
        self._fell_from = self.current
        self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self.current = max(1, self.current // 2)

    def _needed(self) -> int:
        return self.current * (self._patience if self.current == self._fell_from - 1 else 1)

    def _rise(self) -> None:
        self._successes = 0
        if self.current >= self._fell_from:
            self._patience = 1
        self.current = min(self.current + 1, self.most)
