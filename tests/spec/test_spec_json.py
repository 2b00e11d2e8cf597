"""JSON text as values that remember where each key stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.json_reader import read_json

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_places_in_json_are_those_of_its_keys() -> None:
    text = '{"a": [1,\n {"b": "x]{\\" ,:",\n  "c": {}}, [],\n [[3]]], "\\u0061b":null}'
    findings = Findings()

    document = read_json(text, "f.json", findings)

    assert document is not None
    assert document.value == json.loads(text)
    assert {path: place.line for path, place in document.places.items()} == {
        (): 1, ("a",): 1, ("a", 0): 1, ("a", 1): 2, ("a", 1, "b"): 2, ("a", 1, "c"): 3, ("a", 2): 3, ("a", 3): 4,
        ("a", 3, 0): 4, ("a", 3, 0, 0): 4, ("ab",): 4,
    }  # fmt: skip
    assert not findings.errors


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "Expecting value"),
        ("[1,\n}", 2, "Expecting value"),
        ("[" * 100_000, 0, "it is nested too deeply"),
        ('["NaN",\n NaN]', 2, "NaN is not JSON"),
        ('{"a": 1,\n\n"b": -Infinity}', 3, "-Infinity is not JSON"),
        ("[1,\n" + "9" * 5000 + "]", 2, "a number of 5000 digits is too long"),
        ("\n[\n-" + "9" * 5000 + "]", 3, "a number of 5000 digits is too long"),
        ("[1e5,\n1e999]", 2, "the number 1e999 is too large"),
        ("[" + "9" * 400 + ".0]", 1, f"the number {'9' * 40} is too large"),
    ],
)
def test_what_is_not_json(text: str, line: int, message: str) -> None:
    findings = Findings()

    assert read_json(text, "f.json", findings) is None
    assert [str(problem) for problem in findings.errors] == [
        f"f.json{f':{line}' if line else ''}: not valid JSON: {message}; correct it"
    ]


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(inner, (*path, key))


@given(ANY_JSON, st.sampled_from([None, 0, 2]), st.booleans())
def test_every_key_of_any_json_has_a_place(value: Any, indent: int | None, ascii_only: bool) -> None:
    findings = Findings()

    document = read_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only), "f.json", findings)

    assert document is not None
    assert list(document.places) == list(paths_of(value))
    assert not findings.errors
