"""The report of a session: what its main process gathered, put in order and decided on."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmops.baselines import changed_commit, commit_of, evaluated_commit
from pytest_llmops.plugin.collected import Collected
from pytest_llmops.plugin.slicing import pipeline_of
from pytest_llmops.records.gate import CellResult, GateResult, cell_key
from pytest_llmops.records.report import BUILD, COMMIT, Report, Shard
from pytest_llmops.sharding import idle_reason
from pytest_llmops.stats.gates import decide, incomplete

if TYPE_CHECKING:
    from pytest_llmops.plugin.settings import Settings
    from pytest_llmops.store import Store

_AGENTS = ("agent-framework-core", "agent-framework-openai")
_PACKAGES = ("pytest-llmops", "pytest", "promptflow", "promptflow-tools", "openai", *_AGENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What the main process of a session met, beside the results of cells.

    ``gates`` are in any order. ``answered`` are the tests that passed or failed. ``obstacles`` is what else stands in
    the way of an open gate, in the order it was met, some of it more than once. ``exitstatus`` is pytest's.
    """

    collected: Collected
    gates: Sequence[GateResult]
    answered: Collection[str]
    obstacles: Sequence[str]
    exitstatus: int


def make_report(found: Gathered, settings: Settings, store: Store, root: Path) -> Report:
    """Put together what a session found out, and decide. ``root`` is pytest's root folder."""
    gates = _in_order(found)
    cells = _cells(gates, store)
    experiments = {result.cell.experiment: result.cell.use_case for result in cells}
    shard = _shard(found.collected, settings)
    commits = (*found.collected.commits, commit_of(root).get(COMMIT, ""))
    obstacles = [*_obstacles(found, shard), *changed_commit(commits)]
    return Report(
        experiments=experiments,
        cells=cells,
        gates=gates,
        decision=decide(gates, dict.fromkeys(obstacles)),
        settings=settings.described(),
        versions=_versions(evaluated_commit(commits), settings),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        baselines={path: source for path, source in found.collected.compared_with.items() if path in experiments},
        shard=shard,
        subjects=found.collected.subjects,
    )


def _in_order(found: Gathered) -> tuple[GateResult, ...]:
    """Sort verdicts as their items were collected, whichever worker was first."""
    planned = found.collected.planned.items()
    places = {(path, item): place for path, items in planned for place, item in enumerate(items)}
    return tuple(
        sorted(
            found.gates,
            key=lambda gate: (gate.experiment, places.get((gate.experiment, gate.item), len(places))),
        )
    )


def _cells(gates: Sequence[GateResult], store: Store) -> tuple[CellResult, ...]:
    keys = dict.fromkeys(cell_key(gate.experiment, gate.cell) for gate in gates)
    return tuple(result for key in keys if (result := store.get(key)) is not None)


def _shard(collected: Collected, settings: Settings) -> Shard | None:
    if settings["shard"] is None:
        return None
    index, count = settings["shard"]
    return Shard(
        index=index,
        count=count,
        planned=dict(sorted(collected.planned.items())),
        own=dict(sorted(collected.own.items())),
        attempt=pipeline_of(settings, os.environ).attempt,
        digests=dict(sorted(collected.digests.items())),
        tests=dict(sorted(collected.tests.items())),
    )


def _versions(commit: str, settings: Settings) -> dict[str, str]:
    known = {COMMIT: commit, BUILD: pipeline_of(settings, os.environ).build}
    versions = {name: value for name, value in known.items() if value}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _obstacles(found: Gathered, shard: Shard | None) -> list[str]:
    """List what stands in the way of an open gate, apart from verdicts."""
    own, marked, exitstatus = found.collected.own, found.collected.marked, found.exitstatus
    obstacles = [*found.obstacles, *incomplete(own, found.gates)]
    if silent := set(marked) - set(found.answered):
        obstacles.append(f"{len(silent)} of {len(marked)} tests marked llmops neither passed nor failed")
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not obstacles:
        obstacles.append(f"the session did not finish (exit code {int(exitstatus)})")
    if not obstacles and not own and shard is not None:
        obstacles.append(idle_reason(shard))
    return obstacles
