"""What the source of a Python module says, as far as reading alone can tell. Nothing is imported or run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterable, Mapping

from pytest_llmops.auditing.clients import UNPACKED, Read, reads_of_client, takes_model
from pytest_llmops.auditing.expressions import (
    Function,
    annotation,
    assignments,
    callee,
    constants,
    decorators,
    env_prefix,
    imported,
    last_name,
    literal,
    made_of,
    text_of,
    variable_in,
)
from pytest_llmops.auditing.module import Fields, Made, Module, Setting, Value

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[\W_]+")
_ROLE = re.compile(r"(?<=.)_(executor|agent|node)$")
_MODELS = ("BaseModel", "TypedDict", "NamedTuple")
_NO_FIELDS = (*_MODELS, "Generic", "object")


class NotParsedError(Exception):
    """A source can't be parsed; the message is why: a clause about its file."""


def read_module(text: str, file: str) -> Module:
    """Read the source of a module; ``file`` is the name of it to show.

    Raises:
        NotParsedError: for what is no Python, or nested too deep.
    """
    try:
        with warnings.catch_warnings():  # of escapes in strings, say, which are the author's affair
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (RecursionError, MemoryError):
        raise NotParsedError("which is nested too deep to be parsed") from None
    except (SyntaxError, ValueError):
        raise NotParsedError("which is no Python") from None
    reader = _Reader(file, tree)
    for node in ast.walk(tree):
        reader.visit(node)
    return reader.module


def snake_case(name: str) -> str:
    """Write a name as the nodes of flows are written, without what says that it is of an executor or agent."""
    words = _OTHER.sub("_", _CAMEL.sub("_", name)).strip("_").casefold()
    return _ROLE.sub("", words)


class _Reader:
    """Gathers what the nodes of one module say."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.module = Module()
        self._file = file
        self._constants = dict(constants(tree))

    def visit(self, node: ast.AST) -> None:
        """Take from one node what it says."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.module.strings.append(node.value)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, Function):
            self._function(node)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                self._set(text_of(key), value)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            self._assign(node)
        elif isinstance(node, ast.Subscript):
            self._subscript(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.module.imports.extend(imported(node))

    def _call(self, node: ast.Call) -> None:
        called = last_name(node.func)
        given = {keyword.arg or UNPACKED: keyword.value for keyword in node.keywords}
        first = node.args[0] if node.args else None
        if takes_model(called) and first:
            given = {"model": first, **given}
        for key, value in given.items():
            self._set(key, value)
        self._reads(node, called, given)
        self._flow_of_data(called, given, first)
        if called != "WorkflowBuilder":
            makes_it = called.endswith(("Executor", "Agent", "__init__"))
            self._named((given.get("id"), given.get("name"), first if makes_it else None), self._place(node))

    def _reads(self, node: ast.Call, called: str, given: Collection[str]) -> None:
        """Take from a call which environment variables it reads, itself or as a client that it makes."""
        self.module.reads += reads_of_client(called, given, self._place(node))
        if (read := self._value(node)).variable:
            self.module.reads.append(Read((read.variable,), self._place(node), optional=read.known))

    def _flow_of_data(self, called: str, given: Mapping[str, ast.expr], first: ast.expr | None) -> None:
        """Take from a call what a workflow starts with, and what it yields."""
        start = first if called == "set_start_executor" else given.get("start_executor")
        if start:
            self.module.starts.append(callee(start))
        if called == "yield_output" and first:
            self.module.yields.append(made_of(first))

    def _named(self, names: Iterable[ast.expr | None], place: str) -> None:
        """Take from the arguments of a call what the executor or agent that it makes is called."""
        for text in filter(None, map(self._text, names)):
            self._name(text, place)

    def _class(self, node: ast.ClassDef) -> None:
        bases = [last_name(base) for base in node.bases]
        handlers = [each for each in node.body if isinstance(each, Function) and "handler" in decorators(each)]
        if handlers or any(name.endswith(("Executor", "Agent")) for name in (node.name, *bases)):
            self._name(node.name, self._place(node))
            self.module.takes[node.name] = tuple(annotation(each, 1) for each in handlers)
        fields = {last_name(each.target): each for each in node.body if isinstance(each, ast.AnnAssign)}
        fields.pop("model_config", None)  # of pydantic
        self.module.classes[node.name] = Fields(
            names=tuple(fields),
            bases=tuple(name for name in bases if name not in _NO_FIELDS),
            open=not {"dataclass", *_MODELS} & {*decorators(node), *bases},
        )
        prefix = env_prefix(node, bases)
        for name, each in fields.items() if prefix is not None else ():
            variable = f"{prefix}{name}".upper()
            self.module.reads.append(Read((variable,), self._place(each), optional=each.value is not None))

    def _function(self, node: Function) -> None:
        self.module.functions.setdefault(snake_case(node.name), self._place(node))
        if "executor" in decorators(node):
            self._name(node.name, self._place(node))
            self.module.takes[node.name] = (annotation(node, 0),)
        arguments = [*node.args.posonlyargs, *node.args.args]
        defaulted = arguments[len(arguments) - len(node.args.defaults) :]
        pairs = [*zip(defaulted, node.args.defaults, strict=True)]
        pairs += [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d]
        for argument, default in pairs:
            self._set(argument.arg, default, by_name=True)

    def _assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        for target, value in assignments(node):
            if isinstance(target, ast.Subscript):
                self._set(text_of(target.slice), value)
                self.module.made[last_name(target.value)] = Made()
            elif name := last_name(target):
                self._set(name.lower(), value, by_name=True)
                # Of what is assigned more than once, or added to, nothing is known.
                self.module.made[name] = Made() if name in self.module.made else made_of(value)

    def _subscript(self, node: ast.Subscript) -> None:
        name = variable_in(node)
        if name and isinstance(node.ctx, ast.Load):
            self.module.reads.append(Read(names=(name,), place=self._place(node)))
        elif name:
            self.module.sets.add(name)

    def _name(self, name: str, place: str) -> None:
        self.module.names.setdefault(snake_case(name), place)

    def _set(self, key: str, value: ast.expr, *, by_name: bool = False) -> None:
        if key:
            self.module.settings.append(Setting(key, self._value(value), self._place(value), by_name))

    def _value(self, node: ast.expr) -> Value:
        node = self._resolved(node)
        if variable := variable_in(node):
            default = literal(node.args[1]) if isinstance(node, ast.Call) and len(node.args) > 1 else Value()
            return Value(known=default.literal is not None, literal=default.literal, variable=variable)
        return literal(node)

    def _text(self, node: ast.expr | None) -> str:
        return text_of(self._resolved(node)) if node else ""

    def _resolved(self, node: ast.expr) -> ast.expr:
        """Put the constant of the module in place of its name."""
        return self._constants.get(node.id, node) if isinstance(node, ast.Name) else node

    def _place(self, node: ast.expr | ast.stmt) -> str:
        return f"{self._file}:{node.lineno}"
