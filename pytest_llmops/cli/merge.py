"""``llmops merge``: one result, one report and one gate of all shards of a session."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, add_history, complain, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.merging import Named
    from pytest_llmops.records.report import Report, Shard

_REPORT_DIR = "--report-dir"
_LONG = 1000


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "merge", "make one result, one report and one gate of all shards of a session")
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="reports of a shard, or a folder that has those of several below"
    )
    parser.add_argument(_REPORT_DIR, metavar="FOLDER", default="reports", help="folder for the reports (reports)")
    parser.add_argument(
        "--junit",
        metavar="NAME",
        default="junit.xml",
        help="file in the folders of the shards that is merged too, where they have it (junit.xml)",
    )
    add_history(parser)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from pytest_llmops.cli.shards import find_shards, merged_junit
    from pytest_llmops.merging import last_attempts, merge, problems
    from pytest_llmops.reports.write import write_file

    folder = Path(options.report_dir)
    _clear(folder, options.junit)
    found, troubles = find_shards(options.folders, folder)
    parts = last_attempts(found)
    junit, aside = merged_junit(parts, options.junit)
    _tell(found, [*troubles, *problems(found), *aside])
    report = _with_settings(merge(found, troubles, aside), options)
    if junit:
        write_file(folder / options.junit, junit, f"name another folder with {_REPORT_DIR}")
    written = _write(report, folder, whole=bool(parts))
    _show(report)
    _announce(report, written)
    return 0 if report.decision.state == "open" else 1


def _clear(folder: Path, junit: str) -> None:
    """Take away what an earlier merge decided: whatever goes wrong from here on, nobody may take it for this one.

    Raises:
        LLMOpsError: where that would touch what is no merge's, before anything was; or where it can't be done.
    """
    from pytest_llmops.reports.write import remove_decision

    if Path(junit).is_absolute() or ".." in Path(junit).parts:
        raise LLMOpsError(f"--junit: {junit} is not a file in the folders of the shards; name one from there")
    if shard := _shard_in(folder):
        what = f"{folder.as_posix()}: shard {shard} is there, which what is merged would replace"
        raise LLMOpsError(f"{what}; name another folder with {_REPORT_DIR}")
    remove_decision(folder, _REPORT_DIR)
    file = folder / junit
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        what = f"{file.as_posix()}: can't be removed: {error.strerror}"
        raise LLMOpsError(f"{what}; name another folder with {_REPORT_DIR}") from None


def _shard_in(folder: Path) -> Shard | None:
    """Return which shard's reports are in a folder, if it has some."""
    from pytest_llmops.reports import results

    try:
        return results.read(folder / results.FILE).shard
    except LLMOpsError:
        return None


def _tell(found: Sequence[Named], wrong: Sequence[str]) -> None:
    from pytest_llmops.merging import superseded
    from pytest_llmops.reports.text import one_line

    for line in superseded(found):
        show([one_line(line, _LONG)])
    for line in wrong:
        complain(f"ERROR: {one_line(line, _LONG)}")


def _with_settings(report: Report, options: argparse.Namespace) -> Report:
    from dataclasses import replace

    chosen = {"history": options.history} if options.history else {}
    folder = Path(options.report_dir).as_posix()
    return replace(report, settings={**report.settings, **chosen, "report-dir": folder})


def _write(report: Report, folder: Path, *, whole: bool) -> list[Path]:
    """Write all reports, or, where that would put nothing in place of results, what tells why there are none."""
    from pytest_llmops.baselines import page_sources
    from pytest_llmops.reports.text import one_line
    from pytest_llmops.reports.write import write_notice, write_reports

    if not whole:
        return write_notice(report, folder, _REPORT_DIR)
    sources = page_sources(report, Path.cwd())
    written = write_reports(report, folder, _REPORT_DIR, sources)
    for trouble in sources.troubles:
        complain(one_line(trouble, _LONG))
    return written


def _show(report: Report) -> None:
    from pytest_llmops.reports.console import failure_text, summary_lines

    for gate in report.gates:
        if gate.closes_gate():
            show([failure_text(gate), ""])
    show(summary_lines(report))


def _announce(report: Report, written: Sequence[Path]) -> None:
    """Tell the pipeline, if this is one, as a session does that is not divided."""
    from pytest_llmops.ado.environment import is_agent, read_pipeline

    if not is_agent(os.environ):
        return
    from pytest_llmops.ado.announcing import announce
    from pytest_llmops.ado.commands import emit

    emit(announce(report, written, Path.cwd(), host=read_pipeline(os.environ).host), sys.stdout)
