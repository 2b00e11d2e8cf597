"""Canonical JSON and its digest."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.hashing import canonical, digest

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_the_form_is_fixed() -> None:
    value = {"b": [1.0, 0.5, -0.0, 1e300], "a": {"é": "\ud800\u2028", "": None}, "B": (True, 1)}
    text = '{"B":[true,1],"a":{"":null,"\\u00e9":"\\ud800\\u2028"},"b":[1,0.5,0,1e+300]}'
    assert canonical(value) == text
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(_JSON)
def test_nothing_is_lost(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(), _JSON))
def test_order_does_not_matter(value: dict[str, Any]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        canonical(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: "x"}, "1 is not a JSON key"),
        ({"x": {2}}, "Object of type set is not JSON serializable"),
        (b"x", "Object of type bytes is not JSON serializable"),
    ],
)
def test_what_is_not_json_is_refused(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        canonical(value)
