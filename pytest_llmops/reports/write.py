"""The files of a session's reports.

``gate.json`` is removed before anything else is written and comes back last: a session that breaks off leaves no
decision, never that of an earlier session. Every file replaces its predecessor in one step. Files of experiments
that this session did not run are left alone, since sessions on parts of the use cases may share a folder with each
other and with what is not ours; ``results.json``, ``gate.json`` and ``summary.md`` say what this session ran.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.encoding import dumps
from pytest_llmops.records.report import Report
from pytest_llmops.reports import gate, markdown, page, results
from pytest_llmops.reports.failures import stale_transcripts, transcripts
from pytest_llmops.reports.page import NO_SOURCES, Sources
from pytest_llmops.reports.tables import render_tables

OPTION = "--llmops-report-dir"


def render(report: Report, sources: Sources = NO_SOURCES) -> dict[str, str]:
    """Render every report. Returns text by path, relative to the folder of the reports, ``gate.json`` last."""
    return {
        results.FILE: dumps(results.document(report), indent=2) + "\n",
        **render_derived(report, sources),
        gate.FILE: dumps(gate.document(report), indent=2) + "\n",
    }


def render_derived(report: Report, sources: Sources = NO_SOURCES) -> dict[str, str]:
    """Render what only shows ``results.json``: every report but it and the decision."""
    return {
        **render_tables(report),
        **transcripts(report),
        markdown.FILE: markdown.summary(report),
        page.FILE: page.render_page(report, sources),
    }


def write_reports(report: Report, folder: Path, option: str = OPTION, sources: Sources = NO_SOURCES) -> list[Path]:
    """Write every report into a folder, made if need be. Returns the files in the order in which they were written.

    ``option`` is what the user names the folder with. ``sources`` has what the page shows beside the report.

    Raises:
        LLMOpsError: where the folder can't be written.
    """
    remove_decision(folder, option)
    return _write(report, render(report, sources), folder, option)


def write_derived(report: Report, folder: Path, option: str, sources: Sources = NO_SOURCES) -> list[Path]:
    """Write anew what only shows ``results.json``, which stays as it is, as does the decision. Returns the files.

    Raises:
        LLMOpsError: where the folder can't be written.
    """
    return _write(report, render_derived(report, sources), folder, option)


def write_page(report: Report, file: Path, option: str, sources: Sources = NO_SOURCES) -> None:
    """Write the page alone, into a folder that is made if need be.

    Raises:
        LLMOpsError: where it can't be written.
    """
    write_file(file, page.render_page(report, sources), f"name another file with {option}")


def write_notice(report: Report, folder: Path, option: str) -> list[Path]:
    """Write the decision and the summary alone: of a report without results, in place of which others may lie there.

    Raises:
        LLMOpsError: where the folder can't be written.
    """
    remove_decision(folder, option)
    texts = {markdown.FILE: markdown.summary(report), gate.FILE: dumps(gate.document(report), indent=2) + "\n"}
    return _write(report, texts, folder, option)


def _write(report: Report, texts: Mapping[str, str], folder: Path, option: str) -> list[Path]:
    files = [folder / name for name in texts]
    try:
        for file in stale_transcripts(report, folder):
            file.unlink(missing_ok=True)
        for file, text in zip(files, texts.values(), strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, text)
    except OSError as error:
        raise _refused(folder, error, option) from None
    return files


def remove_decision(folder: Path, option: str = OPTION, *, of_shard: bool = False) -> None:
    """Remove the decision of an earlier session, so that nobody takes it for this one's.

    With ``of_shard`` its results go too, as a merge goes by them.

    Raises:
        LLMOpsError: where it is there and can't be removed.
    """
    try:
        for name in (gate.FILE, results.FILE) if of_shard else (gate.FILE,):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _refused(folder, error, option) from None


def write_file(file: Path, text: str, todo: str) -> None:
    """Write one file, into a folder that is made if need be. ``todo`` is what a message says to do if that fails.

    Raises:
        LLMOpsError: where it can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text)
    except OSError as error:
        raise LLMOpsError(f"{file.as_posix()}: can't be written: {error.strerror}; {todo}") from None


def replace_file(file: Path, text: str) -> None:
    """Write a file in one step: whoever reads it finds the old one or the new one."""
    # A lone surrogate has no UTF-8. As a backslash escape it is readable text, and in JSON it is the same string.
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _refused(folder: Path, error: OSError, option: str) -> LLMOpsError:
    return LLMOpsError(f"{folder}: reports can't be written: {error.strerror}; give a folder that can, with {option}")
