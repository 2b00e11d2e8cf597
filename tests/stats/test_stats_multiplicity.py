"""Holm's correction against statsmodels, and what holds for all families."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from pytest_llmops.stats.multiplicity import holm

FAMILIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "p_values", [[0.2], [0.01, 0.02, 0.03, 0.004], [0.5, 0.5, 0.9, 1.0], [0.04, 0.01, 0.04, 0.0, 0.3]]
)
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    found = holm(dict(enumerate(p_values)))
    assert list(found.values()) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


@given(FAMILIES)
def test_adjusted_values_are_no_lower_and_in_the_same_order(p_values: list[float]) -> None:
    found = holm(dict(enumerate(p_values)))
    assert all(p <= found[key] <= 1 for key, p in enumerate(p_values))
    assert [found[key] for key in sorted(found, key=p_values.__getitem__)] == sorted(found.values())


def test_holm_of_a_worked_example() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert list(holm({"b": 0.5, "a": 0.1})) == ["b", "a"]
    assert holm({}) == {}


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"^(-0.1|1.1|nan) is not a p-value$"):
        holm({"a": 0.5, "b": p})
