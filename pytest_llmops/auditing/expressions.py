"""What single expressions and statements of Python source say. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pytest_llmops.auditing.module import Made, Value

Function = ast.FunctionDef | ast.AsyncFunctionDef


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a module assigns something to at its top, with what that is."""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield from ((target.id, value) for target, value in assignments(node) if isinstance(target, ast.Name))


def assignments(node: ast.Assign | ast.AnnAssign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Pair targets with what is assigned to them, those of tuples one by one."""
    value = node.value
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            yield from zip(target.elts, value.elts, strict=True)
        elif value is not None:
            yield target, value


def literal(node: ast.expr) -> Value:
    """Evaluate a literal; unknown where the value is only known at run time."""
    try:
        return Value(known=True, literal=ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Value()


def variable_in(node: ast.expr) -> str:
    """Name the environment variable that an expression is, such as ``os.environ["NAME"]``; empty where it is none."""
    if isinstance(node, ast.Subscript) and last_name(node.value) == "environ":
        return text_of(node.slice)
    if isinstance(node, ast.Call) and node.args and (_is_get(node.func) or last_name(node.func) == "getenv"):
        return text_of(node.args[0])
    return ""


def _is_get(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("get", "pop") and last_name(node.value) == "environ"


def made_of(node: ast.expr) -> Made:
    """Tell what an expression is, where it is a dict, a call or a name."""
    if isinstance(node, ast.Dict):
        keys = [text_of(key) for key in node.keys]
        return Made(keys=tuple(keys)) if all(keys) else Made()
    return Made(called=callee(node))


def callee(node: ast.expr) -> str:
    """Name what is called, or the variable itself."""
    return last_name(node.func) if isinstance(node, ast.Call) else last_name(node)


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name; empty for what is none."""
    if isinstance(node, ast.Subscript):
        return last_name(node.value) if isinstance(node.value, ast.Name) else ""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr | None) -> str:
    """Return the text of a literal string; empty for all else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def decorators(node: Function | ast.ClassDef) -> set[str]:
    """Name the decorators of a function or class, without the modules that they are in."""
    return {callee(decorator) for decorator in node.decorator_list}


def annotation(node: Function, index: int) -> str:
    """Name the type of a parameter; empty where it has none, or one that is more than a name."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    written = arguments[index].annotation if index < len(arguments) else None
    return last_name(written) if isinstance(written, (ast.Name, ast.Attribute)) else text_of(written)


def env_prefix(node: ast.ClassDef, bases: Sequence[str]) -> str | None:
    """Return what the variables that a class of settings of pydantic reads start with; None for other classes."""
    if "BaseSettings" not in bases:
        return None
    for each in ast.walk(node):
        if isinstance(each, ast.keyword) and each.arg == "env_prefix":
            return text_of(each.value)
        if isinstance(each, ast.Assign) and last_name(each.targets[0]) == "env_prefix":
            return text_of(each.value)
    return ""


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[int, str]]:
    """Yield what is imported, as the number of leading dots and a dotted name."""
    if isinstance(node, ast.Import):
        yield from ((0, alias.name) for alias in node.names)
        return
    module = node.module or ""
    if module:
        yield node.level, module
    yield from ((node.level, f"{module}.{alias.name}".lstrip(".")) for alias in node.names)
