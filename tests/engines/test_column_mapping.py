"""Column mapping without prompt flow, by its rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.engines.function.mapping import map_columns
from pytest_llmops.errors import RunError

DATA = [{"q": "a", "x.y": 1}, {"q": "b", "x.y": 2}]


def test_references_constants_and_unmapped_inputs() -> None:
    mapping = {"deep": "${data.x.y}", "text": "no ${data.q}", "number": 3, "line_number": "${data.q}"}
    assert map_columns({"data": DATA}, mapping, required=["q"]) == [
        (0, {"q": "a", "deep": 1, "text": "no ${data.q}", "number": 3}),
        (1, {"q": "b", "deep": 2, "text": "no ${data.q}", "number": 3}),
    ]


def test_shortest_source_wins() -> None:
    sources = {"run": [{"outputs.a": "short"}], "run.outputs": [{"a": "long", "b": "only long"}]}
    mapping = {"a": "${run.outputs.a}", "b": "${run.outputs.b}"}
    assert map_columns(sources, mapping, required=[]) == [(0, {"a": "short", "b": "only long"})]


def test_lines_that_a_source_lacks_are_left_out() -> None:
    outputs = [{"line_number": 3, "a": 3}, {"line_number": 1, "a": 1}]
    sources = {"data": [{"g": number} for number in range(4)], "run.outputs": outputs}
    lines = map_columns(sources, {"a": "${run.outputs.a}", "g": "${data.g}"}, required=[])
    assert lines == [(1, {"a": 1, "g": 1}), (3, {"a": 3, "g": 3})]


@pytest.mark.parametrize(
    ("sources", "mapping", "error"),
    [
        ({"data": []}, {}, "the source 'data' has no rows"),
        (
            {"data": DATA, "gold": DATA[:1]},
            {},
            "the sources differ in their number of rows (data has 2, gold has 1) and have no column 'line_number'",
        ),
        (
            {"data": DATA, "run.outputs": [{"line_number": 7}]},
            {},
            "no line is in all of the sources data, run.outputs",
        ),
        (
            {"data": DATA},
            {"a": "${data.nope}", "b": "${gold.q}"},
            "the column mapping reads what the data does not have: ${data.nope}, ${gold.q}",
        ),
        (
            {"data": [{"line_number": 1}, {"line_number": 1.0}]},
            {},
            "the source 'data' has line_number 1 more than once",
        ),
        (
            {"data": [{"line_number": 1.5}]},
            {},
            "row 1 of the source 'data' has line_number 1.5, not a whole number",
        ),
        ({"data": [{"line_number": 1}, {}]}, {}, "row 2 of the source 'data' has line_number None, not a whole number"),
        (
            {"data": [{"line_number": float("inf")}]},
            {},
            "row 1 of the source 'data' has line_number inf, not a whole number",
        ),
    ],
)
def test_errors(sources: dict[str, list[dict[str, Any]]], mapping: dict[str, Any], error: str) -> None:
    with pytest.raises(RunError) as caught:
        map_columns(sources, mapping, required=[])
    assert str(caught.value) == error


@given(st.lists(st.integers(), unique=True, min_size=1), st.randoms(use_true_random=False))
def test_join_does_not_depend_on_the_order_of_rows(numbers: list[int], random: Any) -> None:
    left = [{"line_number": number, "a": number} for number in numbers]
    right = [{"line_number": number, "b": -number} for number in numbers]
    random.shuffle(right)
    lines = map_columns({"l": left, "r": right}, {"a": "${l.a}", "b": "${r.b}"}, required=[])
    assert lines == [(number, {"a": number, "b": -number}) for number in numbers]
