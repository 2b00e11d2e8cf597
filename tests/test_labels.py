"""Values of data as text."""

from __future__ import annotations

import pytest

from pytest_llmops.records.labels import as_label


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("Größe", "Größe"),
        (7, "7"),
        (1.0, "1.0"),
        (True, "true"),
        (["é", 1], '["é", 1]'),
        ({"b": 1, "a": None}, '{"a": null, "b": 1}'),
        (None, ""),
        ("", ""),
    ],
)
def test_a_value_as_text(value: object, label: str) -> None:
    assert as_label(value) == label
