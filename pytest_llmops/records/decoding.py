"""JSON values back into records, guided by the records' own type hints."""

from __future__ import annotations

import collections.abc
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_json(kind: type[T], value: Any) -> T:
    """Rebuild a record that ``encoding.to_json`` wrote.

    Raises:
        TypeError, ValueError, KeyError: where the value does not have the record's shape.
    """
    result: T = _decode(kind, value)
    return result


def _decode(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _decode_union(arguments, value)
    if origin is Literal:
        return _member(arguments, value)
    if origin is tuple:
        return tuple(_decode(arguments[0], item) for item in value)
    if origin is collections.abc.Mapping:
        return {key: _decode(arguments[1], item) for key, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _decode(hints[name], item) for name, item in value.items()})
    return _decode_plain(kind, value)


def _decode_plain(kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, str):
        return float(value)  # NaN and the infinities, which to_json writes as text
    return Path(value) if kind is Path else value


def _decode_union(arguments: tuple[Any, ...], value: Any) -> Any:
    if value is None and NoneType in arguments:
        return None
    return _decode(next(kind for kind in arguments if kind is not NoneType), value)


def _member(choices: tuple[Any, ...], value: Any) -> Any:
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(map(repr, choices))}")
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
