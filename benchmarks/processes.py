"""Processes as users start them: timed, with compiled bytecode, and with their memory watched."""

from __future__ import annotations

import compileall
import contextlib
import os
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_INTERVAL = 0.03
_HIDDEN = ("PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS", "LLMOPS_", "PF_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A process that has ended. Times are Unix times; ``peak`` is in MB, that of its largest process."""

    begun: float
    ended: float
    output: str
    code: int
    peak: float

    @property
    def seconds(self) -> float:
        """Wall time from start to end."""
        return self.ended - self.begun


def run(
    command: Sequence[str | Path],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cpus: set[int] | None = None,
    check: bool = True,
) -> Finished:
    """Run a command to its end. ``cpus`` limits it to some processors.

    Raises:
        RuntimeError: with all it printed, when it fails and ``check`` is true.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
    with tempfile.TemporaryFile() as output:
        begun = time.time()
        process = subprocess.Popen(
            [*map(str, command)],
            cwd=folder,
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_pinned(cpus),  # noqa: PLW1509 - no other thread holds a lock that it could need
        )
        with _watched(process.pid) as peaks:
            code = process.wait()
        ended = time.time()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if check and code:
        raise RuntimeError(f"{' '.join(map(str, command))}\nended with exit code {code}:\n{text}")
    return Finished(begun=begun, ended=ended, output=text, code=code, peak=max(peaks.values(), default=0.0))


def pytest_command(*arguments: str | Path) -> list[str | Path]:
    """Return the command of a pytest session of this Python, without a plugin that only developers have."""
    return [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *arguments]


def compile_bytecode() -> None:
    """Compile what all contestants of this Python import, so that none pays for it while it is measured."""
    for folder in (*site.getsitepackages(), ROOT / "pytest_llmops"):
        compileall.compile_dir(str(folder), quiet=2, workers=0)


def _pinned(cpus: set[int] | None) -> Callable[[], None] | None:
    return None if cpus is None else lambda: os.sched_setaffinity(0, cpus)


@contextmanager
def _watched(pid: int) -> Iterator[Mapping[int, float]]:
    """Note the peak memory of a process and all its descendants, in MB. Empty where there is no ``/proc``."""
    peaks: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_INTERVAL):
            for each in _family(pid):
                with contextlib.suppress(OSError):
                    peaks[each] = max(peaks.get(each, 0.0), _high_water_mark(each))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def _family(pid: int) -> Iterator[int]:
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in file.read_text("ascii").split():
                yield from _family(int(child))


def _high_water_mark(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
