"""A session in Azure DevOps: what it tells the pipeline, and what it keeps others from telling it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_llmops.ado.announcing import Issue
    from pytest_llmops.plugin.results import Results

_UNSEEN = ("no", "tee-sys")
"""Ways of capturing by which what tests print goes to the log without passing here."""


class Pipelines:
    """Guards what pytest writes into the log, and at the end writes the commands of our own, past the guard."""

    def __init__(self, config: pytest.Config, results: Results) -> None:
        self._config = config
        self._results = results

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Have all that pytest prints pass the guard: names, captured output, tracebacks, and our own lines."""
        if not self._config.pluginmanager.has_plugin("terminalreporter"):
            return
        from pytest_llmops.ado.guard import LogGuard

        writer = self._config.get_terminal_writer()
        write, guard = writer.write, LogGuard()

        def guarded(msg: str, **options: Any) -> None:
            write(guard(msg), **options)

        writer.write = guarded  # type: ignore[method-assign]

    def pytest_unconfigure(self) -> None:
        """Announce what the session found out, once everything else is written."""
        if (report := self._results.report) is None:
            return
        from pytest_llmops.ado.announcing import announce
        from pytest_llmops.ado.commands import emit
        from pytest_llmops.ado.environment import read_pipeline

        host = read_pipeline(os.environ).host
        written = self._results.written
        emit(announce(report, written, self._config.rootpath, host=host, issues=self._remarks()), sys.stdout)

    def _remarks(self) -> list[Issue]:
        from pytest_llmops.ado.announcing import Issue

        capture = self._config.option.capture
        if capture not in _UNSEEN:
            return []
        what = f"--capture={capture}: the agent acts on logging commands that tests print; leave the option out"
        return [Issue(kind="warning", message=what)]
