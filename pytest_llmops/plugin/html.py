"""pytest-html's page: columns for gates, their details, and links to their places in the report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.plugin.keys import RUNTIME
from pytest_llmops.plugin.results import gate_of

if TYPE_CHECKING:
    from pytest_llmops.plugin.results import Results


class HtmlPage:
    """Fills pytest-html's page, which takes all that its hooks give it for markup."""

    def __init__(self, config: pytest.Config, results: Results) -> None:
        self._config = config
        self._results = results
        self._report_dir: Path = config.stash[RUNTIME].settings.report_dir(config.rootpath)
        self._page: Any = None
        self._unlinked: dict[str, str] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        self._page = report

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        from pytest_llmops.reports.pytest_html import header_cells

        cells[2:2] = header_cells()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        from pytest_llmops.reports.pytest_html import name_cell, row_cells

        gate = gate_of(report)
        linked, unlinked = row_cells(gate, self._folder()), row_cells(gate)
        self._unlinked |= zip(linked[:1], unlinked[:1], strict=True)
        cells[1] = name_cell(report.nodeid)
        cells[2:2] = linked

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: Any, data: list[str]) -> None:
        from pytest_llmops.reports.pytest_html import extra_html

        if (gate := gate_of(report)) is not None:
            data[:] = [extra_html(gate)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self) -> None:
        """Take the links away where there is nothing to link to: rows are made long before the report is."""
        if self._results.written or self._page is None:
            return
        for tests in self._page.data["tests"].values():
            for test in tests:
                test["resultsTableRow"] = [self._unlinked.get(cell, cell) for cell in test["resultsTableRow"]]

    def _folder(self) -> str | None:
        """Path of the report's folder from that of the page; None where there is no way from one to the other."""
        page = Path(os.path.expandvars(self._config.option.htmlpath)).expanduser()
        try:
            return Path(
                os.path.relpath(self._report_dir, (self._config.invocation_params.dir / page).parent)
            ).as_posix()
        except ValueError:  # another drive
            return None
