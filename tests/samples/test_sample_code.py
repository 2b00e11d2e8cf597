"""The code of the sample flows that decides what is right: exact, and safe with whatever a model writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]


def load(path: str) -> ModuleType:
    """Import a file by its path: flow folders are no packages."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


arithmetic = load("flows/math_check/arithmetic.py")
detectors = load("flows/redact_message/detectors.py")


@pytest.mark.parametrize(
    ("text", "value"),
    [("(1 + 2) * 3", 9), ("7 // 2", 3), ("2 ** -1", 0.5), ("-3 + 5", 2), (" 4 * 1.50 ", 6.0), ("+1", 1)],
)
def test_arithmetic_is_computed(text: str, value: float) -> None:
    assert arithmetic.compute(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("__import__('os')", "\"__import__('os')\" is not arithmetic"),
        ("x + 1", "'x' is not arithmetic"),
        ("(1,)[0]", "'(1,)[0]' is not arithmetic"),
        ("'a' * 9", "\"'a'\" is not arithmetic"),
        ("True", "'True' is not arithmetic"),
        ("7 % 2", "'7 % 2' is not arithmetic"),
        ("1 / 0", "division by zero"),
        ("9 ** 9 ** 9", "exponent 9 is beyond 8"),
        ("10 ** 8 * 10 ** 8", "a value is beyond 1e+12"),
        ("1e400", "a value is beyond 1e+12"),
        ("(-8) ** 0.5", "a value is beyond 1e+12"),
        ("1+" * 200 + "1", "longer than 200 characters"),
    ],
)
def test_what_is_no_arithmetic_is_refused(text: str, reason: str) -> None:
    with pytest.raises(arithmetic.NotArithmetic) as refused:
        arithmetic.compute(text)
    assert str(refused.value) == reason


@given(st.text(alphabet="0123456789.+-*/()eE _xaj'[]{},:<>=!%&|^~@\n\0", max_size=60))
def test_any_text_is_computed_or_refused(text: str) -> None:
    try:
        value = arithmetic.compute(text)
    except arithmetic.NotArithmetic:
        return
    assert abs(value) <= arithmetic.MAX_MAGNITUDE


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("to anna_b@example.org.", [("anna_b@example.org", "EMAIL")]),
        ("card 4111 1111 1111 1111", [("4111 1111 1111 1111", "CARD")]),
        ("serial 4929 3813 3266 4290", []),
        ("to DE89 3704 0044 0532 0130 00.", [("DE89 3704 0044 0532 0130 00", "IBAN")]),
        ("to DE88 3704 0044 0532 0130 00.", []),
        ("Kind regards,\nTomasz Nowak", [("Tomasz Nowak", "NAME")]),
    ],
)
def test_personal_data_is_detected(message: str, found: list[tuple[str, str]]) -> None:
    sure = [each for each in detectors.detect(message) if each.confidence >= 0.5]
    assert [(message[each.start : each.end], each.label) for each in sure] == found
