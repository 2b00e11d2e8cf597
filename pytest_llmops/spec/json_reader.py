"""JSON text as values that remember where each key stands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from pytest_llmops.errors import Problem
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.positions import Document, KeyPath, Place

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def read_json(text: str, file: str, findings: Findings) -> Document | None:
    """Read JSON text; report keys that are set twice, and return None where it isn't JSON."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_whole, parse_float=_fraction)
    except _Unfit as error:
        findings.error(Problem(file, _line_of(error.token, text), "", f"not valid JSON: {error}", "correct it"))
        return None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        cause = "it is nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
        findings.error(Problem(file, line, "", f"not valid JSON: {cause}", "correct it"))
        return None
    places: dict[KeyPath, Place] = {(): Place(file, 1)}
    document = Document(value, places)
    for path, line in _lines(text):
        if path in places and isinstance(path[-1], str):
            what = f"key is already set on line {places[path].line}"
            findings.error(Problem(file, line, document.key(path), what, "remove one of the two"))
        places.setdefault(path, Place(file, line))
    return document


class _Unfit(Exception):
    """A number that can't be one here."""

    def __init__(self, token: str, what: str) -> None:
        super().__init__(what)
        self.token = token


def _refuse(constant: str) -> Any:
    raise _Unfit(constant, f"{constant} is not JSON")


def _whole(token: str) -> int:
    try:
        return int(token)
    except ValueError:  # Python converts no more than some thousand digits
        raise _Unfit(token, f"a number of {len(token.lstrip('-'))} digits is too long") from None


def _fraction(token: str) -> float:
    number = float(token)
    if math.isinf(number):
        raise _Unfit(token, f"the number {token[:40]} is too large")
    return number


def _line_of(wanted: str, text: str) -> int:
    """Return the line on which a number stands first: the reader goes from start to end."""
    return next((text.count("\n", 0, token.start()) + 1 for token in _TOKEN.finditer(text) if token[0] == wanted), 0)


class _Level:
    """An object or a list that has begun: the key or index that is next in it."""

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = is_object
        self.at: str | int = "" if is_object else 0
        self.wants_key = is_object

    def move_on(self) -> None:
        self.wants_key = self.is_object
        if isinstance(self.at, int):
            self.at += 1


def _lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Yield the path of each key and list item of valid JSON with its line, in order."""
    levels: list[_Level] = []
    line, seen = 1, 0
    for token in _TOKEN.finditer(text):
        line, seen = line + text.count("\n", seen, token.start()), token.start()
        level = levels[-1] if levels else None
        mark = token[0]
        if mark in "}]":
            levels.pop()
        elif mark == "," and level:
            level.move_on()
        elif mark == ":":
            continue
        elif level and level.wants_key:
            level.at, level.wants_key = json.loads(mark), False
            yield tuple(each.at for each in levels), line
        else:
            if level and not level.is_object:
                yield tuple(each.at for each in levels), line
            if mark in "{[":
                levels.append(_Level(is_object=mark == "{"))
