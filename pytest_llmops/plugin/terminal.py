"""The progress line while cells are under way. Written only to a terminal; logs of pipelines stay quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmops.plan import CellPlan
    from pytest_llmops.session import Session

_INTERVAL = 0.1  # seconds between two updates
_PATIENCE = 0.3  # seconds of waiting before a progress line appears


def wait_with_progress(session: Session, plan: CellPlan, config: pytest.Config) -> None:
    """Wait until a cell is done, rewriting one line with the rows done so far."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not reporter.isatty:
        session.wait(plan, timeout=None)
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


def _progress_line(session: Session, plan: CellPlan) -> str:
    rows = session.progress()
    done, total = (sum(column) for column in zip(*rows.values(), strict=True))
    cell_done, cell_total = rows[plan.key]
    return f"llmops: {done}/{total} rows, {plan.cell.id} {cell_done}/{cell_total}"
