"""Finds what the report page shows beside a session: the baselines it was compared with, and earlier sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_llmops.baselines.history import History, read_history
from pytest_llmops.baselines.reading import find_cell, read_baseline, shown
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import Cell, CellResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports.page import Sources
from pytest_llmops.stats.joining import refusal


def page_sources(report: Report, root: Path, history: str | None = None) -> Sources:
    """Read what a session's page shows beside it. What can't be read is named in ``troubles``, and raises nothing.

    ``root`` is the folder that relative paths are from. ``history`` is a folder with results of earlier sessions, in
    place of the one that the report's settings name.
    """
    history = history or report.settings.get("history")
    read: dict[str, Report | LLMOpsError] = {place: _read(root / place) for place in report.baselines.values()}
    baselines: dict[str, Report] = {}
    problems: dict[str, str] = {}
    for path, place in report.baselines.items():
        found = read[place]
        if isinstance(found, LLMOpsError):
            problems[path] = str(found)
            continue
        cells = list(_cells(report, path, found, shown(root / place)))
        baselines[path] = replace(found, cells=tuple(cell for cell in cells if isinstance(cell, CellResult)))
        problems[path] = "\n".join(dict.fromkeys(cell for cell in cells if isinstance(cell, str)))
    past = read_history(root / history, report.created) if history else History()
    unread = dict.fromkeys(str(found) for found in read.values() if isinstance(found, LLMOpsError))
    return Sources(baselines=baselines, problems=problems, history=past.points, troubles=(*unread, *past.troubles))


def _read(path: Path) -> Report | LLMOpsError:
    try:
        return read_baseline(path)
    except LLMOpsError as error:
        return error
    except OSError as error:  # of a folder that may not be looked into
        return LLMOpsError(f"baseline {shown(path)}: can't be read: {error.strerror}")


def _cells(report: Report, path: str, baseline: Report, name: str) -> Iterator[CellResult | str]:
    """Yield for each cell of an experiment what it can be put beside, or why there is nothing."""
    cells = [result for result in report.cells if result.cell.experiment == path]
    run = {result.cell.id for result in cells}
    for result in cells:
        for cell in (result.cell, *(flow for flow in _flows(result.cell, baseline) if flow.id not in run)):
            try:
                found = find_cell(baseline, cell, name)
            except LLMOpsError as error:
                if not result.cell.variant.is_candidate:  # which is compared with the flow
                    yield str(error)
                continue
            problem = refusal(result, found, RUN) if result.run.rows else ""
            yield f"{result.cell.id}: {problem}" if problem else found


def _flows(cell: Cell, baseline: Report) -> Iterator[Cell]:
    """Yield the cell of the flow that a candidate is compared with where the flow was not run."""
    if cell.variant.is_candidate:
        saved = (other.cell for other in baseline.cells if other.cell.variant.is_default)
        same = (other for other in saved if (other.use_case, other.dataset) == (cell.use_case, cell.dataset))
        yield from (replace(cell, variant=other.variant) for other in same)
