"""Reads baselines, and finds in them what a cell is compared with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.judging import BaselineOf
from pytest_llmops.plan import CellPlan
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.gate import Cell, CellResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports import results
from pytest_llmops.stats.joining import SAVE_COMMAND

SAVE = f"run pytest and save one with: {SAVE_COMMAND}"


class Baselines:
    """Finds the baseline of any cell; each file is read once. ``path`` is used in place of what experiments say."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._read: dict[Path, Report] = {}

    def source(self, experiment: Experiment) -> Path | None:
        """Tell where the baseline of an experiment is; None where it has none, or is one of its own variants."""
        return self._path or (experiment.baseline.path if experiment.baseline else None)

    def file(self, experiment: Experiment) -> Path | None:
        """Tell which file holds the baseline of an experiment, if it is there; None as ``source`` does."""
        source = self.source(experiment)
        return None if source is None else _file(source)

    def finder(self, experiment: Experiment) -> BaselineOf | None:
        """Return what finds the baselines of an experiment's cells; None where it has none, or its own variant."""
        return self.find if self.source(experiment) else None

    def find(self, plan: CellPlan) -> CellResult:
        """Find what a planned cell is compared with.

        Raises:
            LLMOpsError: that says why there is nothing.
        """
        path = self.source(plan.experiment)
        if path is None:
            raise LLMOpsError("there is no baseline; name one under llmops.baseline, or with --llmops-baseline")
        if path not in self._read:
            self._read[path] = read_baseline(path)
        return find_cell(self._read[path], plan.cell, shown(path))


def read_baseline(path: Path) -> Report:
    """Read a baseline: a file in the format of ``results.json``, or a folder that holds one of that name.

    Raises:
        LLMOpsError: where it is missing, torn, or of another schema version.
    """
    return _read(path, "baseline ", SAVE)


def read_results(path: Path) -> Report:
    """Read what a session found out: ``results.json``, or the folder that holds it.

    Raises:
        LLMOpsError: where it is missing, torn, or of another schema version.
    """
    return _read(path, "", "run pytest, or name the folder of its reports")


def find_cell(report: Report, cell: Cell, name: str) -> CellResult:
    """Find the result of a cell in a baseline, which messages call ``name``.

    The experiment is the one of the same path, or, if files were moved, the only one of the same name.

    Raises:
        LLMOpsError: where it is not there, or more than one could be meant.
    """
    mine = [result for result in report.cells if result.cell.experiment == cell.experiment]
    mine = mine or [result for result in report.cells if result.cell.use_case == cell.use_case]
    paths = sorted({result.cell.experiment for result in mine})
    if not paths:
        known = ", ".join(sorted(report.experiments.values())) or "none"
        raise LLMOpsError(f"baseline {name}: no results of '{cell.use_case}' (it has: {known}); {SAVE}")
    if len(paths) > 1:
        both = " and ".join(paths)
        raise LLMOpsError(f"baseline {name}: {both} are both named '{cell.use_case}', and neither is {cell.experiment}")
    found = next((result for result in mine if result.cell.id == cell.id), None)
    if found is None:
        raise LLMOpsError(f"baseline {name}: no cell {cell.id} (it has: {_ids(mine)}); {SAVE}")
    return found


def shown(path: Path) -> str:
    """Write a path as people know it: from the working directory, if it is below."""
    path = Path(os.path.abspath(path))
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix()


def _read(path: Path, kind: str, todo: str) -> Report:
    name = shown(path)
    file = _file(path)
    if not file.exists():
        what = f"the folder has no {results.FILE}" if path.is_dir() else "there is none"
        raise LLMOpsError(f"{kind}{name}: {what}; {todo}")
    try:
        return results.read(Path(shown(file)))
    except LLMOpsError as error:
        what, _, _ = str(error).partition("; run the evaluation again")
        raise LLMOpsError(f"{kind}{what}; {todo}") from None


def _file(path: Path) -> Path:
    return path / results.FILE if path.is_dir() else path


def _ids(found: Sequence[CellResult]) -> str:
    return ", ".join(result.cell.id for result in found)
