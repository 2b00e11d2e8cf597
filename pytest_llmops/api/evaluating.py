"""Loads experiments, evaluates them, and decides again on what was found out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path

from pytest_llmops import regating
from pytest_llmops.api.shared import checked, engine, renew_engine, root_of
from pytest_llmops.baselines import Baselines, commit_of, read_results
from pytest_llmops.errors import ConfigurationError, RunError
from pytest_llmops.judging import Judge
from pytest_llmops.ledger import Ledger
from pytest_llmops.plan import CellPlan, Options, plan
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import LLMMode
from pytest_llmops.session import Session
from pytest_llmops.spec import load_experiment
from pytest_llmops.stats.comparing import ReportComparison, compare_reports
from pytest_llmops.stats.gates import decide
from pytest_llmops.store import Store
from pytest_llmops.thresholds import parse_threshold
from pytest_llmops.throttle import LimitServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Results(Report):
    """A report of results that can be decided on again, and compared with others."""

    def compare(self, baseline: Report) -> ReportComparison:
        """Put these results beside earlier ones, or beside those of another version, metric by metric, row by row."""
        return compare_reports(baseline, self)

    def regate(
        self, *experiments: Experiment, thresholds: Sequence[str] = (), baseline: str | Path | None = None
    ) -> Results:
        """Decide again, by the thresholds as they are now, without running anything.

        ``experiments`` are the ones that the report is about, loaded anew; ``thresholds`` are such as
        ``matcher.f1=>= 0.9`` and replace theirs. What another version of a flow or evaluator gave is an ERROR.

        Raises:
            LLMOpsError: where an experiment is not in the report, or can't be told from another one there, or a
                threshold can't be read.
        """
        known = {_path_in(self, experiment): experiment for experiment in experiments}
        baselines = Baselines(Path(baseline).absolute() if baseline else None)
        try:
            given = [parse_threshold(text, "thresholds") for text in thresholds]
        except ValueError as error:
            raise RunError(f"thresholds: {error}") from None
        return _results(regating.regate(self, known, thresholds=given, baselines=baselines.finder))


def load(
    path: str | Path,
    env: str | None = None,
    *,
    root: str | Path | None = None,
    strict: bool = False,
    baseline: str | Path | None = None,
) -> Experiment:
    """Load an experiment file with its overlay for ``env``. ``root`` is the repository's root, found if not given.

    ``baseline`` is what the experiment is going to be compared with, if the file does not say it.

    Raises:
        ConfigurationError: with every problem of the file.
    """
    file = Path(path).absolute()
    return load_experiment(
        file,
        root=Path(root).absolute() if root else root_of(file.parent),
        env=env,
        environ=os.environ,
        strict=strict,
        baseline=Path(baseline).absolute() if baseline else None,
    )


def evaluate(
    experiment: Experiment,
    *,
    llm: LLMMode = "replay",
    variants: str | None = None,
    max_rows: int | None = None,
    concurrency: int = 16,
    repeat: int | None = None,
    baseline: str | Path | None = None,
    ledger: str | Path | None = None,
) -> Results:
    """Run and evaluate every cell of an experiment, judge its thresholds, and return all results.

    The arguments mean what the options ``--llmops-llm``, ``--llmops-variants`` and so on mean to pytest; without a
    ledger, everything is executed. Interrupted, it ends all runs that are under way in this process.

    Raises:
        ConfigurationError: where the experiment can't be planned, or no variant is selected.
    """
    with ExitStack() as until_end:
        limit = until_end.enter_context(closing(LimitServer(concurrency)))
        known = until_end.enter_context(closing(Ledger(Path(ledger).absolute()))) if ledger else None
        options = Options(
            llm=checked(llm),
            concurrency=concurrency,
            max_rows=max_rows,
            variants=variants,
            repeat=repeat,
            llm_limit=limit.address,
        )
        plans = _planned(experiment, options)
        session = until_end.enter_context(_session(known))
        session.start(plans)
        results = {item.key: session.result(item) for item in plans}
    baselines = Baselines(Path(baseline).absolute() if baseline else None)
    decider = Judge(plans, lambda item: results[item.key], baselines.finder(experiment))
    gates = tuple(decider.decide(item, demand) for item in plans for demand in item.demands)
    return Results(
        experiments={experiment.file.name: experiment.name},
        cells=tuple(results.values()),
        gates=gates,
        decision=decide(gates),
        settings=_settings(
            env=experiment.env,
            llm=llm,
            concurrency=concurrency,
            max_rows=max_rows,
            variants=variants,
            repeat=repeat,
            baseline=baseline,
        ),
        versions=commit_of(experiment.folder),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def read(path: str | Path) -> Results:
    """Read the results of a session: a ``results.json``, or the folder that holds it.

    Raises:
        LLMOpsError: where they are missing, torn, or of another schema version.
    """
    return _results(read_results(Path(path)))


def _planned(experiment: Experiment, options: Options) -> tuple[CellPlan, ...]:
    path = experiment.file.name
    plans = plan(experiment, path=path, options=options)
    if not plans and experiment.datasets:
        known = (cell.cell.variant.id for cell in plan(experiment, path=path, options=replace(options, variants=None)))
        what = f"no variant is selected by '{options.variants}'"
        raise ConfigurationError.one(path, 0, "variants", what, f"there are: {', '.join(dict.fromkeys(known))}")
    if not plans:
        raise ConfigurationError.one(path, 0, "datasets", "there are none, so there is nothing to run", "add one")
    return plans


@contextmanager
def _session(ledger: Ledger | None) -> Iterator[Session]:
    """Give a session whose work ends with the block: at once, where that is left by an error or by Ctrl-C."""
    session = Session(engine(), Store(None), ledger, at_once=max(2, os.cpu_count() or 2))
    try:
        yield session
    except BaseException:
        session.close()
        renew_engine()
        # What is under way was ended, but writes to the ledger and to recordings on its way out.
        session.finish()
        raise
    session.release()


def _path_in(report: Report, experiment: Experiment) -> str:
    """Return the path under which a report has an experiment: the end of that of its file.

    Raises:
        RunError: where it has none, or more than one could be meant.
    """
    file = experiment.file.as_posix()
    found = [path for path, name in report.experiments.items() if name == experiment.name and _ends_with(file, path)]
    if len(found) > 1:
        what = f"'{experiment.name}' ({file}) may be {' or '.join(found)} of the report"
        raise RunError(f"{what}; rename one of them, or use the command llmops regate, which names files")
    if not found:
        known = ", ".join(f"'{name}' ({path})" for path, name in report.experiments.items()) or "none"
        raise RunError(f"the report has no results of '{experiment.name}' ({file}); it has: {known}")
    return found[0]


def _ends_with(file: str, path: str) -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return file.split("/")[-len(parts) :] == parts


def _results(report: Report) -> Results:
    return Results(**{field.name: getattr(report, field.name) for field in fields(report)})


def _settings(**given: object) -> dict[str, str]:
    """Name the settings of a session as pytest's reports do, those that were given."""
    return {name.replace("_", "-"): str(value) for name, value in given.items() if value is not None}
