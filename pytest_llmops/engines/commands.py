"""What an engine has a worker do once its flow is loaded, one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.records.run import Outcome

Command = Mapping[str, Any]


def execute(numbers: Sequence[int], *, concurrency: int) -> bytes:
    """Encode the command to execute these lines, so many at once."""
    return _encode({"command": "execute", "numbers": numbers, "concurrency": concurrency})


def restore(outcomes: Iterable[Outcome]) -> bytes:
    """Encode the command to take lines as completed that another process executed."""
    return _encode({"command": "restore", "lines": [[o.row.line_number, o.aggregation] for o in outcomes]})


def kept(numbers: Collection[int]) -> bytes:
    """Encode the news that the outcomes of these lines are kept."""
    return _encode({"command": "kept", "numbers": list(numbers)})


def aggregate(completed: Sequence[int]) -> bytes:
    """Encode the command to compute the metrics over these lines, and end."""
    return _encode({"command": "aggregate", "completed": completed})


def decode(line: bytes) -> Command:
    """Read a command."""
    command: Command = json.loads(line)
    return command


def _encode(command: Command) -> bytes:
    return json.dumps(command).encode() + b"\n"
