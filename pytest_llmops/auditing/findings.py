"""What an audit comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Topic = Literal["input", "output", "node", "setting", "prompt", "variant", "connection", "variable", "file"]
State = Literal["covered", "open", "unknown"]
"""``open`` is a question to a person, ``unknown`` what reading files can't tell."""

WHEN_RUN = "checked when it runs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the flow has, and whether the candidate was found to have it too."""

    topic: Topic
    subject: str
    state: State
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What of a flow one candidate was found to cover; ``read`` is the number of its files that were read."""

    candidate: str
    flow: str
    read: int
    findings: tuple[Finding, ...]

    @property
    def open(self) -> int:
        """How much is a question to a person."""
        return sum(finding.state == "open" for finding in self.findings)
