"""A session in Azure DevOps: what it tells the pipeline, and what it keeps others from telling it."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmops.ado.announcing import Issue
    from pytest_llmops.plugin.results import Results

_UNSEEN = ("no", "sys", "tee-sys")
"""Ways of capturing by which what tests write past Python, and programs that they start, goes to the log as it is."""


class Pipelines:
    """Guards what Python writes into the log, and at the end writes the commands of our own, past the guard."""

    def __init__(self, config: pytest.Config, results: Results) -> None:
        self._config = config
        self._results = results
        self._guarding = ExitStack()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Guard what pytest prints: names, captured output, tracebacks. So too what hooks print, which is not captured.

        Streams are guarded in place, because ways of capturing keep them, and put them back.
        """
        from pytest_llmops.ado.guard import guard_stream

        for stream in (sys.stdout, sys.stderr):
            self._guarding.callback(guard_stream(stream))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Announce what the session found out, once everything else is written."""
        self._guarding.close()
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
