"""What type hints ask for: values of the data become what a field or an executor is declared to take."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pytest_llmops.engines.function.values import converter

Convert = Callable[[Any], Any]
Make = Callable[[type, Any], Any]

_PLAIN = {Mapping: dict, MutableMapping: dict, Sequence: list, MutableSequence: list}
"""Abstract types, and what stands for them in JSON."""


def alternatives(hint: Any) -> Iterator[Any]:
    """Yield the types of a union but None, or the one type that it is."""
    if get_origin(hint) in (Union, UnionType):
        yield from (part for part in get_args(hint) if part is not NoneType)
    else:
        yield hint


def field_hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields and InitVars, Any for one that only a type checker can resolve."""
    return {name: _resolved(_declaring(kind, name), field.type) for name, field in kind.__dataclass_fields__.items()}


def conversion(name: str, hint: Any, make: Make, *, optional: bool = False) -> Convert:
    """Return what turns a value of the data into one that a hint allows, for the input of a name.

    None stays None where a hint says so or it is ``optional``, and each value stays as it is where several types are
    allowed. Items of lists and values of mappings are converted too. Classes other than those of JSON are for ``make``,
    which gets the class and the value.
    """
    kinds = list(alternatives(hint))
    if len(kinds) != 1:
        return lambda value: value
    convert = _conversion(name, kinds[0], make)
    if kinds == [hint] and not optional:
        return convert
    return lambda value: None if value is None else convert(value)


def _conversion(name: str, kind: Any, make: Make) -> Convert:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    plain = converter(name, _PLAIN.get(origin, origin))
    if origin in (list, Sequence, MutableSequence) and arguments:
        item = conversion(name, arguments[0], make)
        return lambda value: [item(part) for part in plain(value)]
    if origin in (dict, Mapping, MutableMapping) and arguments:
        item = conversion(name, arguments[1], make)
        return lambda value: _mapped(item, plain(value))
    if isinstance(kind, type):
        return lambda value: make(kind, plain(value))
    return plain


def _mapped(convert: Convert, value: Any) -> Any:
    return {key: convert(part) for key, part in value.items()} if isinstance(value, Mapping) else value


def _declaring(kind: type, name: str) -> type:
    """Return the class that declares a field. Its hint is to be read as that class's module means it."""
    declared = kind.__dataclass_fields__[name]  # type: ignore[attr-defined]
    return next(
        base for base in reversed(kind.__mro__) if vars(base).get("__dataclass_fields__", {}).get(name) is declared
    )


def _resolved(declaring: type, hint: Any) -> Any:
    # Each by itself: one that can't be resolved is no reason to leave the others as they are.
    alone = type(declaring.__name__, (), {"__annotations__": {"it": hint}, "__module__": declaring.__module__})
    try:
        found = typing.get_type_hints(alone)["it"]
    except Exception:
        return Any
    return getattr(found, "type", found)  # of an InitVar
