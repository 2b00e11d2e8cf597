"""``llmops regate``: decides again on the results of a session, without a single LLM call."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, complain, show
from pytest_llmops.cli.baseline import add_results, load_recorded, recorded_path
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.records.experiment import Experiment, Threshold
    from pytest_llmops.records.report import Report

_REPORT_DIR = "--report-dir"


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "regate", "decide again on the last session, by the thresholds as they are now")
    parser.add_argument("experiments", nargs="*", metavar="FILE", help="experiment files or folders; without, all")
    add_results(parser)
    parser.add_argument(_REPORT_DIR, metavar="FOLDER", help="folder for the reports; without it, that of the results")
    parser.add_argument("--env", help="environment that the session had to have; it is the one that is decided by")
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

    from pytest_llmops.baselines import Baselines, page_sources, read_baseline, read_results
    from pytest_llmops.regating import regate, undecided
    from pytest_llmops.reports.console import failure_text, summary_lines
    from pytest_llmops.reports.write import remove_decision, write_reports

    folder = _report_folder(options)
    if options.report_dir or Path(options.results).exists():
        # Whatever goes wrong below, nobody may take the decision that is there for that on what was asked.
        remove_decision(folder, _REPORT_DIR)
    report = read_results(Path(options.results))
    _check_environment(report, options.env)
    if options.baseline:
        read_baseline(Path(options.baseline))
    paths = _selected(report, options.experiments)
    experiments = {path: load_recorded(report, path, baseline=options.baseline) for path in paths}
    _check_overlay(experiments.values(), options.env)
    thresholds = [_threshold(text, experiments.values()) for text in options.threshold]
    again = regate(report, experiments, thresholds=thresholds, baselines=Baselines().finder)
    chosen = {"baseline": options.baseline} if options.baseline else {}
    settings = {**again.settings, **chosen, "report-dir": folder.as_posix()}
    again = replace(again, settings=settings, baselines=_compared_with(report, experiments))
    sources = page_sources(again, Path.cwd())
    write_reports(again, folder, _REPORT_DIR, sources)
    for trouble in sources.troubles:
        complain(trouble)
    show(_overridden(again))
    show(f"{key}: no longer planned, not decided on" for key in undecided(again))
    for gate in again.gates:
        if gate.closes_gate():
            show([failure_text(gate), ""])
    show(summary_lines(again))
    show([f"0 LLM calls: decided on the results of {report.created}"])
    return 0 if again.decision.state == "open" else 1


def _compared_with(report: Report, experiments: Mapping[str, Experiment]) -> dict[str, str]:
    """Name what each experiment is compared with now; what nothing was decided on again stays as it was."""
    from pytest_llmops.baselines import Baselines

    sources = ((path, Baselines().source(experiment)) for path, experiment in experiments.items())
    return {
        **{path: source for path, source in report.baselines.items() if path not in experiments},
        **{path: recorded_path(str(source)) for path, source in sources if source is not None},
    }


def _overridden(report: Report) -> Iterator[str]:
    """Yield what was decided by that is not written in the experiment files."""
    from pytest_llmops.regating import THRESHOLDS

    given = [f"{name} {report.settings[name]}" for name in (THRESHOLDS, "baseline") if name in report.settings]
    if given:
        yield f"decided with: {', '.join(given)}"


def _check_environment(report: Report, asked: str | None) -> None:
    """Refuse to decide on results of one environment as if they were of another.

    Raises:
        LLMOpsError: where they are.
    """
    recorded = report.settings.get("env")
    if asked and asked != recorded:
        of = f"environment '{recorded}'" if recorded else "no environment"
        todo = f"run pytest with --llmops-env {asked}, or leave --env out"
        raise LLMOpsError(f"--env {asked}: the results are of {of}; {todo}")


def _check_overlay(experiments: Collection[Experiment], asked: str | None) -> None:
    """Refuse an environment that no experiment has an overlay for.

    Raises:
        LLMOpsError: that names the file that is missing.
    """
    overlays = [file.with_name(f"{file.stem}.{asked}{file.suffix}") for file in (e.file for e in experiments)]
    if asked and overlays and not any(overlay.is_file() for overlay in overlays):
        missing = ", ".join(recorded_path(str(overlay)) for overlay in overlays)
        raise LLMOpsError(f"--env {asked}: there is no {missing}; add it, or leave --env out")


def _selected(report: Report, given: Sequence[str]) -> list[str]:
    """Take the experiments of a report that are named, by their file or a folder that they are below.

    Raises:
        LLMOpsError: for a name that is of none.
    """
    if not given:
        return list(report.experiments)
    chosen: dict[str, None] = {}
    for name in given:
        path = recorded_path(name)
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
    """Write the reports to where the results are from, unless another folder is named.

    Raises:
        LLMOpsError: for results in a file of their own, such as a baseline: what lies beside it is of others.
    """
    from pytest_llmops.reports import results

    given = Path(options.results)
    if options.report_dir:
        return Path(options.report_dir)
    if given.is_dir():
        return given
    if given.name != results.FILE and given.exists():
        raise LLMOpsError(f"{options.results}: it is no {results.FILE}; say where the reports go with {_REPORT_DIR}")
    return given.parent
