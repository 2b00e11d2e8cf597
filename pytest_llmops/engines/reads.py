"""Notes what a flow reads beside what its request names: files, listings of folders, environment variables.

Files are seen through Python's audit events. So what C code opens by itself, what child processes read, and a bare
``os.path.exists`` go unnoticed.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from pytest_llmops.engines.modules import rivals, source_of
from pytest_llmops.engines.territory import Territory
from pytest_llmops.engines.variables import watch_environment
from pytest_llmops.ledger import UNREADABLE, Stamp, digest_of, digest_of_variable, holds_secret, is_ignored, stamp
from pytest_llmops.records.run import NO_READS, Reads

_ABOUT_THE_SESSION = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_")
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
"""Variables that say nothing about what a flow gives, unless its own code asks for one of them."""
_CREDENTIALS = (".netrc", "_netrc")
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_WRITES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_AFRESH = os.O_EXCL | os.O_TRUNC
_NAMELESS: int | None = getattr(os, "O_TMPFILE", None)
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
        self._territory = Territory(folder, ignored)
        self._in_context = in_context
        self._environment = environment
        self._paused = threading.local()
        # Appending and popping are atomic, which is all that threads need of each other here.
        self._sights: deque[_Sight] = deque()
        self._missed: deque[str] = deque()
        self._names: deque[str] = deque()
        self._known_names: set[str] = set()
        self._own: set[str] = set()
        self._modules: set[str] = set()
        self._modules_due = True
        self._states: dict[str, tuple[Stamp | None, str | None]] = {}
        self._counted: dict[str, bool] = {}

    def start(self) -> None:
        """Begin to track. There is no end to it: Python's audit hooks stay."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and self._territory.is_source(file):
                self._read(file)
        watch_environment(self, self._known_names)
        handlers: Mapping[str, Callable[[Any], None]] = {
            "open": self._opened,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            "os.mkdir": self._made,
            "os.rename": self._renamed,
            "sqlite3.connect": self._connected,
            "import": self._imported,
        }

        def hook(event: str, arguments: Any, find: Callable[[str], Any] = handlers.get) -> None:
            handler = find(event)
            if handler is not None and not getattr(self._paused, "now", False):
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
            while self._sights:
                self._look(*self._sights.popleft(), files)
            while self._missed:
                self._look_for(self._missed.popleft(), files)
            if self._modules_due:
                self._modules_due = False
                self._look_at_modules(files)
        variables = {}
        while self._names:
            name = self._names.popleft()
            variables[name] = digest_of_variable(self._environment.get(name))
        return Reads(files=files, variables=variables)

    def asked(self, name: str, by: str) -> None:
        """Take note of a variable that a source file asks for by name."""
        if getattr(self._paused, "now", False) or name in self._known_names:
            return
        if not (name.startswith(_ABOUT_THE_SESSION) if self.is_of_flow(by) else _is_noise(name)):
            self._know(name)

    def walked(self, names: Iterable[str]) -> None:
        """Take note of all variables, which the flow goes through."""
        if not getattr(self._paused, "now", False):
            for name in names:
                if not _is_noise(name):
                    self._know(name)

    def is_of_flow(self, filename: str) -> bool:
        """Tell whether a source file is the flow's own, and not a library's."""
        return self._territory.is_source(filename)

    def _know(self, name: str) -> None:
        if name not in self._known_names:
            self._known_names.add(name)
            if not holds_secret(name, self._environment.get(name)):
                self._names.append(name)

    def _opened(self, arguments: tuple[Any, Any, int]) -> None:
        path, _, flags = arguments
        if _NAMELESS is not None and flags & _NAMELESS == _NAMELESS:
            return
        if flags & _ACCESS != os.O_WRONLY and not flags & _AFRESH:
            self._read(path)
        if flags & _WRITES and not isinstance(path, int) and not os.path.isdir(path):
            self._write(path)

    def _listed(self, arguments: tuple[Any]) -> None:
        if not _IMPORTERS.match(sys._getframe(2).f_code.co_filename):
            self._read(arguments[0] or os.curdir)

    def _made(self, arguments: tuple[Any, ...]) -> None:
        path, _, parent = arguments
        if parent == -1 and not os.path.lexists(path):
            self._write(path)

    def _renamed(self, arguments: tuple[Any, ...]) -> None:
        self._write(arguments[1])

    def _connected(self, arguments: tuple[Any]) -> None:
        if isinstance(arguments[0], int):
            return
        path = os.fsdecode(arguments[0])
        if path.startswith("file:"):
            path = unquote(urlsplit(path).path)
        if path not in ("", ":memory:"):
            self._read(path)
            self._read(f"{path}-wal")

    def _imported(self, arguments: tuple[Any, ...]) -> None:
        name, file, *_ = arguments
        self._modules_due = True
        if file is not None:  # machine code, which no other event tells of
            self._read(file)
        # Libraries look for many modules that nobody has; a flow that does so has settings of its own in mind.
        elif self.is_of_flow(sys._getframe(2).f_code.co_filename):
            self._missed.append(name)

    def _write(self, path: Any) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(path))
            self._own |= {path, os.path.realpath(path)}

    def _read(self, path: Any) -> None:
        """Note how a file is just before it is read: what a folder lists, and of a file what shows any change."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = source_of(os.path.abspath(os.fsdecode(path)))
        self._modules_due |= path.endswith(".py")
        if self._is_own(path):
            path = os.path.realpath(path)  # a link that the flow made may lead to what it did not
        if not self._counts(path) or self._is_own(path):
            return
        with self.paused():
            self._sights.append((path, stamp(path), digest_of(path) if os.path.isdir(path) else None))

    def _look(self, path: str, seen: Stamp | None, listing: str | None, files: dict[str, str | None]) -> None:
        before = self._states.get(path)
        if before is not None and (before[0] == seen == stamp(path) or before[1] == UNREADABLE):
            return
        found = listing or self._content(path, seen)
        if before is not None and before[1] != found:
            found = UNREADABLE  # lines have seen one content or the other
        if before is None or before[1] != found:
            files[self._territory.name(path)] = found
        self._states[path] = seen, found

    def _content(self, path: str, seen: Stamp | None) -> str | None:
        found = digest_of(path)
        if stamp(path) == seen:
            return found
        # SQLite makes an empty log beside a database that it only reads.
        made_here = self._is_own(path) or (path.endswith("-wal") and not os.path.getsize(path))
        return None if seen is None and made_here else UNREADABLE

    def _look_at_modules(self, files: dict[str, str | None]) -> None:
        """Note what would be imported in place of the user's modules, had it been there."""
        new = set(sys.modules) - self._modules
        self._modules |= new
        for name in sorted(new):
            module = sys.modules.get(name)
            file, places = getattr(module, "__file__", None), getattr(module, "__path__", ())
            if isinstance(file, str) and self._is_users(file):
                self._look_for_rivals(name, os.path.abspath(file), files)
            elif file is None and any(map(self._is_users, places)):
                self._look_for_rivals(name, None, files)

    def _look_for(self, name: str, files: dict[str, str | None]) -> None:
        """Note where a module was looked for that was not there: it may be one day."""
        if name in sys.modules:
            return
        while (parent := name.rpartition(".")[0]) and parent not in sys.modules:
            name = parent
        self._look_for_rivals(name, None, files)

    def _look_for_rivals(self, name: str, file: str | None, files: dict[str, str | None]) -> None:
        if file is None or not self._territory.is_inside(file):
            self._know("PYTHONPATH")
        for path in rivals(name, file):
            if self._counts(path) and not self._is_own(path):
                self._look(path, stamp(path), None, files)

    def _is_own(self, path: str) -> bool:
        """Tell whether the flow wrote a file, or made a folder above it."""
        while self._own:
            if path in self._own:
                return True
            path, child = os.path.dirname(path), path
            if path == child:
                break
        return False

    def _is_users(self, path: object) -> bool:
        return isinstance(path, str) and self._territory.is_source(path)

    def _counts(self, path: str) -> bool:
        if path not in self._counted:
            known = self._is_known(path) or os.path.basename(path) in _CREDENTIALS
            self._counted[path] = not known and self._territory.is_users(path)
        return self._counted[path]

    def _is_known(self, path: str) -> bool:
        """Tell whether a file is known from the context."""
        inside = self._in_context and self._territory.is_inside(path)
        return inside and not any(map(is_ignored, Path(path).relative_to(self._territory.folder).parts))


_Sight = tuple[str, "Stamp | None", "str | None"]


def _is_noise(name: str) -> bool:
    return name.upper() in _NOISE or name.startswith(_OWN_PREFIXES)
