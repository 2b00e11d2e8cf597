"""Notes what a flow reads beside what its request names: files, listings of folders, environment variables.

Files are seen through Python's audit events. So what C code opens by itself, what child processes read, and a bare
``os.path.exists`` go unnoticed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import site
import sys
import sysconfig
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import pytest_llmops
from pytest_llmops.engines.variables import watch_environment
from pytest_llmops.ledger import UNREADABLE, Stamp, digest_of, digest_of_variable, holds_secret, is_ignored, stamp
from pytest_llmops.records.run import NO_READS, Reads

_SYSTEM = ("/proc", "/dev", "/sys", "/etc")
_OWN_PREFIXES = ("PYTEST_", "LLMOPS_", "PF_")
_NOISE = frozenset(
    {
        # How people see it.
        *("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "DISPLAY"),
        # Where it runs, and for whom.
        *("PATH", "PWD", "OLDPWD", "SHLVL", "SHELL", "_", "HOME", "USER", "LOGNAME", "HOSTNAME", "VIRTUAL_ENV"),
        *("TMPDIR", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA"),
        # How it reaches the network.
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
)
"""Variables that say nothing about what a flow gives."""
_CREDENTIALS = (".netrc", "_netrc")
_WRITES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_IMPORTERS = re.compile(r"<frozen importlib|.*[/\\](importlib[/\\]metadata|pkg_resources)[/\\]")
"""Who lists folders for no other reason than to find modules."""


class Tracker(Protocol):
    """What the rest of a worker knows of the one below, or of one that tracks nothing."""

    def paused(self) -> AbstractContextManager[None]:
        """Don't count what this thread reads in the meantime."""

    def new(self) -> Reads:
        """Return what was read since the last time."""


