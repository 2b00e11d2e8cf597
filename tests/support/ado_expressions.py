"""Expressions of Azure Pipelines, as far as this project's pipeline uses them.

``docs/pipelines/process/expressions.md`` of Azure DevOps has the rules: names and texts are compared without regard to
case, and what is not there is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Functions = Mapping[str, Callable[..., Any]]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>[(),.\[\]]))")


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number or truth value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Reference:
    """A value of a context, such as ``dependencies.evaluate.outputs['gate.verdict.decision']``."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Node, ...]


Node = Literal | Reference | Call


def parse(text: str) -> Node:
    """Parse an expression.

    Raises:
        ValueError: where it is none.
    """
    parser = _Parser(text)
    node = parser.expression()
    if parser.tokens:
        raise ValueError(f"{text!r}: unexpected {parser.tokens[0]!r}")
    return node


def references(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield the path of every value that an expression asks for."""
    if isinstance(node, Reference):
        yield node.path
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from references(argument)


def called(node: Node) -> Iterator[str]:
    """Yield the name of every function that an expression calls."""
    if isinstance(node, Call):
        yield node.name
        for argument in node.arguments:
            yield from called(argument)


def evaluate(node: Node, context: Mapping[str, Any], functions: Functions) -> Any:
    """Work out the value of an expression. ``functions`` come beside those that need no context."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Reference):
        return _look_up(node.path, context)
    function = {**_FUNCTIONS, **functions}[node.name]
    return function(*(evaluate(argument, context, functions) for argument in node.arguments))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"{text!r}: unexpected {text[position:]!r}")
            self.tokens.append(match[0].strip())
            position = match.end()

    def expression(self) -> Node:
        token = self._take()
        if token.startswith("'"):
            return Literal(token[1:-1].replace("''", "'"))
        if token.lower() in ("true", "false"):
            return Literal(token.lower() == "true")
        if token.lstrip("-").isdigit():
            return Literal(int(token))
        return Call(token, tuple(self._arguments())) if self._next_is("(") else Reference((token, *self._path()))

    def _arguments(self) -> Iterator[Node]:
        self._take("(")
        while not self._next_is(")"):
            yield self.expression()
            if not self._next_is(")"):
                self._take(",")
        self._take(")")

    def _path(self) -> Iterator[str]:
        while self.tokens and self.tokens[0] in (".", "["):
            if self._take() == ".":
                yield self._take()
            else:
                yield self._take().strip("'")
                self._take("]")

    def _next_is(self, token: str) -> bool:
        return bool(self.tokens) and self.tokens[0] == token

    def _take(self, expected: str = "") -> str:
        if not self.tokens or (expected and self.tokens[0] != expected):
            raise ValueError(f"{self.text!r}: {expected or 'more'} expected")
        return self.tokens.pop(0)


def _look_up(path: tuple[str, ...], context: Mapping[str, Any]) -> Any:
    value: Any = context
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = {str(key).lower(): item for key, item in value.items()}.get(name.lower())
    return value


def _equal(left: Any, right: Any) -> bool:
    return _text(left) == _text(right)


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower()


_FUNCTIONS: Functions = {
    "and": lambda *values: all(values),
    "or": lambda *values: any(values),
    "not": lambda value: not value,
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "in": lambda value, *others: any(_equal(value, other) for other in others),
    "notIn": lambda value, *others: not any(_equal(value, other) for other in others),
}
