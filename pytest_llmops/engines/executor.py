"""What a worker process knows of the flow that it runs: one Protocol, implemented once per family of flows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_llmops.records.run import Line, Row, RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """Metrics over all completed lines, and what kept them from being complete."""

    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


class Executor(Protocol):
    """Runs one flow in a process that it has for itself, so it may change whatever that process shares."""

    line_timeout: float
    """Seconds that a line may take; known once prepared."""

    aggregates: bool
    """Whether the flow computes metrics over its lines; known once prepared."""

    def prepare(self, request: RunRequest) -> list[Line]:
        """Load the flow and map the data to its inputs.

        Raises:
            Exception: of any kind, when no line can run; its message is for the user.
        """

    def run_line(self, inputs: Mapping[str, Any], line_number: int) -> Row:
        """Execute one line; its failure is in the row. Safe to call from several threads, never from the main one."""

    def contribution(self, line_number: int) -> str | None:
        """Return what a completed line contributes to the metrics, as JSON, or None where JSON would change it."""

    def restore(self, line: Line, contribution: str) -> None:
        """Take a line as completed that another process executed, with what it contributes to the metrics."""

    def aggregate(self, completed: Collection[int]) -> Aggregation:
        """Compute the metrics over the completed lines, given by number."""
