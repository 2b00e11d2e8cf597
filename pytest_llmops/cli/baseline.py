"""``llmops baseline``: results that later ones are compared with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.compare import add_format, show_comparison
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.experiment import Experiment
    from pytest_llmops.records.gate import CellResult
    from pytest_llmops.records.report import Report


def add_parser(commands: Commands) -> None:
    """Declare the command and its actions."""
    parser = add_command(commands, "baseline", "keep results for later ones to be compared with")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    save = add_command(actions, "save", "make a baseline of the last session, an open gate provided")
    save.add_argument("--experiment", metavar="FILE", help="experiment file; without it, all of the session")
    save.add_argument("--output", metavar="FILE", help="where to; without it, what llmops.baseline names")
    save.add_argument("--force", action="store_true", help="also what is no good baseline, such as from a closed gate")
    save.set_defaults(command=_save)
    shown = add_command(actions, "show", "say what a baseline holds, from when and of which commit")
    shown.add_argument("file", metavar="FILE")
    shown.set_defaults(command=_show)
    diff = add_command(actions, "diff", "compare the last session with a baseline")
    diff.add_argument("file", metavar="FILE")
    add_format(diff)
    diff.set_defaults(command=_diff)
    for action in (save, diff):
        add_results(action)


def add_results(parser: argparse.ArgumentParser) -> None:
    """Declare the option that names the reports of a session."""
    parser.add_argument("--results", metavar="FOLDER", default="reports", help="reports of the session (reports)")


def recorded_path(name: str) -> str:
    """Write a path on the command line as reports name files: from the working directory, which is pytest's rootdir."""
    return Path(os.path.relpath(name)).as_posix()


def load_recorded(report: Report, path: str, *, baseline: str | None = None) -> Experiment:
    """Read the experiment file that a report names, as the session did; ``baseline`` is in place of what it has.

    Raises:
        LLMOpsError: where it is not there, or wrong.
    """
    return _load(report, path, baseline or report.settings.get("baseline"))


def _load(report: Report, path: str, baseline: str | None) -> Experiment:
    from pytest_llmops.api.assets import fetch_asset
    from pytest_llmops.spec import load_experiment

    file = Path(path)
    if not file.is_file():
        raise LLMOpsError(f"{path}: there is no such file here; be in pytest's rootdir, which the results name it from")
    fetch = partial(
        fetch_asset,
        folder=file.absolute().parent,
        root=Path.cwd(),
        environ=os.environ,
        ledger=Path.cwd() / report.settings.get("ledger", ".llmops"),
        given={name: report.settings.get(name) for name in ("subscription", "resource-group", "workspace")},
    )
    return load_experiment(
        file.absolute(),
        root=Path.cwd(),
        env=report.settings.get("env"),
        environ=os.environ,
        baseline=Path(baseline).absolute() if baseline else None,
        fetch=fetch,
    )


def _save(options: argparse.Namespace) -> int:
    from pytest_llmops.baselines import default_output, read_results, save, shown

    report = read_results(Path(options.results))
    paths = [_chosen(report, options.experiment)] if options.experiment else list(report.experiments)
    if options.output and len(paths) != 1:
        raise LLMOpsError(f"--output: the session has {len(paths)} experiments; choose one with --experiment")
    for path in paths:
        # Where it is saved is what the file says: the session may have been compared with something else.
        named = _load(report, path, None)
        output = Path(options.output) if options.output else default_output(named)
        baseline = save(report, path, load_recorded(report, path), output, force=options.force)
        rows = sum(len(result.run.rows) for result in baseline.cells)
        show([f"saved: {shown(output)} ({_number(len(baseline.cells), 'cell')}, {_number(rows, 'row')})"])
        if named.baseline is None:
            where = Path(os.path.relpath(output, named.folder)).as_posix()
            show([f"to have it compared with, write in {path}: llmops: {{baseline: {where}}}"])
    return 0


def _chosen(report: Report, name: str) -> str:
    """Return the path of an experiment file that the report has.

    Raises:
        LLMOpsError: for a folder, with the experiment files in it.
    """
    path = recorded_path(name)
    if not Path(path).is_dir():
        return path
    below = [known for known in report.experiments if Path(path) in Path(known).parents]
    todo = f"name the file: {' or '.join(below)}" if below else "name an experiment file that the session was on"
    raise LLMOpsError(f"--experiment: {name} is a folder; {todo}")


def _show(options: argparse.Namespace) -> int:
    from pytest_llmops.baselines import read_baseline

    report = read_baseline(Path(options.file))
    show(_described(report))
    return 0


def _described(report: Report) -> Iterator[str]:
    from pytest_llmops.baselines import FORCED
    from pytest_llmops.records.report import COMMIT
    from pytest_llmops.reports.text import one_line

    yield f"created: {one_line(report.created) or 'unknown'}"
    yield f"commit: {one_line(report.versions.get(COMMIT) or 'unknown')}"
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    yield f"settings: {one_line(settings) or 'none'}"
    if FORCED in report.settings:
        yield (
            "saved with --force: its gate was closed, it is of a part of the rows or variants, its thresholds were "
            "given on a command line, it was decided again, or files had changed since"
        )
    for result in report.cells:
        head, *others = map(one_line, _cell(result))
        yield head
        yield from (f"  {line}" for line in others)


def _cell(result: CellResult) -> Iterator[str]:
    from pytest_llmops.reports.verdicts import figure
    from pytest_llmops.stats.integrity import metric_value

    failed = f", {len(result.run.failed)} failed" if result.run.failed else ""
    yield f"{result.cell.experiment}: {result.cell.id}: {_number(len(result.run.rows), 'row')}{failed}"
    for name, evaluation in result.evaluations.items():
        values = {metric: metric_value(evaluation.result, metric)[0] for metric in evaluation.result.metrics}
        shown = ", ".join(f"{metric} {figure(value)}" for metric, value in values.items() if value is not None)
        yield f"{name}: {shown or 'no metric'} (n = {len(evaluation.result.completed)})"


def _diff(options: argparse.Namespace) -> int:
    from pytest_llmops.baselines import read_baseline, read_results

    show_comparison(read_baseline(Path(options.file)), read_results(Path(options.results)), options.format)
    return 0


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
