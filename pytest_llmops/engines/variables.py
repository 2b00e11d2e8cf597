"""``os.environ``, made to tell which variables are asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

_Call = tuple[int, int]


class Watcher(Protocol):
    """Who wants to know."""

    def asked(self, names: Iterable[str]) -> None:
        """Take note of names that are asked for."""

    def is_of_flow(self, filename: str) -> bool:
        """Tell whether a source file is the flow's own, and not a library's."""


class WatchedEnvironment(os._Environ[str]):
    """An environment that tells its watcher of every variable that is asked for by name, and was not set here before.

    Libraries go through all variables to find a few, or to hand them on to a child process: that tells nothing. A flow
    that does so may depend on each of them.
    """

    _watcher: Watcher
    _settled: set[str]
    _walk: threading.local

    def __getitem__(self, key: str) -> str:
        # dict(os.environ) asks for the keys and then for each value, all from one and the same instruction.
        if key not in self._settled and getattr(self._walk, "call", None) != _call(sys._getframe(1)):
            self._watcher.asked((key,))
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        self._settled.add(key)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._settled.add(key)

    def __iter__(self) -> Iterator[str]:
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

    def copy(self) -> dict[str, str]:
        """Return all variables as a dict."""
        self._walked(sys._getframe(1))
        return self._snapshot()

    def __or__(self, other: Mapping[str, str]) -> dict[str, str]:  # type: ignore[override]
        self._walked(sys._getframe(1))
        return {**self._snapshot(), **other}

    def __ror__(self, other: Mapping[str, str]) -> dict[str, str]:  # type: ignore[override]
        self._walked(sys._getframe(1))
        return {**other, **self._snapshot()}

    def _snapshot(self) -> dict[str, str]:
        get: Callable[[str], str] = super().__getitem__
        return {name: get(name) for name in super().__iter__()}

    def _walked(self, by: FrameType) -> None:
        self._walk.call = _call(by)
        if self._watcher.is_of_flow(by.f_code.co_filename):
            self._watcher.asked(name for name in self._snapshot() if name not in self._settled)


def watch_environment(watcher: Watcher, settled: set[str]) -> None:
    """Have ``os.environ`` tell of what is asked for from now on. Everybody who holds on to it gets the watched one.

    ``settled`` are names that need not be told of (again); those that are set here join them.
    """
    environment: Any = os.environ
    environment._watcher, environment._settled, environment._walk = watcher, settled, threading.local()
    environment.__class__ = WatchedEnvironment


def _call(frame: FrameType) -> _Call:
    return id(frame), frame.f_lasti
