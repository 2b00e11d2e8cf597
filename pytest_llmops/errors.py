"""Errors that users meet, each printed as short text and never as a traceback.

LLMOpsError
├── ConfigurationError    what a file or an option says is wrong; carries every problem found at once
├── RunError              a run could not be executed at all (its rows never started)
├── AccessError           no login, no right to it, or no such workspace: nothing was begun
└── CloudError            a service in the cloud refused something, or failed at it, after work was begun
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class LLMOpsError(Exception):
    """Base of all errors that are meant for the user."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one place: what is wrong, and what to do about it."""

    file: str
    line: int
    key: str
    what: str
    todo: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        todo = f"; {self.todo}" if self.todo else ""
        return f"{place}:{key} {self.what}{todo}"


class ConfigurationError(LLMOpsError):
    """One or more problems in what the user configured, reported together."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))

    @classmethod
    def one(cls, file: str | Path, line: int, key: str, what: str, todo: str = "") -> ConfigurationError:
        """Make the error for a single problem."""
        return cls([Problem(str(file), line, key, what, todo)])


class RunError(LLMOpsError):
    """A run that could not be executed: the flow does not load, its data can't be read, its worker died."""


class AccessError(LLMOpsError):
    """What is needed in the cloud can't be reached: no login, an expired one, no right to it, or it is not there."""


class CloudError(LLMOpsError):
    """A service in the cloud refused something or failed at it. What was begun before may have been taken back."""
