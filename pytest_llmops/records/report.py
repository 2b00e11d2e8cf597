"""Everything that one session found out: the only input of every report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmops.records.gate import CellResult, GateResult

COMMIT = "commit"
BUILD = "build"
"""Names, among the versions of a report, of the repository's commit and of the pipeline's run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a deployment may go ahead. Closed unless everything that was asked for ran and passed.

    ``reasons`` says, one line each, what closed the gate. ``counts`` has the number of gates per verdict.
    """

    state: Literal["open", "closed"]
    reasons: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Which part of the work a session did: number ``index`` of ``count``, from 1.

    ``planned`` are the items of all parts, by path of their experiment file: the same in each part of one whole.
    ``own`` are those of this part. ``attempt`` counts how often this part was tried, from 1: the last one holds.
    ``digests`` stand for what verdicts of an experiment are made from, by path of its file, and ``tests`` for the
    tests that were selected in each file of tests: both the same in each part too.
    """

    index: int
    count: int
    planned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attempt: int = 1
    digests: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an experiment's verdicts are about: a flow, by the digest of its files, and the data that it was run on.

    ``criteria`` stands for what both were judged by: thresholds, gate policy, evaluators. All three digests are of
    files as they were before anything was executed, and are empty where they can't be read.
    """

    flow: str
    digest: str
    data: str
    criteria: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Results of a session. ``experiments`` maps the path of each experiment file to the experiment's name.

    ``cells`` and ``gates`` are in order of collection. ``created`` is ISO 8601, UTC. ``settings`` are the effective
    settings by name, ``versions`` those of the packages that were used, beside ``commit`` and ``build``. ``baselines``
    maps experiments to the path of what they were compared with, where that is a file or folder. ``shard`` is set where
    the session did a part of the work only: its gates alone say nothing of the whole. ``subjects`` maps experiments to
    what they are about.
    """

    experiments: Mapping[str, str]
    cells: tuple[CellResult, ...]
    gates: tuple[GateResult, ...]
    decision: Decision
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    baselines: Mapping[str, str] = field(default_factory=dict)
    shard: Shard | None = None
    subjects: Mapping[str, Subject] = field(default_factory=dict)
