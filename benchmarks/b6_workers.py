"""B6: cells that compute, with ``-n 2`` against ``-n 0``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, Settings, alternately, ratio
from benchmarks.processes import pytest_command, run
from benchmarks.projects import questions, write_answer_flow, write_experiment, write_match_flow, write_rows

_ROWS = 20
_COMPUTE = "return str(sum(number * number for number in range({}))) + text"


def measure(folder: Path, settings: Settings) -> Sequence[Figure]:
    """Measure ``-n 2`` against ``-n 0`` as it is, which has two workers already, and against ``-n 0`` on one core."""
    effort = 100_000 if settings.quick else 3_000_000
    bodies = {"plain": _COMPUTE.format(effort), "other": _COMPUTE.format(effort + 1)}
    write_answer_flow(folder / "flows" / "compute", bodies)
    write_match_flow(folder / "flows" / "match")
    for name in ("one", "two"):
        write_rows(folder / "datasets" / f"{name}.jsonl", questions(_ROWS))
    write_experiment(folder / "evals" / "compute", "compute", {name: f"{name}.jsonl" for name in ("one", "two")})
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def session(workers: str, cpus: set[int] | None = None) -> float:
        return run(pytest_command("evals", "-n", workers, "--llmops-no-cache"), folder, cpus=cpus).seconds

    contestants = {"two": lambda: session("2"), "none": lambda: session("0")}
    if pinned := _one_core():
        contestants["pinned"] = lambda: session("0", pinned)
    taken = alternately(contestants, settings.repetitions)
    figures = [ratio("workers, `-n 2`", "`-n 0`, which computes two cells at once too", taken["two"], taken["none"])]
    if pinned:
        for name, ours in (("-n 2", "two"), ("-n 0", "none")):
            against = "`-n 0` held on one core"
            figures.append(ratio(f"workers, `{name}`", against, taken[ours], taken["pinned"], target=1.6))
    return figures


def _one_core() -> set[int]:
    """Return one of the processors that may be used, or none where they can't be chosen."""
    return set(sorted(os.sched_getaffinity(0))[:1]) if hasattr(os, "sched_getaffinity") else set()
