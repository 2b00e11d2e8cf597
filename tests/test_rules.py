"""Threshold rules."""

from __future__ import annotations

import math
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.rules import Rule, parse_rule

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (">= 0.8", Rule(">= 0.8", low=0.8)),
        (">=.8", Rule(">= .8", low=0.8)),
        ("<= 20000", Rule("<= 20000", high=20000)),
        ("> 0", Rule("> 0", low=0, low_open=True)),
        ("< 5", Rule("< 5", high=5, high_open=True)),
        ("== 1", Rule("== 1", low=1, high=1)),
        (">= 80 %", Rule(">= 80 %", low=0.8, unit="%")),
        ("<= 3 s", Rule("<= 3 s", high=3, unit="s")),
        ("<1500ms", Rule("< 1500 ms", high=1.5, high_open=True, unit="s")),
        ("<= 0.5 min", Rule("<= 0.5 min", high=30, unit="s")),
        ("<= 2 minutes", Rule("<= 2 minutes", high=120, unit="s")),
        ("<= 2m", Rule("<= 2 m", high=120, unit="s")),
        (">= 0.7 and <= 0.9", Rule(">= 0.7 and <= 0.9", low=0.7, high=0.9)),
        ("<0.9  and  >.7", Rule("> .7 and < 0.9", low=0.7, high=0.9, low_open=True, high_open=True)),
        (">= 500 ms and <= 1 min", Rule(">= 500 ms and <= 1 min", low=0.5, high=60, unit="s")),
        (">= 1 and <= 1", Rule(">= 1 and <= 1", low=1, high=1)),
        ({"min": 0.8}, Rule(">= 0.8", low=0.8)),
        ({"min": 0.5, "max": 1}, Rule(">= 0.5 and <= 1", low=0.5, high=1)),
    ],
)
def test_rules_are_read(raw: object, rule: Rule) -> None:
    assert parse_rule(raw) == rule


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            "0.8",
            "'0.8' is not a rule; write '>= 0.8', '< 5', '== 1', '>= 80 %', '<= 3 s', '>= 0.7 and <= 0.9', "
            "or {min: 0.8, max: 1}",
        ),
        (0.8, "0.8 is not a rule; write '>= 0.8'"),
        ("=> 0.8", "'=> 0.8' is not a rule"),
        (">= nan", "'>= nan' is not a rule"),
        (">= 1e999", "'>= 1e999' is not a rule"),
        (">= 3 h", "'>= 3 h' is not a rule"),
        (">= 0.7, <= 0.9", "'>= 0.7, <= 0.9' is not a rule"),
        (">= 0.7 and", "'>= 0.7 and' is not a rule"),
        (">= 0.7 and >= 0.8", "'>= 0.7 and >= 0.8' is not a rule"),
        ("<= 0.7 and < 0.8", "'<= 0.7 and < 0.8' is not a rule"),
        ("== 0.7 and <= 0.8", "'== 0.7 and <= 0.8' is not a rule"),
        (">= 0 and <= 1 and <= 2", "'>= 0 and <= 1 and <= 2' is not a rule"),
        (">= 70 % and <= 0.9", "'>= 70 % and <= 0.9' has two units; write both bounds in the same one"),
        (">= 1 and <= 3 s", "'>= 1 and <= 3 s' has two units; write both bounds in the same one"),
        (">= 0.9 and <= 0.7", "no value can be '>= 0.9 and <= 0.7'; correct the bounds"),
        ("> 0.7 and <= 0.7", "no value can be '> 0.7 and <= 0.7'; correct the bounds"),
        ({}, "a rule needs 'min' or 'max'"),
        ({"min": True}, "'min' is True, not a finite number"),
        ({"max": math.nan}, "'max' is nan, not a finite number"),
        ({"min": 2, "max": 1}, "min 2 is above max 1: no value can satisfy it"),
    ],
)
def test_what_is_no_rule_says_what_one_is(raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_rule(raw)


@given(FINITE, FINITE)
def test_a_rule_agrees_with_python_on_every_pair_of_numbers(bound: float, value: float) -> None:
    for sign, expected in ((">=", value >= bound), ("<=", value <= bound), (">", value > bound), ("<", value < bound)):
        assert parse_rule(f"{sign} {bound!r}").accepts(value) is expected


@given(FINITE, FINITE)
def test_a_range_reads_back_from_its_own_text(one: float, other: float) -> None:
    rule = parse_rule({"min": min(one, other), "max": max(one, other)})

    assert parse_rule(rule.text) == rule


@given(
    st.text()
    | st.from_regex(r"[<>=]=? ?[0-9.]+ ?(%|ms|s|min)?( and [<>=]=? ?[0-9.]+)?", fullmatch=True)
    | st.integers()
    | st.dictionaries(st.sampled_from(["min", "max", "x"]), st.none() | st.integers())
)
def test_anything_is_a_rule_or_a_value_error(raw: object) -> None:
    with suppress(ValueError):
        assert isinstance(parse_rule(raw), Rule)
