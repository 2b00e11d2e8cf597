"""Which failures are tried again, after how long, and what is said when that ends."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.throttle.retries import LONGEST, Failure, RetryPolicy, read_failure, retry_after

NOW = 1_700_000_000.0
TEXT = st.one_of(
    st.text(max_size=30), st.sampled_from(["nan", "inf", "-inf", "1e400", "-5", "0", formatdate(2**37, usegmt=True)])
)


def failure(status: int = 429, body: str = "", **headers: str) -> Failure | None:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return read_failure(status, named, body.encode(), now=NOW)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_want_of_capacity_and_faults_of_the_service_are_tried_again(status: int) -> None:
    found = failure(status)
    assert found is not None
    assert not found.final


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 413, 422])
def test_answers_and_mistakes_of_the_request_are_not(status: int) -> None:
    assert failure(status) is None


@pytest.mark.parametrize(
    ("status", "header", "found", "final"),
    [(400, "true", True, False), (200, "true", False, False), (503, "false", True, True), (400, "false", False, False)],
)
def test_the_service_may_decide_itself(status: int, header: str, found: bool, final: bool) -> None:
    problem = failure(status, x_should_retry=header)
    assert (problem is not None) == found
    assert bool(problem and problem.final) == final


@pytest.mark.parametrize("key", ["type", "code"])
def test_a_used_up_quota_is_final(key: str) -> None:
    found = failure(
        429, json.dumps({"error": {"message": "You exceeded your current quota", key: "insufficient_quota"}})
    )
    assert found is not None
    assert found.final
    assert RetryPolicy(5).wait(found, attempts=1, spent=0, draw=0.5) is None
    message = RetryPolicy(5).explain(found, attempts=1, spent=0.2)
    assert message == "429 You exceeded your current quota; the service rules out another attempt"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.05"}, 0.05),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": formatdate(NOW + 20, usegmt=True)}, 20.0),
        ({"retry-after": formatdate(NOW - 20, usegmt=True)}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_the_time_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


@given(TEXT, TEXT)
def test_any_header_gives_a_time_to_come_or_none(milliseconds: str, seconds: str) -> None:
    found = retry_after({"retry-after-ms": milliseconds, "retry-after": seconds}, now=NOW)
    assert found is None or 0 < found < float("inf")


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 2 * LONGEST), st.none() | st.floats(0.001, 1000))
def test_waits_are_bounded(attempts: int, draw: float, spent: float, asked: float | None) -> None:
    problem = Failure(status=503, said="overloaded", retry_after=asked)
    wait = RetryPolicy(10_000).wait(problem, attempts=attempts, spent=spent, draw=draw)
    if wait is None:
        assert spent + (asked or 30) > LONGEST
    else:
        assert spent + wait <= LONGEST
        assert wait == asked or (asked is None and 0 <= wait <= 30 and wait == draw * min(30, 2 ** (attempts - 1)))


@given(st.integers(0, 20), st.integers(1, 40))
def test_attempts_are_bounded(retries: int, attempts: int) -> None:
    wait = RetryPolicy(retries).wait(Failure(status=500, said=""), attempts=attempts, spent=0, draw=0.1)
    assert (wait is None) == (attempts > retries)


@pytest.mark.parametrize(
    ("problem", "attempts", "message"),
    [
        (
            Failure(status=429, said="Too many requests"),
            6,
            "gave up after 6 attempts in 31 s: 429 Too many requests; "
            "raise --llmops-llm-retries or lower --llmops-concurrency",
        ),
        (Failure(status=503, said="busy"), 6, "gave up after 6 attempts in 31 s: 503 busy; raise --llmops-llm-retries"),
        (
            Failure(status=429, said="come back tomorrow", retry_after=86400.0),
            1,
            "gave up after 1 attempt in 31 s: 429 come back tomorrow; "
            "the service asks to wait 86400 s; a call may take 300 s in all",
        ),
    ],
)
def test_the_end_is_explained(problem: Failure, attempts: int, message: str) -> None:
    assert RetryPolicy(5).explain(problem, attempts=attempts, spent=31.2) == message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "slow\\n  down"}}', "slow down"),
        ('{"message": "slow down"}', "slow down"),
        ('{"error": "slow down"}', '{"error": "slow down"}'),
        ("<html>\nBad   gateway", "<html> Bad gateway"),
        ("", "Too Many Requests"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_what_the_service_said_is_one_short_line(body: str, said: str) -> None:
    found = failure(429, body)
    assert found is not None
    assert found.said == said
    assert str(found) == f"429 {said}"


def test_a_status_without_a_name_needs_no_message() -> None:
    assert str(failure(599)) == "599 (no message)"
