"""Shares of an endpoint's traffic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.deployment.traffic import first_share, given_back, in_words, restored, steps
from pytest_llmops.records.deployment import Traffic

NAMES = ("blue", "canary", "green", "old")


def divided(names: list[str], cuts: list[int]) -> Traffic:
    """Divide 100 percent at the cuts."""
    edges = [0, *sorted(cuts), 100]
    return {name: high - low for name, low, high in zip(names, edges, edges[1:], strict=False)}


TRAFFIC = st.lists(st.sampled_from(NAMES), min_size=1, unique=True).flatmap(
    lambda names: st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1).map(
        lambda cuts: divided(names, cuts)
    )
)
NO_TRAFFIC: Traffic = {}


@given(st.just(NO_TRAFFIC) | TRAFFIC, st.integers(0, 100), st.sampled_from(["", "blue", "gone"]))
def test_shares_always_add_up_and_the_deployment_has_its_own(current: Traffic, percent: int, prior: str) -> None:
    after = first_share(current, "new", percent, prior)

    assert sum(after.values()) == (100 if after else 0)
    assert all(share > 0 for share in after.values())
    if current or prior:
        assert after.get("new", 0) == percent
    assert set(after) <= ({"new", prior} if prior else {"new", *current})


@given(TRAFFIC, st.integers(0, 99))
def test_nobody_gets_more_than_a_percent_beside_the_exact_share(current: Traffic, percent: int) -> None:
    after = first_share(current, "new", percent)

    for name, share in current.items():
        assert abs(after.get(name, 0) - share * (100 - percent) / 100) < 1


@given(TRAFFIC, st.lists(st.integers(1, 100), min_size=1, unique=True).map(sorted))
def test_each_step_gives_the_deployment_more_than_the_one_before(current: Traffic, percents: list[int]) -> None:
    shares = [traffic["new"] for traffic in steps(current, "new", percents)]

    assert shares == percents


@given(TRAFFIC, st.sets(st.sampled_from(NAMES)))
def test_restored_traffic_is_among_those_who_had_it_and_are_there(before: Traffic, present: set[str]) -> None:
    after = restored(before, present)

    assert set(after) <= present & {name for name, share in before.items() if share}
    assert sum(after.values()) == (100 if any(before.get(name) for name in present) else 0)
    assert restored(before, NAMES) == {name: share for name, share in before.items() if share}


@given(TRAFFIC, st.integers(1, 100))
def test_taking_a_share_back_gives_what_was_there(before: Traffic, percent: int) -> None:
    during = first_share(before, "new", percent)

    assert restored(before, [*before, *during]) == {name: share for name, share in before.items() if share}


@given(TRAFFIC, TRAFFIC, st.sets(st.sampled_from(NAMES)))
def test_traffic_given_back_takes_nothing_from_those_who_came_since(
    current: Traffic, before: Traffic, present: set[str]
) -> None:
    before = {name: share for name, share in before.items() if name != "green"}
    after = given_back(current, "green", before, present)

    since = {name for name, share in current.items() if share and name != "green" and not before.get(name)}
    assert "green" not in after
    assert all(after[name] >= current[name] for name in since)
    assert set(after) <= since | (present & set(before))
    assert sum(after.values()) == (100 if since or any(before.get(name) for name in present) else 0)


@given(TRAFFIC, st.integers(1, 100))
def test_traffic_given_back_is_what_was_there_where_nobody_came_since(before: Traffic, percent: int) -> None:
    during = first_share(before, "new", percent)

    assert given_back(during, "new", before, NAMES) == {name: share for name, share in before.items() if share}


@pytest.mark.parametrize(
    ("current", "percent", "prior", "expected"),
    [
        ({"blue": 100}, 10, "", {"blue": 90, "new": 10}),
        ({"blue": 70, "green": 30}, 10, "", {"blue": 63, "green": 27, "new": 10}),
        ({"blue": 50, "green": 50}, 1, "", {"blue": 50, "green": 49, "new": 1}),
        ({"blue": 70, "green": 30}, 10, "green", {"green": 90, "new": 10}),
        ({"blue": 90, "new": 10}, 50, "", {"blue": 50, "new": 50}),
        ({"blue": 90, "new": 10}, 0, "", {"blue": 100}),
        ({"blue": 100, "off": 0}, 10, "off", {"off": 90, "new": 10}),
        ({"blue": 100}, 100, "blue", {"new": 100}),
        ({}, 10, "", {"new": 100}),
        ({"new": 100}, 10, "", {"new": 100}),
        ({"new": 100}, 0, "", {}),
    ],
)
def test_a_share(current: Traffic, percent: int, prior: str, expected: Traffic) -> None:
    assert first_share(current, "new", percent, prior) == expected


@pytest.mark.parametrize(
    ("percent", "prior", "message"),
    [
        (101, "", "101 is no share in percent"),
        (-1, "", "-1 is no share in percent"),
        (10, "new", "new can't share its traffic with itself"),
    ],
)
def test_shares_that_can_not_be(percent: int, prior: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        first_share({"blue": 100}, "new", percent, prior)


def test_the_first_deployment_gets_everything_at_its_first_step() -> None:
    assert steps({}, "new", [10, 50, 100]) == [{"new": 100}]


def test_steps_that_are_done_already_are_left_out() -> None:
    assert steps({"blue": 50, "new": 50}, "new", [10, 50, 100]) == [{"new": 100}]
    assert steps({"new": 100}, "new", [10, 50]) == []


def test_steps_do_not_add_up_their_rounding() -> None:
    assert steps({"a": 34, "b": 33, "c": 33}, "new", [1, 2, 3])[-1] == first_share(
        {"a": 34, "b": 33, "c": 33}, "new", 3
    )


def test_traffic_in_words() -> None:
    assert in_words({"green": 10, "blue": 90, "off": 0}) == "blue 90 %, green 10 %"
    assert in_words({"b": 50, "a": 50}) == "a 50 %, b 50 %"
    assert in_words({"off": 0}) == "no traffic"
