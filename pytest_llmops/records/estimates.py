"""What statistics say of a metric: how sure its value is, and how it compares with another one."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmops.records.experiment import Better


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided confidence interval. ``level`` is its coverage, such as 0.95; ``method`` names how it was found."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A metric against its baseline, on the rows that both have. All values are in the metric's own units.

    ``value`` and ``baseline`` are the metric on the common rows, ``delta`` the first less the second. ``interval`` is
    two-sided, so each of its ends is a one-sided bound of half the risk. ``p_value`` is one-sided: how probable so much
    worse a result is where nothing changed; ``adjusted_p`` the same after Holm's correction over the family of
    comparisons. Both and the interval are None where too few rows, or no scores of rows, support a claim. ``n`` is the
    number of common rows, or of clusters of them where rows are clustered. ``worse`` and ``better`` name the rows whose
    score changed; ``added``, ``removed`` and ``changed`` those that only one side has, or with another content.
    ``direction`` is the one in which the metric gets better. ``with_flow`` is true where a candidate is compared with
    the flow itself.
    """

    name: str
    value: float
    baseline: float
    delta: float
    n: int
    interval: Interval | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    test: str = ""
    direction: Better = "higher"
    worse: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    with_flow: bool = False

    @property
    def bound(self) -> float | None:
        """How bad the delta may be: the end of its interval on the worse side."""
        if self.interval is None:
            return None
        return self.interval.low if self.direction == "higher" else self.interval.high


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceScore:
    """A metric over those rows whose ``column`` has one ``value``, with its interval if there is one."""

    column: str
    value: str
    score: float
    n: int
    interval: Interval | None = None
