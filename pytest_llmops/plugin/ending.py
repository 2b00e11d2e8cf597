"""How a session ends early whose flows run elsewhere: what it started there costs until it is cancelled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_EVERY = 0.3
"""Seconds from one look to the next."""
_MARK = "ended"


class Terminated(KeyboardInterrupt):
    """SIGTERM, which pytest takes for Ctrl-C, so that all is ended in order."""


def heed_sigterm() -> Callable[[], object]:
    """Have SIGTERM raise ``Terminated``. Returns what puts back how it was before."""
    if threading.current_thread() is not threading.main_thread():  # which alone is told of signals
        return lambda: None
    before = signal.signal(signal.SIGTERM, _terminate)
    return lambda: signal.signal(signal.SIGTERM, before)


def tell_workers(folder: Path) -> None:
    """Tell the processes that share a folder that the session is over. xdist tells them nothing, and kills them."""
    (folder / _MARK).touch()


class Watch:
    """Calls ``stop``, once, when the session is over of which processes share a folder; until it is itself stopped."""

    def __init__(self, folder: Path, stop: Callable[[], object]) -> None:
        self._mark = folder / _MARK
        self._stop = stop
        self._stopped = threading.Event()
        threading.Thread(target=self._work, name="llmops-watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(_EVERY):
            if self._mark.exists():
                self._stop()
                return


def _terminate(number: int, frame: Any) -> NoReturn:
    raise Terminated
