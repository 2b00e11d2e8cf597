"""Everything that one session found out: the only input of every report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmops.records.gate import CellResult, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a deployment may go ahead. Closed unless everything that was asked for ran and passed.

    ``reasons`` says, one line each, what closed the gate. ``counts`` has the number of gates per verdict.
    """

    state: Literal["open", "closed"]
    reasons: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Results of a session. ``experiments`` maps the path of each experiment file to the experiment's name.

    ``cells`` and ``gates`` are in order of collection. ``created`` is ISO 8601, UTC. ``settings`` are the effective
    settings by name, ``versions`` those of the packages that were used.
    """

    experiments: Mapping[str, str]
    cells: tuple[CellResult, ...]
    gates: tuple[GateResult, ...]
    decision: Decision
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
