"""Keeps the agent from acting on what others wrote into a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from pytest_llmops.reports.text import COMMAND, COMMAND_BEGUN, defuse


class LogGuard:
    """Defuses logging commands in text that is written piece by piece, and leaves all else as it is.

    A command may begin in one piece and end in another; then a space goes between the two.
    """

    def __init__(self) -> None:
        self._begun = ""

    def __call__(self, text: str) -> str:
        """Return the next piece, made harmless."""
        command = COMMAND.search(self._begun + text)
        if command is not None and command.start() < len(self._begun):
            text, self._begun = f" {text}", ""
        text = defuse(text)
        begun = COMMAND_BEGUN.search(self._begun + text)
        self._begun = begun[0] if begun else ""
        return text


def guard_stream(stream: TextIO) -> Callable[[], None]:
    """Have all that is written to a stream defused. Returns what ends that."""
    write, guard = stream.write, LogGuard()

    def guarded(text: str) -> int:
        write(guard(text))
        return len(text)

    def end() -> None:
        stream.write = write  # type: ignore[method-assign]

    stream.write = guarded  # type: ignore[method-assign]
    return end
