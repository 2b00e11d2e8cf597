"""``llmops regate``: decides again on the results of a session, without a single LLM call."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import show
from pytest_llmops.cli.baseline import add_results, load_recorded
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.experiment import Experiment, Threshold
    from pytest_llmops.records.report import Report


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("regate", help="decide again on the last session, by the thresholds as they are now")
    parser.add_argument("experiments", nargs="*", metavar="FILE", help="experiment files or folders; without, all")
    add_results(parser)
    parser.add_argument(
        "--report-dir", metavar="FOLDER", help="folder for the reports; without it, that of the results"
    )
    parser.add_argument("--env", help="environment; without it, the one that the session had")
    parser.add_argument("--baseline", metavar="PATH", help="baseline, in place of what the experiment files name")
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="METRIC=RULE",
        help="threshold that replaces those of the experiment files, such as matcher.f1='>= 0.9'; repeatable",
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from pytest_llmops.baselines import Baselines, read_results
    from pytest_llmops.regating import left_out, regate
    from pytest_llmops.reports.console import failure_text, summary_lines
    from pytest_llmops.reports.write import write_reports

    report = read_results(Path(options.results))
    paths = _selected(report, options.experiments)
    chosen = {name: value for name in ("env", "baseline") if (value := getattr(options, name))}
    experiments = {path: load_recorded(report, path, **chosen) for path in paths}
    thresholds = [_threshold(text, experiments.values()) for text in options.threshold]
    again = regate(report, experiments, thresholds=thresholds, baselines=Baselines().finder)
    folder = _report_folder(options)
    again = replace(again, settings={**again.settings, **chosen, "report-dir": folder.as_posix()})
    write_reports(again, folder)
    show(f"{key}: no longer planned, left out" for key in left_out(report, again))
    for gate in again.gates:
        if gate.closes_gate():
            show([failure_text(gate), ""])
    show(summary_lines(again))
    show([f"0 LLM calls: decided on the results of {report.created}"])
    return 0 if again.decision.state == "open" else 1


def _selected(report: Report, given: Sequence[str]) -> list[str]:
    """Take the experiments of a report that are named, by their file or a folder that they are below.

    Raises:
        LLMOpsError: for a name that is of none.
    """
    if not given:
        return list(report.experiments)
    chosen: dict[str, None] = {}
    for name in given:
        path = Path(name).as_posix()
        below = [known for known in report.experiments if known == path or Path(path) in Path(known).parents]
        if not below:
            known = ", ".join(report.experiments) or "none"
            raise LLMOpsError(f"{name}: the results have no such experiment (they have: {known})")
        chosen |= dict.fromkeys(below)
    return [path for path in report.experiments if path in chosen]


def _threshold(text: str, experiments: Iterable[Experiment]) -> Threshold:
    from pytest_llmops.records.experiment import RUN
    from pytest_llmops.thresholds import parse_threshold

    try:
        threshold = parse_threshold(text, "--threshold")
    except ValueError as problem:
        raise LLMOpsError(f"--threshold: {problem}") from None
    known = {evaluator.name for experiment in experiments for evaluator in experiment.evaluators} | {RUN}
    if threshold.evaluator not in known:
        raise LLMOpsError(f"--threshold: {threshold.name}: no experiment has this evaluator; check its name")
    return threshold


def _report_folder(options: argparse.Namespace) -> Path:
    """Write the reports to where the results are from, unless another folder is named."""
    results = Path(options.results)
    return Path(options.report_dir) if options.report_dir else (results if results.is_dir() else results.parent)
