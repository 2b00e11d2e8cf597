"""``llmops merge``: one result, one report and one gate of all shards of a session."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import complain, show
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.merging import Named
    from pytest_llmops.records.report import Report

_REPORT_DIR = "--report-dir"
_LONG = 1000


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("merge", help="make one result, one report and one gate of all shards of a session")
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
    parser.add_argument("--history", metavar="FOLDER", help="results of earlier sessions, for the report's trend")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from pytest_llmops.baselines import page_sources
    from pytest_llmops.merging import last_attempts, merge, problems, superseded
    from pytest_llmops.reports.console import failure_text, summary_lines
    from pytest_llmops.reports.text import one_line
    from pytest_llmops.reports.write import remove_decision, write_reports

    folder = Path(options.report_dir)
    # Whatever goes wrong below, nobody may take the decision that is there for that on these shards.
    remove_decision(folder, _REPORT_DIR)
    found, troubles = _read(options.folders, folder)
    for line in superseded(found):
        show([one_line(line, _LONG)])
    junit, wrong = _merged_junit(last_attempts(found), options.junit)
    troubles += wrong
    for line in (*troubles, *problems(found)):
        complain(f"ERROR: {one_line(line, _LONG)}")
    report = merge(found, troubles)
    chosen = {"history": options.history} if options.history else {}
    report = replace(report, settings={**report.settings, **chosen, "report-dir": folder.as_posix()})
    if junit:
        _write(folder / options.junit, junit)
    sources = page_sources(report, Path.cwd())
    written = write_reports(report, folder, _REPORT_DIR, sources)
    for trouble in sources.troubles:
        complain(one_line(trouble, _LONG))
    for gate in report.gates:
        if gate.closes_gate():
            show([failure_text(gate), ""])
    show(summary_lines(report))
    _announce(report, written)
    return 0 if report.decision.state == "open" else 1


def _read(folders: Iterable[str], target: Path) -> tuple[list[Named], list[str]]:
    """Read the results of all shards that are in folders, or below. Returns them, and a line for each trouble.

    What an earlier merge left in ``target`` is none of them.

    Raises:
        LLMOpsError: where ``target`` has the results of a shard, which the merged ones would replace.
    """
    from pytest_llmops.baselines import shown
    from pytest_llmops.reports import results

    found: dict[str, Report] = {}
    troubles: list[str] = []
    for folder in folders:
        try:
            files = list(_results(Path(folder), target.resolve()))
        except OSError as error:
            troubles.append(f"{folder}: can't be read: {error.strerror}")
            continue
        if not files:
            troubles.append(f"{folder}: there is no {results.FILE} in it, or below; name the reports of shards")
        for file in files:
            name, is_target = shown(file.parent), file.parent.resolve() == target.resolve()
            try:
                report = results.read(Path(shown(file)))
            except LLMOpsError as error:
                troubles += [] if is_target else [str(error)]
                continue
            if is_target and report.shard is not None:
                what = f"{name}: shard {report.shard} is there, which what is merged would replace"
                raise LLMOpsError(f"{what}; name another folder with {_REPORT_DIR}")
            if not is_target:
                found[name] = report
    return list(found.items()), list(dict.fromkeys(troubles))


def _results(folder: Path, target: Path) -> Iterator[Path]:
    """Find the results in a folder, else in those below: a shard's own folder may hold those of earlier sessions."""
    from pytest_llmops.reports import results

    file = folder / results.FILE
    if file.exists():
        yield file
    if folder.is_dir() and (not file.exists() or folder.resolve() == target):
        for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
            yield from _results(below, target)


def _merged_junit(parts: Sequence[Named], name: str) -> tuple[str, list[str]]:
    """Merge the JUnit files of shards, if they have any. Returns the text, and a line for each trouble."""
    from pytest_llmops.reports.junit import merge_junit

    files = [Path(folder) / name for folder, _ in parts]
    if not any(file.exists() for file in files):
        return "", []
    troubles = [line for file in files if (line := _junit_trouble(file))]
    if troubles:
        return "", troubles
    try:
        return merge_junit([file.read_text(encoding="utf-8") for file in files]), []
    except (OSError, ValueError) as error:
        return "", [f"{name}: {error}"]


def _junit_trouble(file: Path) -> str:
    """Say what is wrong with the JUnit file of a shard; nothing if it is good."""
    from pytest_llmops.reports.junit import merge_junit

    try:
        merge_junit([file.read_text(encoding="utf-8")])
    except FileNotFoundError:
        return f"{file.as_posix()}: there is none, and other shards have one"
    except OSError as error:
        return f"{file.as_posix()}: can't be read: {error.strerror}"
    except ValueError as error:
        return f"{file.as_posix()}: {error}"
    return ""


def _write(file: Path, text: str) -> None:
    from pytest_llmops.reports.write import replace_file

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text)
    except OSError as error:
        what = f"{file.as_posix()}: can't be written: {error.strerror}"
        raise LLMOpsError(f"{what}; name another folder with {_REPORT_DIR}") from None


def _announce(report: Report, written: Sequence[Path]) -> None:
    """Tell the pipeline, if this is one, as a session does that is not divided."""
    from pytest_llmops.ado.environment import is_agent, read_pipeline

    if not is_agent(os.environ):
        return
    from pytest_llmops.ado.announcing import announce
    from pytest_llmops.ado.commands import emit

    emit(announce(report, written, Path.cwd(), host=read_pipeline(os.environ).host), sys.stdout)
