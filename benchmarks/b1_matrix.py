"""B1: a matrix of 3 flows, 2 datasets and 2 variants, each run and evaluated, against ``PFClient().run``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Settings, alternately, ratio
from benchmarks.processes import pytest_command, run
from benchmarks.projects import questions, write_answer_flow, write_experiment, write_match_flow, write_rows
from benchmarks.promptflow_runs import run_with_promptflow

_ROWS = 20
_AGAINST = "the same runs through `PFClient().run`"


class _Matrix:
    """The project, and both ways to run all of it."""

    def __init__(self, folder: Path, flows: int, datasets: int) -> None:
        self._folder = folder
        self._flows = [write_answer_flow(folder / "flows" / f"flow{i}") for i in range(flows)]
        self._match = write_match_flow(folder / "flows" / "match")
        names = [f"data{i}" for i in range(datasets)]
        self._data = [write_rows(folder / "datasets" / f"{name}.jsonl", questions(_ROWS)) for name in names]
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for flow in self._flows:
            sources = {name: f"{name}.jsonl" for name in names}
            write_experiment(folder / "evals" / flow.name, flow.name, sources)
        self._sessions = 0
        self.metrics: dict[str, list[float]] = {}

    def from_nothing(self) -> float:
        """Run a session with an empty ledger."""
        self._sessions += 1
        return self.again()

    def again(self) -> float:
        """Run a session with the ledger of the one before."""
        ledger = self._folder / f"ledger{self._sessions}"
        finished = run(pytest_command("evals", "--llmops-ledger", ledger), self._folder)
        results = json.loads((self._folder / "reports" / "results.json").read_text(encoding="utf-8"))
        evaluations = [evaluation for cell in results["cells"] for evaluation in cell["evaluations"].values()]
        self.metrics["ours"] = sorted(each["result"]["metrics"]["accuracy"] for each in evaluations)
        return finished.seconds

    def with_promptflow(self) -> float:
        """Run the same runs one after the other, as two at once collide in the flow's folder."""
        plan = list(self._plan())
        runs = run_with_promptflow(plan, self._folder)
        self.metrics["theirs"] = sorted(found["accuracy"] for found in runs.metrics[1::2])
        return runs.process.seconds

    def _plan(self) -> list[dict[str, Any]]:
        plan: list[dict[str, Any]] = []
        answer = {"text": "${data.text}"}
        match = {"answer": "${run.outputs.answer}", "expected": "${data.expected}"}
        for flow in self._flows:
            for data in map(str, self._data):
                for variant in ("plain", "loud"):
                    chosen = f"${{answer.{variant}}}"
                    plan += [
                        {"flow": str(flow), "data": data, "variant": chosen, "column_mapping": answer},
                        {"flow": str(self._match), "data": data, "column_mapping": match, "run": len(plan)},
                    ]
        return plan


def measure(folder: Path, settings: Settings) -> Sequence[Figure]:
    """Measure a session from nothing, and one that finds everything in its ledger."""
    matrix = _Matrix(folder, 1 if settings.quick else 3, 1 if settings.quick else 2)
    taken = alternately(
        {"ours": matrix.from_nothing, "again": matrix.again, "theirs": matrix.with_promptflow}, settings.repetitions
    )
    if matrix.metrics["ours"] != matrix.metrics["theirs"]:
        raise RuntimeError(f"the metrics differ: {matrix.metrics}")
    return (
        ratio("matrix, from nothing", _AGAINST, taken["ours"], taken["theirs"], target=40),
        ratio("matrix, all from the ledger", _AGAINST, taken["again"], taken["theirs"], target=150),
    )
