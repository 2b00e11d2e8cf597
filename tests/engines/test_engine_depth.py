"""How deeply values may be nested."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llmops.engines.depth import is_too_deep


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = ({"x": value}, [value], (value,))[level % 3]
    return value


@pytest.mark.parametrize(("levels", "too_deep"), [(0, False), (1, False), (201, False), (202, True), (100_000, True)])
def test_two_hundred_levels_inside_of_a_value_are_allowed(levels: int, too_deep: bool) -> None:
    assert is_too_deep(nested(levels)) is too_deep


def test_what_contains_itself_has_no_end() -> None:
    value: list[Any] = []
    value += [value, value]
    assert is_too_deep(value)
