"""What is wrong or doubtful in an experiment, gathered until everything has been looked at."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmops.errors import Problem
from pytest_llmops.spec.positions import Document, KeyPath


class Findings:
    """Errors and warnings of one experiment. With ``strict``, doubtful settings are errors."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._errors: list[Problem] = []
        self._warnings: list[Problem] = []

    def error(self, problem: Problem) -> None:
        """Note what must be corrected before anything can run."""
        self._errors.append(problem)

    def doubt(self, problem: Problem) -> None:
        """Note a setting that is probably a mistake: a warning, or an error where the user asked for strictness."""
        (self._errors if self.strict else self._warnings).append(problem)

    def warn(self, problem: Problem) -> None:
        """Note something worth knowing that may well be intended."""
        self._warnings.append(problem)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be corrected."""
        return tuple(self._errors)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning once, as one-line text, in order of place."""
        return tuple(map(str, sorted(set(self._warnings))))


@dataclass(frozen=True, slots=True)
class Reporter:
    """Notes findings about keys of one document."""

    document: Document
    findings: Findings

    def error(self, path: KeyPath, what: str, todo: str) -> None:
        """Note what must be corrected."""
        self.findings.error(self.document.problem(path, what, todo))

    def doubt(self, path: KeyPath, what: str, todo: str) -> None:
        """Note what is probably a mistake."""
        self.findings.doubt(self.document.problem(path, what, todo))
