"""The file of ``--junitxml``, made to read well in Azure DevOps once pytest has written it."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.plugin.keys import RUNTIME
from pytest_llmops.plugin.results import gate_of

if TYPE_CHECKING:
    from pytest_llmops.plugin.results import Results
    from pytest_llmops.records.gate import GateResult

_LARGEST = 100_000_000
"""Bytes of a file that is put right, which takes memory of several times its size."""
_LEFT = "left as pytest wrote it:"
_HALVES = {"call", "teardown"}


class JUnitFile:
    """Notes, while a session runs, what its JUnit file does not tell, and at its end puts the file right.

    A file of a session without items of ours stays as it is.
    """

    def __init__(self, config: pytest.Config, results: Results) -> None:
        self._config = config
        self._runtime = config.stash[RUNTIME]
        self._results = results
        self._closing: dict[str, GateResult] = {}
        self._attempts: dict[str, int] = {}
        self._failed: dict[str, set[str]] = {}
        self._has_ours = False
        self._problem = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name, gate = report.nodeid, gate_of(report)
        self._has_ours |= gate is not None or "llmops" in report.keywords
        if report.when == "setup":
            self._attempts[name] = self._attempts.get(name, 0) + 1
            self._failed.pop(name, None)
            self._closing.pop(name, None)
        if report.failed:
            self._failed.setdefault(name, set()).add(report.when)
        if gate is not None and gate.closes_gate():
            self._closing[name] = gate

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, Any, Any]:
        result = yield
        if self._has_ours:
            self._improve()
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._problem:
            terminalreporter.write_line(self._problem, yellow=True)

    def _improve(self) -> None:
        file = Path(os.path.expandvars(self._config.option.xmlpath)).expanduser()
        file = self._config.invocation_params.dir / file
        try:
            self._put_right(file)
        except ValueError as error:
            self._note(file, _LEFT, error)
        except OSError as error:
            self._note(file, _removed(file), error.strerror)

    def _put_right(self, file: Path) -> None:
        from pytest_llmops.reports.junit import improve
        from pytest_llmops.reports.write import replace_file

        replace_file(file.resolve(), improve(_read(file), self._notes(file.parent), self._repeated()))

    def _note(self, file: Path, what: str, why: object) -> None:
        from pytest_llmops.reports.text import one_line

        self._problem = one_line(f"{file}: {what} {why}", 1000)

    def _notes(self, folder: Path) -> dict[str, str]:
        from pytest_llmops.reports.failures import transcript_file
        from pytest_llmops.reports.junit import failure_note

        reports, written = self._runtime.settings.report_dir(self._config.rootpath), set(self._results.written)
        notes = {}
        for name, gate in self._closing.items():
            transcript = reports / transcript_file(gate.experiment, gate.cell)
            notes[self._key(name)] = failure_note(gate, _relative(transcript, folder) if transcript in written else "")
        return notes

    def _repeated(self) -> dict[str, int]:
        """Tell how many cases the last attempt of a test has, for those that pytest wrote more than one case for."""
        names = [
            name for name, times in self._attempts.items() if times > 1 or self._failed.get(name, set()) >= _HALVES
        ]
        return {self._key(name): 2 if self._failed.get(name, set()) >= _HALVES else 1 for name in names}

    def _key(self, name: str) -> str:
        from pytest_llmops.reports.junit import case_key

        return case_key(name, self._config.option.junitprefix or "")


def _read(file: Path) -> str:
    """Read a file that pytest wrote; one that is no file, such as a pipe, would never end.

    Raises:
        ValueError: for anything that is no file of text.
        OSError: where it can't be read, or is too large.
    """
    if not file.is_file():
        raise ValueError("not a file")
    if (size := file.stat().st_size) > _LARGEST:
        raise OSError(errno.EFBIG, f"it is too large ({size:,} bytes)")
    return file.read_text(encoding="utf-8")


def _removed(file: Path) -> str:
    """Remove a file in which text of models may still name files to attach, and say so; or that it is still there."""
    try:
        file.resolve().unlink()
    except OSError:
        return _LEFT
    return "removed, as it could not be made safe to publish:"


def _relative(file: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        return file.absolute().as_posix()
