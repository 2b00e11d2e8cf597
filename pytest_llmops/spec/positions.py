"""Values that remember where each key of theirs stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import Problem
from pytest_llmops.spec.suggest import printable

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written. ``file`` is the path to show, ``line`` counts from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """Values read from YAML, with the place of every key and list item by its path."""

    value: Any
    places: Mapping[KeyPath, Place]

    def place(self, path: KeyPath) -> Place:
        """Find the place of a key, or of the nearest enclosing one that was written."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def get(self, path: KeyPath) -> Any:
        """Return the value at a path, or None where there is none."""
        value = self.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            else:
                inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
                value = value[part] if inside else None
        return value

    def key(self, path: KeyPath) -> str:
        """Name a key for messages, dotted, with list items by their ``name`` where they have one."""
        return ".".join(self._part(path, depth) for depth in range(len(path)))

    def _part(self, path: KeyPath, depth: int) -> str:
        part = path[depth]
        if isinstance(part, int):
            item = self.get(path[: depth + 1])
            name = item.get("name") if isinstance(item, dict) else None
            part = name if isinstance(name, str) and name else str(part)
        return printable(part)

    def problem(self, path: KeyPath, what: str, todo: str = "") -> Problem:
        """Describe a problem with the key at a path."""
        place = self.place(path)
        return Problem(place.file, place.line, self.key(path), what, todo)

    def without(self, path: KeyPath) -> Document:
        """Leave out one key or list item; later items of the list move up."""
        return Document(_removed(self.value, path), dict(_moved_up(self.places, path)))


def _removed(value: Any, path: KeyPath) -> Any:
    first, rest = path[0], path[1:]
    copy = value.copy()
    if rest:
        copy[first] = _removed(value[first], rest)
    else:
        del copy[first]
    return copy


def _moved_up(places: Mapping[KeyPath, Place], removed: KeyPath) -> Iterator[tuple[KeyPath, Place]]:
    parent, last = removed[:-1], removed[-1]
    depth = len(parent)
    for path, place in places.items():
        part = path[depth] if len(path) > depth and path[:depth] == parent else None
        if isinstance(last, int) and isinstance(part, int) and part > last:
            yield (*parent, part - 1, *path[depth + 1 :]), place
        elif part != last:
            yield path, place
