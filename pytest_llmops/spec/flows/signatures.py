"""Signatures of Python entries, read from their source text without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_llmops.records.experiment import Port

_TYPES = {"str": "string", "int": "int", "float": "double", "bool": "bool", "list": "list", "List": "list"}
_PRIMITIVES = {"str", "int", "float", "bool"}

Returns = Literal["primitive", "fields", "unknown"]
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Statement = ast.If | ast.Try | ast.With


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters that can be given by name. ``open`` where there may be more than the source text tells."""

    ports: Mapping[str, Port] = field(default_factory=dict)
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What an entry takes, and whether it says what it returns. ``init`` is None for functions."""

    inputs: Parameters
    init: Parameters | None = None
    returns: Returns = "unknown"


class EntryError(Exception):
    """An entry that can't be called: what is wrong, at which line, and what the module has instead."""

    def __init__(self, what: str, line: int = 0, near: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what, self.line, self.near = what, line, near


def read_signature(source: str, entry: str) -> Signature:
    """Read the signature of a module's function or class.

    A name that is bound in another way (imported, or made by a call) gets an open signature.

    Raises:
        EntryError: where the source is not Python, or has no such entry, or the entry can't be called.
    """
    try:
        body = list(_top_level(ast.parse(source).body))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise EntryError(f"not valid Python: {error.args[0]}", getattr(error, "lineno", None) or 0) from None
    definitions = {node.name: node for node in body if isinstance(node, _Definition)}
    if entry not in definitions:
        if entry in _bound_otherwise(body):
            return Signature(inputs=Parameters(open=True), init=Parameters(open=True))
        raise EntryError(f"there is no {entry!r}", near=tuple(definitions))
    node = definitions[entry]
    return _of_class(node, definitions) if isinstance(node, ast.ClassDef) else _of_function(node, skip=0)


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, _Statement):
            yield from _top_level([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)])


def _bound_otherwise(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            names |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return names


def _of_function(node: _Function, *, skip: int) -> Signature:
    return Signature(inputs=_parameters(node.args, skip), returns=_returns(node.returns))


def _returns(annotation: ast.expr | None) -> Returns:
    if annotation is None:
        return "unknown"
    return "primitive" if isinstance(annotation, ast.Name) and annotation.id in _PRIMITIVES else "fields"


def _of_class(node: ast.ClassDef, definitions: Mapping[str, _Definition]) -> Signature:
    call, inherits = _method(node, "__call__", definitions)
    init, init_inherits = _method(node, "__init__", definitions)
    if call is None and not inherits:
        raise EntryError(f"class {node.name!r} has no method '__call__'", node.lineno)
    called = _of_function(call, skip=1) if call else Signature(inputs=Parameters(open=True))
    # A decorator such as @dataclass may add an __init__ that is not in the source.
    unknown = init_inherits or bool(node.decorator_list)
    made = _parameters(init.args, 1) if init else Parameters(open=unknown)
    return Signature(inputs=called.inputs, init=made, returns=called.returns)


def _method(node: ast.ClassDef, name: str, definitions: Mapping[str, _Definition]) -> tuple[_Function | None, bool]:
    """Find a method in a class or its bases in the same module; tell whether it may be in a base elsewhere."""
    for statement in node.body:
        if isinstance(statement, _Function) and statement.name == name:
            return statement, False
    for base in node.bases:
        name_of_base = base.id if isinstance(base, ast.Name) else ""
        parent = definitions.get(name_of_base)
        if not isinstance(parent, ast.ClassDef) or parent is node:
            if name_of_base != "object":
                return None, True
            continue
        found, elsewhere = _method(parent, name, {k: v for k, v in definitions.items() if v is not node})
        if found or elsewhere:
            return found, elsewhere
    return None, False


def _parameters(arguments: ast.arguments, skip: int) -> Parameters:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [
        *list(zip(positional, defaults, strict=True))[skip:],
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return Parameters(ports={a.arg: _port(a, default) for a, default in pairs}, open=arguments.kwarg is not None)


def _port(argument: ast.arg, default: ast.expr | None) -> Port:
    value = _literal(default)
    by_default = _TYPES.get(type(value).__name__, "object")
    kind = _type(argument.annotation) if argument.annotation else by_default
    return Port(name=argument.arg, type=kind, default=value, required=default is None)


def _literal(node: ast.expr | None) -> Any:
    """Evaluate a literal; None where the value is only known at run time."""
    try:
        return ast.literal_eval(node) if node else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _type(annotation: ast.expr) -> str:
    """Name a type as prompt flow's own files do; connections and model configurations keep their class name."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        text = annotation.value
    else:
        text = ast.unparse(annotation)
    text = text.removeprefix("Optional[").removeprefix("typing.Optional[").removesuffix(" | None")
    name = text.partition("[")[0].rpartition(".")[2].rstrip("]")
    if name.endswith(("Connection", "ModelConfiguration")):
        return name
    return _TYPES.get(name, "object")
