"""``llmops compare``: two results side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.report import Report

_SIDE = "results.json, a folder that holds one, or a baseline; ::VARIANT after it takes the cells of a variant alone"


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "compare", "put two results side by side: metrics, rows that changed, times")
    parser.add_argument("baseline", metavar="BASELINE", help=_SIDE)
    parser.add_argument("candidate", metavar="CANDIDATE", help="what is compared with it, likewise")
    add_format(parser)
    parser.set_defaults(command=_run)


def add_format(parser: argparse.ArgumentParser) -> None:
    """Declare the option that ``show_comparison`` obeys."""
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")


def show_comparison(baseline: Report, candidate: Report, form: str) -> None:
    """Compare two reports and print what came out.

    Raises:
        LLMOpsError: where they have no cell in common.
    """
    from pytest_llmops.reports import compare
    from pytest_llmops.stats.comparing import compare_reports

    comparison = compare_reports(baseline, candidate)
    if not comparison.cells:
        sides = (comparison.only_baseline, comparison.only_candidate)
        known = " and ".join(_listed(ids) or "no cell" for ids in sides)
        raise LLMOpsError(f"nothing in common to compare: {known}")
    forms = {"text": compare.text_lines, "markdown": compare.markdown_lines, "json": compare.json_lines}
    show(forms[form](comparison))


def _run(options: argparse.Namespace) -> int:
    show_comparison(_side(options.baseline), _side(options.candidate), options.format)
    return 0


def _side(text: str) -> Report:
    from dataclasses import replace

    from pytest_llmops.baselines import read_results

    path, _, variant = text.partition("::")
    report = read_results(Path(path))
    if not variant:
        return report
    cells = tuple(result for result in report.cells if result.cell.variant.id == variant)
    if not cells:
        known = _listed(list(dict.fromkeys(result.cell.variant.id for result in report.cells))) or "none"
        raise LLMOpsError(f"{text}: no variant '{variant}' (it has: {known})")
    return replace(report, cells=cells)


def _listed(names: Sequence[str]) -> str:
    from pytest_llmops.reports.text import one_line

    return ", ".join(map(one_line, names))
