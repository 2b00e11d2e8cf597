"""The forms that a message can have: an object of known fields, a single value, or an object of any fields."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, Protocol, get_args, get_origin

from pytest_llmops.engines.agentframework.hints import conversion, field_hints
from pytest_llmops.engines.agentframework.owned import is_of_framework
from pytest_llmops.engines.function.values import LineError, converter
from pytest_llmops.engines.text import did_you_mean, one_line
from pytest_llmops.spec.suggest import listing

Inputs = Mapping[str, Any]
_SINGLE = (str, int, float, bool, list, Literal)
_OPEN = (dict, Mapping, MutableMapping, object, Any)


class Form(Protocol):
    """A type of message, with how one is made of a row's inputs. Of two that fit, the one of lower ``rank`` is it."""

    @property
    def said(self) -> str:
        """What it is, for messages."""

    @property
    def rank(self) -> tuple[int, int]:
        """Its place among the forms: the kind of form, then the place among those of its kind."""

    @property
    def required(self) -> tuple[str, ...]:
        """The inputs that it can't do without."""

    def make(self, inputs: Inputs) -> Any:
        """Make a message.

        Raises:
            LineError: where the inputs don't fit.
        """

    def misfit(self, names: Collection[str], columns: Collection[str]) -> str | None:
        """Say why none can be made of the inputs of these names, and of ``columns`` of the data, needing no mapping."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object whose fields are inputs: a dataclass, or a model of pydantic."""

    kind: type
    fields: tuple[str, ...]
    required: tuple[str, ...]
    build: Callable[[Inputs], Any]

    @property
    def said(self) -> str:
        """Its name, and those of its fields."""
        return f"{self.kind.__name__}({', '.join(self.fields)})"

    @property
    def rank(self) -> tuple[int, int]:
        """Come first, the one of fewest fields before others."""
        return 0, len(self.fields)

    def make(self, inputs: Inputs) -> Any:
        """Make one; what its own code finds wrong is said as an error of the input."""
        try:
            return self.build(inputs)
        except LineError:
            raise
        except Exception as problem:
            raise LineError(f"The input for flow is incorrect. {self.kind.__name__}: {_said_by(problem)}") from problem

    def misfit(self, names: Collection[str], columns: Collection[str]) -> str | None:
        """Name the input that is no field, or the fields that nothing gives."""
        for name in names:
            if name not in self.fields:
                return f"and that has no field '{name}'{did_you_mean(name, self.fields)}"
        missing = [name for name in self.required if name not in names and name not in columns]
        return f"and nothing gives {listing(missing)}; map it, or give the field a default" if missing else None


@dataclass(frozen=True, slots=True)
class Single:
    """One value, of whatever name."""

    kind: Any
    required: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Its type."""
        return said(self.kind)

    @property
    def rank(self) -> tuple[int, int]:
        """Come second, text before others."""
        return 1, _SINGLE.index(get_origin(self.kind) or self.kind)

    def make(self, inputs: Inputs) -> Any:
        """Convert the one input."""
        ((name, value),) = inputs.items()
        return conversion(name, self.kind, make_object)(value)

    def misfit(self, names: Collection[str], columns: Collection[str]) -> str | None:
        """Ask for one input."""
        if len(names) == 1:
            return None
        return f"and the mapping gives {listing(names)}; map one input, such as text: ${{data.text}}"


@dataclass(frozen=True, slots=True)
class Open:
    """A dict of all inputs, or whatever one may be taken for."""

    kind: Any
    required: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Its type."""
        return said(self.kind)

    @property
    def rank(self) -> tuple[int, int]:
        """Come last."""
        return 2, 0

    def make(self, inputs: Inputs) -> Any:
        """Convert each input to the type of the dict's values."""
        kind = (*get_args(self.kind), Any, Any)[1]
        return {name: conversion(name, kind, make_object)(value) for name, value in inputs.items()}

    def misfit(self, names: Collection[str], columns: Collection[str]) -> str | None:
        """Ask for an input."""
        return None if names else "and the mapping gives none; map at least one input"


def form_of(kind: Any) -> Form | None:
    """Describe how a message of one type is made; None where rows can't be made into one.

    Left out are the framework's own types, by which executors talk to each other, and a TypedDict, which it can't
    deliver, because Python can't tell what is one.
    """
    if is_of_framework(kind) or typing.is_typeddict(kind):
        return None
    if isinstance(kind, type) and (is_dataclass(kind) or _is_model(kind)):
        return _fields_of(kind)
    origin = get_origin(kind) or kind
    if origin in _SINGLE:
        return Single(kind)
    return Open(kind) if origin in _OPEN else None


def make_object(kind: type, value: Any) -> Any:
    """Make an object of a dataclass or a model of what JSON says. An object, and a value for another class, stay so.

    Raises:
        LineError: where the value is none that one can be made of.
    """
    if not (is_dataclass(kind) or _is_model(kind)) or isinstance(value, kind):
        return value
    given = converter(kind.__name__, dict)(value)
    if not isinstance(given, Mapping):
        raise LineError(
            f"The input for flow is incorrect. {kind.__name__}: it is made of an object, not of {type(given).__name__}"
        )
    return _fields_of(kind).make(given)


def said(kind: Any) -> str:
    """Return a type as one writes it."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def _fields_of(kind: Any) -> Fields:
    if _is_model(kind):
        by_name = {part.alias or name: part for name, part in kind.model_fields.items()}
        required = tuple(name for name, part in by_name.items() if part.is_required())
        return Fields(kind, tuple(by_name), required, lambda inputs: kind.model_validate(dict(inputs)))
    hints, parameters = field_hints(kind), inspect.signature(kind).parameters
    convert = {
        name: conversion(name, hints.get(name, Any), make_object, optional=parameter.default is None)
        for name, parameter in parameters.items()
    }
    required = tuple(name for name, parameter in parameters.items() if parameter.default is parameter.empty)

    def build(inputs: Inputs) -> Any:
        return kind(**{name: convert[name](value) if name in convert else value for name, value in inputs.items()})

    return Fields(kind, tuple(parameters), required, build)


def _said_by(problem: Exception) -> str:
    """Return what a model says first of what is wrong with its fields, or else what was raised."""
    if not hasattr(problem, "errors"):
        return one_line(problem)
    error = problem.errors()[0]
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def _is_model(kind: type) -> bool:
    return hasattr(kind, "model_validate") and hasattr(kind, "model_fields")
