"""What plain functions take and return, converted as prompt flow converts it for its own functions."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from json import JSONDecodeError
from typing import Any

_NAMES = {int: "int", float: "double", bool: "bool", str: "string", list: "list"}


class LineError(Exception):
    """Why a line failed, in the words that its row is to have."""


class WrongValue(LineError):
    """A value that does not fit, with prompt flow's message."""


def converter(name: str, kind: Any) -> Callable[[Any], Any]:
    """Return what turns a value of the data into one of a type, for the input of a name.

    For ``object`` and ``dict``, text that is JSON becomes what it says. A value for any other type stays as it is.
    """
    if kind in _NAMES:
        return lambda value: _checked(name, kind, value)
    return _from_json if kind in (object, dict) else lambda value: value


def _checked(name: str, kind: type, value: Any) -> Any:
    try:
        return _PARSERS[kind](value)
    except JSONDecodeError as problem:
        raise WrongValue(
            f"Failed to parse the flow input. The value for flow input '{name}' was interpreted as JSON string since "
            f"its type is '{_NAMES[kind]}'. However, the value '{value}' is invalid for JSON parsing. Error details: "
            f"(JSONDecodeError) {problem}. Please make sure your inputs are properly formatted."
        ) from problem
    except Exception as problem:
        raise WrongValue(
            f"The input for flow is incorrect. The value for flow input '{name}' does not match the expected type "
            f"'{_NAMES[kind]}'. Please change flow input type or adjust the input value in your input data."
        ) from problem


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[value.lower()]


def _list(value: Any) -> list[Any]:
    items = json.loads(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        raise TypeError(f"{items!r} is no list")
    return items


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


_PARSERS: Mapping[type, Callable[[Any], Any]] = {int: int, float: float, bool: _bool, str: str, list: _list}


def as_output(result: Any) -> Mapping[str, Any]:
    """Wait for a coroutine, join what a generator yields, and make the result an object.

    Raises:
        WrongValue: for a value that JSON can't hold.
    """
    result = finish(result)
    if is_dataclass(result) and not isinstance(result, type):
        result = {field.name: getattr(result, field.name) for field in fields(result)}
    output = result if isinstance(result, Mapping) else {"output": result}
    return {name: _plain(name, value) for name, value in output.items()}


def finish(result: Any) -> Any:
    """Wait for a coroutine's result, or all that an asynchronous generator yields."""
    if inspect.isasyncgen(result):
        return asyncio.run(_gather(result))
    return asyncio.run(result) if inspect.iscoroutine(result) else result


async def _gather(generator: Any) -> str:
    return "".join([str(part) async for part in generator])


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Iterator):
        return "".join(map(str, value))
    try:
        json.dumps(value)
    except (TypeError, ValueError) as problem:
        raise WrongValue(
            f"The output '{name}' for flow is incorrect. The output value is not JSON serializable. JSON dump failed: "
            f"({type(problem).__name__}) {problem}. Please verify your flow output and make sure the value "
            "serializable."
        ) from problem
    return value
