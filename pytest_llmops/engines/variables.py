"""``os.environ``, made to tell which variables are asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

_Call = tuple[int, int]
_PLUMBING = (os.getenv.__code__.co_filename, Mapping.get.__code__.co_filename)
"""Through which code goes that asks for a variable."""


class Watcher(Protocol):
    """Who wants to know."""

    def asked(self, name: str, by: str) -> None:
        """Take note of a variable that a source file asks for by name."""

    def walked(self, names: Iterable[str]) -> None:
        """Take note of all variables, which the flow goes through."""

    def is_of_flow(self, filename: str) -> bool:
        """Tell whether a source file is the flow's own, and not a library's."""


class WatchedEnvironment(os._Environ[Any]):
    """An environment that tells its watcher of every variable that is asked for by name, and was not set here before.

    Libraries go through all variables to find a few, or to hand them on to a child process: that tells nothing. A flow
    that does so may depend on each of them.
    """

    _watcher: Watcher
    _settled: set[str]
    _walk: threading.local

    def __getitem__(self, key: Any) -> Any:
        name, caller = os.fsdecode(key), sys._getframe(1)
        # dict(os.environ) asks for the keys and then for each value, all from one and the same instruction.
        if name not in self._settled and getattr(self._walk, "call", None) != _call(caller):
            self._watcher.asked(name, _asker(caller))
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._settled.add(os.fsdecode(key))

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._settled.add(os.fsdecode(key))

    def __iter__(self) -> Iterator[Any]:
        self._walked(sys._getframe(1))
        return super().__iter__()

    def keys(self) -> Any:
        """Return the names of all variables."""
        self._walked(sys._getframe(1))
        return self._snapshot().keys()

    def values(self) -> Any:
        """Return the values of all variables."""
        self._walked(sys._getframe(1))
        return self._snapshot().values()

    def items(self) -> Any:
        """Return all variables."""
        self._walked(sys._getframe(1))
        return self._snapshot().items()

    def copy(self) -> dict[Any, Any]:
        """Return all variables as a dict."""
        self._walked(sys._getframe(1))
        return self._snapshot()

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        self._walked(sys._getframe(1))
        return {**self._snapshot(), **other}

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        self._walked(sys._getframe(1))
        return {**other, **self._snapshot()}

    def _snapshot(self) -> dict[Any, Any]:
        get: Callable[[Any], Any] = super().__getitem__
        return {name: get(name) for name in super().__iter__()}

    def _walked(self, by: FrameType) -> None:
        self._walk.call = _call(by)
        if self._watcher.is_of_flow(by.f_code.co_filename):
            self._watcher.walked(name for name in map(os.fsdecode, self._snapshot()) if name not in self._settled)


def watch_environment(watcher: Watcher, settled: set[str]) -> None:
    """Have ``os.environ`` and ``os.environb`` tell of what is asked for from now on, whoever holds on to them.

    ``settled`` are names that need not be told of (again); those that are set here join them.
    """
    watched: list[Any] = [os.environ, *([os.environb] if os.supports_bytes_environ else [])]
    for environment in watched:
        environment._watcher, environment._settled, environment._walk = watcher, settled, threading.local()
        environment.__class__ = WatchedEnvironment


def _call(frame: FrameType) -> _Call:
    return id(frame), frame.f_lasti


def _asker(frame: FrameType | None) -> str:
    """Return the source file that asks: the nearest that is neither plumbing nor made by code at run time."""
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith("<") and filename not in _PLUMBING:
            return filename
        frame = frame.f_back
    return "<unknown>"
