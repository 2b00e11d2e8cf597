"""The adaptive limit, for any history of calls."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.throttle.limit import SUCCEEDED, UNKNOWN, AdaptiveLimit, Outcome

REFUSED = Outcome("refused")
MOST = st.integers(1, 40)
OUTCOMES = st.one_of(
    st.just(SUCCEEDED), st.just(UNKNOWN), st.builds(Outcome, st.just("refused"), st.floats(0, 100, allow_nan=False))
)
HISTORY = st.lists(st.tuples(OUTCOMES, st.integers(0, 3), st.floats(0, 5, allow_nan=False)), max_size=200)
"""Outcomes with the age of the call in rounds, and the seconds since the one before."""


def after(most: int, history: list[tuple[Outcome, int, float]]) -> tuple[AdaptiveLimit, float]:
    limit, now = AdaptiveLimit(most), 0.0
    for outcome, age, later in history:
        now += later
        limit.report(outcome, limit.round - age, now)
    return limit, now


def succeed(limit: AdaptiveLimit, times: int) -> None:
    for _ in range(times):
        limit.report(SUCCEEDED, limit.round, 0)


@given(MOST, HISTORY)
def test_the_limit_stays_between_one_and_what_was_configured(
    most: int, history: list[tuple[Outcome, int, float]]
) -> None:
    limit, _ = after(most, history)
    assert 1 <= limit.current <= most


@given(MOST, HISTORY)
def test_the_limit_comes_back_to_what_was_configured(most: int, history: list[tuple[Outcome, int, float]]) -> None:
    limit, _ = after(most, history)
    succeed(limit, 64 * most * most)
    assert limit.current == most


@given(MOST, HISTORY, st.floats(0, 100, allow_nan=False))
def test_no_call_starts_while_the_service_wants_none(
    most: int, history: list[tuple[Outcome, int, float]], pause: float
) -> None:
    limit, now = after(most, history)
    limit.report(Outcome("refused", pause), limit.round, now)
    assert limit.allows(0, now) == (limit.resume_at <= now)
    assert limit.resume_at >= now + pause
    assert limit.allows(0, limit.resume_at)
    assert limit.allows(limit.current - 1, limit.resume_at)
    assert not limit.allows(limit.current, limit.resume_at)


@given(MOST, HISTORY, st.integers(1, 20))
def test_a_round_of_refusals_halves_the_limit_once(
    most: int, history: list[tuple[Outcome, int, float]], refusals: int
) -> None:
    limit, now = after(most, history)
    before, started_in = limit.current, limit.round
    for _ in range(refusals):
        limit.report(REFUSED, started_in, now)
    assert limit.current == max(1, before // 2)


def test_an_earlier_pause_is_never_shortened() -> None:
    limit = AdaptiveLimit(4)
    limit.report(Outcome("refused", 30.0), limit.round, 0.0)
    limit.report(Outcome("refused", 1.0), limit.round, 10.0)
    assert limit.resume_at == 30.0


def test_successes_raise_the_limit_step_by_step() -> None:
    limit = AdaptiveLimit(16)
    limit.report(REFUSED, limit.round, 0)
    assert limit.current == 8
    succeed(limit, 7)
    assert limit.current == 8
    succeed(limit, 1)
    assert limit.current == 9


def test_successes_of_calls_from_before_the_fall_say_nothing() -> None:
    limit = AdaptiveLimit(16)
    limit.report(REFUSED, limit.round, 0)
    for _ in range(100):
        limit.report(SUCCEEDED, limit.round - 1, 0)
    assert limit.current == 8


def test_a_service_of_fixed_capacity_is_probed_more_and_more_rarely() -> None:
    limit, capacity, refusals = AdaptiveLimit(16), 5, []
    for call in range(5000):
        beyond = limit.current > capacity
        limit.report(REFUSED if beyond else SUCCEEDED, limit.round, 0)
        refusals.extend([call] * beyond)
    assert len(refusals) < 30
    assert sum(call >= 2500 for call in refusals) < 10


@pytest.mark.parametrize("most", [0, -3])
def test_a_limit_below_one_is_refused(most: int) -> None:
    message = f"the limit on concurrent LLM calls is {most}; it must be at least 1"
    with pytest.raises(ValueError, match=re.escape(message)):
        AdaptiveLimit(most)
