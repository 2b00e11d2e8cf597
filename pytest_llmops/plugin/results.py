"""What the main process of a session gathers, and what it does with that at the end.

Under xdist this is the controller, which collects and runs nothing itself: all that it knows came with the reports.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.plugin.collected import Collected
from pytest_llmops.plugin.keys import COLLECTED

if TYPE_CHECKING:
    from pytest_llmops.plugin.runtime import Runtime
    from pytest_llmops.records.gate import GateResult
    from pytest_llmops.records.report import Report

GATE = "llmops_gate"
CONFIGURATION_ERROR = "llmops_configuration_error"


def attach_gate(report: pytest.TestReport, gate: GateResult) -> None:
    """Put a verdict on a test report, as text: extra attributes that are text survive xdist."""
    from pytest_llmops.records.encoding import dumps

    setattr(report, GATE, dumps(gate))


def gate_of(report: Any) -> GateResult | None:
    """Read the verdict from a test report, if it carries one."""
    text = getattr(report, GATE, None)
    if text is None:
        return None
    from pytest_llmops.records.decoding import from_json
    from pytest_llmops.records.gate import GateResult

    return from_json(GateResult, json.loads(text))


def is_inconclusive(report: Any) -> bool:
    """Tell whether a test report is of an item that is INCONCLUSIVE without failing for it."""
    gate = gate_of(report)
    if gate is None:
        return False
    from pytest_llmops.reports.verdicts import is_unsure

    return is_unsure(gate)


class Results:
    """Gathers a session's verdicts, and at its end decides and writes the reports."""

    def __init__(self, config: pytest.Config, runtime: Runtime) -> None:
        self._config = config
        self._runtime = runtime
        self._gates: dict[str, GateResult] = {}
        self._collected = Collected()
        self._obstacles: list[str] = []
        self._answered: set[str] = set()
        self._configuration_errors: list[str] = []
        self._lines: list[str] = []
        self._inconclusive: list[str] = []
        self.report: Report | None = None
        """What the session found out, once it has ended."""
        self.written: list[Path] = []
        """Files of its reports; none if they could not be written."""

    def refuse_thresholds(self, names: Sequence[str]) -> str:
        """Note that thresholds of the command line belong to no experiment, and return the message that says so."""
        what = "no collected experiment has this evaluator; check its name"
        lines = [f"--llmops-threshold: {name}: {what}" for name in names]
        self._configuration_errors += [line for line in lines if line not in self._configuration_errors]
        return "\n".join(lines)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Give INCONCLUSIVE a status of its own: to pytest it is one more xfail."""
        return ("inconclusive", "I", ("INCONCLUSIVE", {"yellow": True})) if is_inconclusive(report) else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        gate = gate_of(report)
        if gate is not None:
            self._gates[report.nodeid] = gate  # by item: the last attempt wins
        if report.failed and not (gate and gate.closes_gate()):
            self._obstacles.append(f"{report.nodeid}: test failed")
        if report.failed or (report.when == "call" and report.passed):
            self._answered.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if (text := getattr(report, CONFIGURATION_ERROR, None)) is not None:
            self._configuration_errors += text.splitlines()
        elif report.failed:
            self._obstacles.append(f"{report.nodeid}: collection failed")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        text = getattr(node, "workeroutput", {}).get(COLLECTED)
        if text is None:  # it crashed
            return
        from pytest_llmops.records.decoding import from_json

        self._collected |= from_json(Collected, json.loads(text))
        self.refuse_thresholds(self._collected.unmatched)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
        self._runtime.stop()
        self._collected |= self._runtime.collected()
        if self._configuration_errors:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self._collected.idle and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = exitstatus = pytest.ExitCode.OK
        if self._config.option.collectonly or self._runtime.settings["plan"]:
            return (yield)
        if self._collected.planned or self._gates or self._configuration_errors:
            self._finish(session, exitstatus)
        elif exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._remove_decision()
        try:
            return (yield)
        except BaseException:  # of another plugin: the session broke off after all
            self._remove_decision()
            raise

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._lines:
            return
        terminalreporter.section("llmops")
        # -rx and -rA list xfailed items one by one; pytest lists none whose status it does not know.
        for line in (*(self._inconclusive if terminalreporter.hasopt("x") else ()), *self._lines):
            terminalreporter.write_line(line)

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        from pytest_llmops.baselines import page_sources
        from pytest_llmops.errors import LLMOpsError
        from pytest_llmops.reports.console import inconclusive_lines, summary_lines
        from pytest_llmops.reports.write import remove_decision, write_reports

        self.report = report = self._make_report(exitstatus)
        try:
            remove_decision(self._folder())
            sources = page_sources(report, self._config.rootpath)
            self.written = write_reports(report, self._folder(), sources=sources)
            self._lines = [*self._collected.troubles, *sources.troubles, *summary_lines(report)]
            if report.shard is not None:
                self._lines.append(f"this is shard {report.shard} alone: llmops merge makes the gate of the whole")
            self._inconclusive = inconclusive_lines(report)
        except LLMOpsError as error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self._lines = [str(error)]

    def _remove_decision(self) -> None:
        """Remove the decision that is there, where this session broke off."""
        from contextlib import suppress

        from pytest_llmops.errors import LLMOpsError
        from pytest_llmops.reports.write import remove_decision

        with suppress(LLMOpsError):
            remove_decision(self._folder(), of_shard=self._runtime.settings["shard"] is not None)

    def _folder(self) -> Path:
        return self._runtime.settings.report_dir(self._config.rootpath)

    def _make_report(self, exitstatus: int) -> Report:
        from pytest_llmops.plugin.concluding import Gathered, make_report

        found = Gathered(
            collected=self._collected,
            gates=tuple(self._gates.values()),
            answered=self._answered,
            obstacles=(*self._configuration_errors, *self._obstacles),
            exitstatus=exitstatus,
        )
        return make_report(found, self._runtime.settings, self._runtime.store(), self._config.rootpath)
