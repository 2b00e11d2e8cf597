"""JSON values back into records, guided by the records' own type hints.

A decoder is built once for each type, and from then on only looks at values: stores hold many rows.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Decoder = Callable[[Any], Any]

_MOST = 2**63
"""Largest whole number; sums and means of such are still numbers."""
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def from_json(kind: type[T], value: Any) -> T:
    """Rebuild a record that ``encoding.to_json`` wrote.

    Raises:
        TypeError, ValueError, KeyError: where the value does not have the record's shape.
    """
    known: Any = kind
    return cast("T", _decoder(known)(value))


@cache
def _decoder(kind: Any) -> _Decoder:
    known = _PLAIN.get(kind)
    if known is not None:
        return known
    if isinstance(kind, type) and is_dataclass(kind):
        return _of_record(kind)
    return _of_form(get_origin(kind), get_args(kind))


def _of_form(origin: Any, arguments: tuple[Any, ...]) -> _Decoder:
    if origin in (Union, UnionType):
        return _of_union(arguments)
    if origin is Literal:
        return _of_choices(arguments)
    if origin is tuple:
        return _of_tuple(_decoder(arguments[0]))
    return _of_mapping(_decoder(arguments[1])) if origin is collections.abc.Mapping else _anything


def _of_record(kind: Any) -> _Decoder:
    decoders = {name: _decoder(hint) for name, hint in get_type_hints(kind).items()}
    required = [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise TypeError(_refused(value, "an object"))
        known = {name: decoders[name](item) for name, item in value.items()}
        if missing := [name for name in required if name not in known]:
            raise ValueError(f"without {', '.join(missing)}")
        return kind(**known)

    return decode


def _of_mapping(of_value: _Decoder) -> _Decoder:
    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise TypeError(_refused(value, "an object"))
        return value if of_value is _anything else {key: of_value(item) for key, item in value.items()}

    return decode


def _of_tuple(of_item: _Decoder) -> _Decoder:
    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise TypeError(_refused(value, "a list"))
        return tuple(map(of_item, value))

    return decode


def _of_union(arguments: tuple[Any, ...]) -> _Decoder:
    known = _decoder(next(kind for kind in arguments if kind is not NoneType))
    if NoneType not in arguments:
        return known
    return lambda value: None if value is None else known(value)


def _of_choices(choices: tuple[Any, ...]) -> _Decoder:
    def decode(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"{value!r:.40} is none of {', '.join(map(repr, choices))}")
        return value

    return decode


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise TypeError(_refused(value, "text"))
    return value


def _flag(value: Any) -> Any:
    if type(value) is not bool:
        raise TypeError(_refused(value, "true or false"))
    return value


def _whole_number(value: Any) -> Any:
    # Not isinstance: to Python, true is an integer.
    if type(value) is not int:
        raise TypeError(_refused(value, "a whole number"))
    if not -_MOST <= value <= _MOST:
        raise ValueError("a number is too large")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return value
    if value in _NOT_FINITE:  # which to_json writes as text
        return float(value)
    if type(value) is not int:
        raise TypeError(_refused(value, "a number"))
    return _whole_number(value)


def _anything(value: Any) -> Any:
    return value


def _path(value: Any) -> Any:
    return Path(_text(value))


def _refused(value: object, wanted: str) -> str:
    return f"{value!r:.40} is not {wanted}"


_PLAIN: dict[Any, _Decoder] = {str: _text, bool: _flag, int: _whole_number, float: _number, Path: _path}