class NoTracker:
    """Tracks nothing."""

    def paused(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def new(self) -> Reads:
        """Return that nothing was read."""
        return NO_READS


class ReadTracker:
    """Tracks what a flow reads in this process, for as long as the process lives.

    ``folder`` is the flow's; ``in_context`` says that its files are known from the context of the run. ``environment``
    are the variables as the session has them. ``ignored`` are folders that hold nothing of the user's.
    """

    def __init__(
        self, folder: Path, *, in_context: bool, environment: Mapping[str, str], ignored: Iterable[Path] = ()
    ) -> None:
        self._folder = os.path.abspath(folder)
        self._in_context = in_context
        self._environment = environment
        self._ignored = _prefixes([*_SYSTEM, *_libraries(), *map(str, ignored)])
        self._paused = threading.local()
        # Appending and popping are atomic, which is all that threads need of each other here.
        self._events: deque[tuple[_Note, str]] = deque()
        self._names: deque[str] = deque()
        self._known_names: set[str] = set()
        self._written: set[str] = set()
        self._states: dict[str, tuple[Stamp | None, str | None]] = {}
        self._counted: dict[str, bool] = {}

    def start(self) -> None:
        """Begin to track. There is no end to it: Python's audit hooks stay."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                self._events.append((self._read, os.path.abspath(file)))
        watch_environment(self, self._known_names)
        handlers: Mapping[str, Callable[[Any], None]] = {
            "open": self._opened,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            "os.rename": self._renamed,
            "sqlite3.connect": self._connected,
            "import": self._imported,
        }

        def hook(event: str, arguments: Any, find: Callable[[str], Any] = handlers.get) -> None:
            handler = find(event)
            if handler is not None:
                handler(arguments)

        sys.addaudithook(hook)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Don't count what this thread reads in the meantime."""
        before, self._paused.now = getattr(self._paused, "now", False), True
        try:
            yield
        finally:
            self._paused.now = before

    def new(self) -> Reads:
        """Return what was read since the last time. Files are looked at now."""
        files: dict[str, str | None] = {}
        with self.paused():
            while self._events:
                note, path = self._events.popleft()
                note(path, files)
        variables = {}
        while self._names:
            name = self._names.popleft()
            variables[name] = digest_of_variable(self._environment.get(name))
        return Reads(files=files, variables=variables)

    def asked(self, names: Iterable[str]) -> None:
        """Take note of environment variables that are asked for."""
        if getattr(self._paused, "now", False):
            return
        for name in names:
            if name not in self._known_names:
                self._known_names.add(name)
                if not self._is_noise(name):
                    self._names.append(name)

    def is_of_flow(self, filename: str) -> bool:
        """Tell whether a source file is the flow's own, and not a library's."""
        return not filename.startswith(("<", *self._ignored))

    def _is_noise(self, name: str) -> bool:
        known = name.upper() in _NOISE or name.startswith(_OWN_PREFIXES)
        return known or holds_secret(name, self._environment.get(name))

    def _opened(self, arguments: tuple[Any, Any, int]) -> None:
        path, _, flags = arguments
        self._note(self._write if flags & _WRITES else self._read, path)

    def _listed(self, arguments: tuple[Any]) -> None:
        if not _IMPORTERS.match(sys._getframe(2).f_code.co_filename):
            self._note(self._read, arguments[0] or os.curdir)

    def _renamed(self, arguments: tuple[Any, ...]) -> None:
        self._note(self._write, arguments[1])

    def _connected(self, arguments: tuple[Any]) -> None:
        self._note(self._read, arguments[0])

    def _imported(self, arguments: tuple[Any, ...]) -> None:
        # Libraries look for many modules that nobody has; a flow that does so has settings of its own in mind.
        if self.is_of_flow(sys._getframe(2).f_code.co_filename) and not getattr(self._paused, "now", False):
            self._events.append((self._import, arguments[0]))

    def _note(self, note: _Note, path: Any) -> None:
        if not getattr(self._paused, "now", False) and isinstance(path, (str, bytes, os.PathLike)):
            self._events.append((note, os.path.abspath(os.fsdecode(path))))

    def _write(self, path: str, files: dict[str, str | None]) -> None:
        self._written.add(path)

    def _read(self, path: str, files: dict[str, str | None]) -> None:
        if path.endswith(".pyc"):
            path = _source(path)
        if path in self._written or not self._counts(path):
            return
        before, now = self._states.get(path), stamp(path)
        if before is not None and (before[0] == now or before[1] == UNREADABLE):
            return
        found = digest_of(path)
        if before is not None and before[1] != found:
            found = UNREADABLE  # lines have seen one content or the other
        if before is None or before[1] != found:
            files[Path(self._relative(path)).as_posix()] = found
        self._states[path] = now, found

    def _import(self, name: str, files: dict[str, str | None]) -> None:
        """Note where a module was looked for that was not there: it may be one day."""
        if name in sys.modules:
            return
        parent, _, tail = name.rpartition(".")
        places = getattr(sys.modules.get(parent), "__path__", ()) if parent else sys.path
        for place in filter(os.path.isdir, places):
            for candidate in (f"{tail}.py", os.path.join(tail, "__init__.py")):
                self._read(os.path.abspath(os.path.join(place, candidate)), files)

    def _counts(self, path: str) -> bool:
        if path not in self._counted:
            spellings = (path + os.sep, os.path.realpath(path) + os.sep)
            ignored = any(spelling.startswith(self._ignored) for spelling in spellings)
            self._counted[path] = not (ignored or os.path.basename(path) in _CREDENTIALS or self._is_known(path))
        return self._counted[path]

    def _is_known(self, path: str) -> bool:
        """Tell whether a file is known from the context."""
        inside = self._in_context and (path == self._folder or path.startswith(self._folder + os.sep))
        return inside and not any(map(is_ignored, Path(path).relative_to(self._folder).parts))

    def _relative(self, path: str) -> str:
        try:
            return os.path.relpath(path, self._folder)
        except ValueError:  # another drive of Windows
            return path


_Note = Callable[[str, dict[str, str | None]], None]


def _source(path: str) -> str:
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def _libraries() -> Iterator[str]:
    """Yield where installed code lies. The context has the versions of it."""
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield os.path.join(os.path.dirname(paths["stdlib"]), f"python{sys.version_info.major}{sys.version_info.minor}.zip")
    yield from site.getsitepackages()
    yield site.getusersitepackages()
    yield os.path.dirname(pytest_llmops.__file__)


def _prefixes(folders: Iterable[str]) -> tuple[str, ...]:
    spellings = {path for folder in folders for path in (os.path.abspath(folder), os.path.realpath(folder))}
    return tuple(sorted(path.rstrip(os.sep) + os.sep for path in spellings))
