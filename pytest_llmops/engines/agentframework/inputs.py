"""How mapped inputs become the one message that a workflow's start executor takes."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin

from pytest_llmops.engines.agentframework.owned import is_of_framework
from pytest_llmops.engines.function.values import LineError, converter
from pytest_llmops.engines.text import did_you_mean
from pytest_llmops.errors import RunError
from pytest_llmops.spec.suggest import listing

_Inputs = Mapping[str, Any]
_SCALARS = (str, int, float, bool, list)
_OPEN = (dict, Mapping, MutableMapping, object, Any)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A type of message, with how one is made of a row's inputs.

    ``fields`` are the names that it takes, None where any will do; ``required`` are those that it can't do without.
    A ``single`` one is no object, but one value.
    """

    said: str
    make: Callable[[_Inputs], Any] = field(repr=False)
    fields: tuple[str, ...] | None = None
    required: tuple[str, ...] = ()
    single: bool = False
    rank: tuple[Any, ...] = ()

    def fits(self, names: Collection[str], columns: Collection[str]) -> bool:
        """Tell whether one can be made of these inputs, and of ``columns`` of the data, which need no mapping."""
        if self.single:
            return len(names) == 1
        if self.fields is None:
            return bool(names)
        return set(names) <= {*self.fields} and {*self.required} <= {*names, *columns}


def choose_form(kinds: Iterable[Any], start: str, names: Collection[str], columns: Collection[str]) -> Form:
    """Choose the form of message to be made of the inputs that are mapped: the one that says most of them.

    Objects whose fields they are come before a single value, and that before an object of any fields. ``start`` is the
    name of the executor that takes one of ``kinds``.

    Raises:
        RunError: where it takes nothing that they fit.
    """
    parts = [part for kind in kinds for part in _parts(kind)]
    forms = sorted(filter(None, map(_form, parts)), key=attrgetter("rank", "said"))
    fitting = [form for form in forms if form.fits(names, columns)]
    if not fitting:
        raise RunError(f"start executor '{start}' {_misfit(parts, forms, names, columns)}")
    return fitting[0]


def _misfit(parts: Iterable[Any], forms: list[Form], names: Collection[str], columns: Collection[str]) -> str:
    if not forms:
        taken = " or ".join(sorted(map(_said, parts))) or "nothing"
        return f"takes {taken}, which no row can be made into; have it take a dataclass, a pydantic model, dict or str"
    if len(forms) > 1 or (form := forms[0]).fields is None:
        taken, needed = " or ".join(form.said for form in forms), "what one of them needs" if len(forms) > 1 else ""
        todo = needed or ("one input, such as text: ${data.text}" if forms[0].single else "at least one input")
        return f"takes {taken}, and the mapping gives {listing(names)}; map {todo}"
    for name in names:
        if name not in form.fields:
            return f"takes {form.said}, and that has no field '{name}'{did_you_mean(name, form.fields)}"
    missing = [name for name in form.required if name not in names and name not in columns]
    return f"takes {form.said}, and nothing gives {listing(missing)}; map it, or give the field a default"


def _parts(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        yield from (part for part in get_args(kind) if part is not type(None))
    else:
        yield kind


def _form(kind: Any) -> Form | None:
    """Describe how a message of one type is made; None where rows can't be made into one.

    Left out are the framework's own types, by which executors talk to each other, and a TypedDict, which it can't
    deliver, because Python can't tell what is one.
    """
    origin = get_origin(kind) or kind
    if is_of_framework(kind) or typing.is_typeddict(kind):
        return None
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_form(kind)
    if _is_model(kind):
        return _model_form(kind)
    if origin in _SCALARS or origin is Literal:
        rank = _SCALARS.index(origin) if origin in _SCALARS else len(_SCALARS)
        return Form(said=_said(kind), make=_single_of(origin), single=True, rank=(1, rank))
    if origin in _OPEN:
        return Form(said=_said(kind), make=_object_of(get_args(kind)), rank=(2,))
    return None


def _dataclass_form(kind: type) -> Form:
    taken = [part for part in fields(kind) if part.init]
    hints = _hints(kind)
    parameters = {
        part.name: inspect.Parameter(
            part.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if part.default is MISSING else part.default,
            annotation=hints.get(part.name, Any),
        )
        for part in taken
    }
    convert = {name: converter(parameter) for name, parameter in parameters.items()}
    required = tuple(p.name for p in taken if p.default is MISSING and p.default_factory is MISSING)
    return _fields_form(
        kind, tuple(convert), required, lambda inputs: kind(**{name: convert[name](inputs[name]) for name in inputs})
    )


def _model_form(kind: Any) -> Form:
    by_name = {part.alias or name: part for name, part in kind.model_fields.items()}

    def make(inputs: _Inputs) -> Any:
        try:
            return kind.model_validate(dict(inputs))
        except ValueError as problem:
            raise LineError(f"The input for flow is incorrect. {kind.__name__}: {_first_error(problem)}") from problem

    return _fields_form(kind, tuple(by_name), tuple(n for n, part in by_name.items() if part.is_required()), make)


def _fields_form(kind: type, names: tuple[str, ...], required: tuple[str, ...], make: Callable[[_Inputs], Any]) -> Form:
    said = f"{kind.__name__}({', '.join(names)})"
    return Form(said=said, make=make, fields=names, required=required, rank=(0, len(names)))


def _single_of(kind: Any) -> Callable[[_Inputs], Any]:
    def make(inputs: _Inputs) -> Any:
        ((name, value),) = inputs.items()
        return _converted(name, kind, value)

    return make


def _object_of(arguments: tuple[Any, ...]) -> Callable[[_Inputs], Any]:
    kind = arguments[1] if arguments else Any
    return lambda inputs: {name: _converted(name, kind, value) for name, value in inputs.items()}


def _converted(name: str, kind: Any, value: Any) -> Any:
    return converter(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind))(value)


def _hints(kind: type) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except Exception:
        return {}  # annotations that only a type checker can resolve


def _first_error(problem: Any) -> str:
    """Return what a pydantic model says first of what is wrong with its fields."""
    error = problem.errors()[0]
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def _is_model(kind: Any) -> TypeGuard[Any]:
    return isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_fields")


def _said(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
