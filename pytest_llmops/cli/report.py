"""``llmops report``: the reports of sessions anew, from their results."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, add_history, complain, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.report import Report

_OUTPUT = "--output"


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "report", "write the reports of sessions anew; no decision changes by it")
    parser.add_argument(
        "results", nargs="+", metavar="DIR", help="reports of a session, which are replaced but for its results"
    )
    parser.add_argument(_OUTPUT, metavar="FILE", help="write the page alone, to this file")
    add_history(parser)
    parser.add_argument("--baseline", metavar="PATH", help="results that the page shows rows beside")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if options.output and len(options.results) > 1:
        raise LLMOpsError(f"{_OUTPUT}: {len(options.results)} sessions have a page each; name one of them")
    if problems := [problem for name in options.results if (problem := _problem(name, options))]:
        raise LLMOpsError("\n".join(problems))
    return 0


def _problem(name: str, options: argparse.Namespace) -> str:
    """Write the reports of one session, and say why they can't be written; nothing if they are."""
    try:
        _write(name, options)
    except LLMOpsError as error:
        return str(error)
    return ""


def _write(name: str, options: argparse.Namespace) -> None:
    """Write the reports of one session, or its page alone.

    Raises:
        LLMOpsError: where its results can't be read, or nothing can be written.
    """
    from dataclasses import replace

    from pytest_llmops.baselines import page_sources, read_baseline, read_results
    from pytest_llmops.reports import page
    from pytest_llmops.reports.verdicts import decision_line, experiments
    from pytest_llmops.reports.write import write_derived, write_page

    report = read_results(Path(name))
    if options.baseline:
        read_baseline(Path(options.baseline))
        report = replace(report, baselines=dict.fromkeys(experiments(report), options.baseline))
    sources = page_sources(report, Path.cwd(), options.history)
    for trouble in (*sources.troubles, *_misplaced(report)):
        complain(trouble)
    if options.output:
        file = Path(options.output)
        write_page(report, file, _OUTPUT, sources)
    else:
        folder = _folder(name)
        write_derived(report, folder, _OUTPUT, sources)
        file = folder / page.FILE
    show([f"written: {file.as_posix()} ({decision_line(report)})"])


def _misplaced(report: Report) -> Iterator[str]:
    """Yield where baselines were looked for that results name from pytest's rootdir."""
    for place in dict.fromkeys(report.baselines.values()):
        if not (found := Path.cwd() / place).exists() and not Path(place).is_absolute():
            yield f"it was looked for at {found}: be in pytest's rootdir, or name the baseline with --baseline"


def _folder(name: str) -> Path:
    """Tell where the results are, and so their reports.

    Raises:
        LLMOpsError: for results in a file of their own, such as a baseline: what lies beside it is of others.
    """
    from pytest_llmops.reports import results

    given = Path(name)
    if given.is_dir():
        return given
    if given.name != results.FILE:
        raise LLMOpsError(f"{name}: it is no {results.FILE}; say where the page goes with {_OUTPUT}")
    return given.parent
