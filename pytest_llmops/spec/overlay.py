"""Overlays: ``experiment.<env>.yaml`` laid over ``experiment.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.spec.positions import Document, KeyPath, Place

IDENTITY = ("name", "flow")
MERGED = "llmops"


def lay_over(base: Document, overlay: Document) -> Document:
    """Replace the blocks that the overlay sets, and merge its ``llmops`` into the base's, key by key.

    The template ignores name and flow of an overlay: they stay the base's.
    """
    document = base
    for key in overlay.value:
        if key == MERGED:
            for path in _differing(document, overlay, (key,)):
                document = _graft(document, overlay, path)
        elif key not in IDENTITY:
            document = _graft(document, overlay, (key,))
    return document


def _differing(base: Document, overlay: Document, path: KeyPath) -> Iterator[KeyPath]:
    """Find the topmost keys at which the overlay has something other than a mapping to merge."""
    new = overlay.get(path)
    if not (isinstance(new, dict) and isinstance(base.get(path), dict)):
        yield path
        return
    for key in new:
        yield from _differing(base, overlay, (*path, key))


def _graft(base: Document, overlay: Document, path: KeyPath) -> Document:
    """Take the value at a path, and the places in it, from the overlay."""
    value = _with(base.value, path, overlay.get(path))
    return Document(value, {**_places(base, path, inside=False), **_places(overlay, path, inside=True)})


def _with(mapping: Mapping[str | int, Any], path: KeyPath, value: Any) -> Mapping[str | int, Any]:
    first, rest = path[0], path[1:]
    return {**mapping, first: _with(mapping[first], rest, value) if rest else value}


def _places(document: Document, path: KeyPath, *, inside: bool) -> dict[KeyPath, Place]:
    return {p: place for p, place in document.places.items() if (p[: len(path)] == path) is inside}
