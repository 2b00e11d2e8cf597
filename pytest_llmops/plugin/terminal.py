"""The progress line while cells are under way. Logs of pipelines are told only of news from the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_llmops.plan import CellPlan
    from pytest_llmops.session import Session

_INTERVAL = 0.1  # seconds between two updates
_PATIENCE = 0.3  # seconds of waiting before a progress line appears
_REPORTED = 60.0  # seconds between two lines of a log


def wait_with_progress(session: Session, plan: CellPlan, config: pytest.Config) -> None:
    """Wait until a cell is done, rewriting one line with the rows done so far."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not reporter.isatty:
        _wait_with_log(session, plan, reporter)
        return
    if session.wait(plan, timeout=_PATIENCE):
        return
    reporter.ensure_newline()
    shown = ""
    while not session.wait(plan, timeout=_INTERVAL):
        if (line := _progress_line(session, plan)) != shown:
            reporter.rewrite(shown := line, erase=True)
    reporter.rewrite("", erase=True)
    reporter.rewrite("")  # back to the start of the line, which is blank now


def _wait_with_log(session: Session, plan: CellPlan, reporter: Any) -> None:
    """Wait until a cell is done, adding a line to a log where there is news of runs in a workspace."""
    told = ""
    while not session.wait(plan, timeout=_REPORTED):
        if reporter is not None and (news := session.under_way()) and news != told:
            reporter.ensure_newline()
            reporter.write_line(_progress_line(session, plan))
            told = news


def _progress_line(session: Session, plan: CellPlan) -> str:
    rows = session.progress()
    done, total = (sum(column) for column in zip(*rows.values(), strict=True))
    cell_done, cell_total = rows[plan.key]
    elsewhere = session.under_way()
    runs = f"; runs in the workspace: {elsewhere}" if elsewhere else ""
    return f"llmops: {done}/{total} rows, {plan.cell.id} {cell_done}/{cell_total}{runs}"
