"""Loads experiments, evaluates them, and decides again on what was found out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

from pytest_llmops import regating
from pytest_llmops.api.shared import checked, engine, root_of
from pytest_llmops.baselines import Baselines, read_results
from pytest_llmops.errors import RunError
from pytest_llmops.judging import Judge
from pytest_llmops.ledger import Ledger
from pytest_llmops.plan import Options, plan
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
            LLMOpsError: where an experiment is not in the report, or a threshold can't be read.
        """
        paths = {name: path for path, name in self.experiments.items()}
        for experiment in experiments:
            if experiment.name not in paths:
                raise RunError(
                    f"the report has no results of '{experiment.name}' (it has: {', '.join(paths) or 'none'})"
                )
        baselines = Baselines(Path(baseline).absolute() if baseline else None)
        try:
            given = [parse_threshold(text, "thresholds") for text in thresholds]
        except ValueError as error:
            raise RunError(f"thresholds: {error}") from None
        known = {paths[experiment.name]: experiment for experiment in experiments}
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
    ledger, everything is executed.
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
        plans = plan(experiment, path=experiment.file.name, options=options)
        session = Session(engine(), Store(None), known, at_once=max(2, os.cpu_count() or 2))
        session.start(plans)
        results = {item.key: session.result(item) for item in plans}
        session.release()
    baselines = Baselines(Path(baseline).absolute() if baseline else None)
    decider = Judge(plans, lambda item: results[item.key], baselines.finder(experiment))
    gates = tuple(decider.decide(item, demand) for item in plans for demand in item.demands)
    return Results(
        experiments={experiment.file.name: experiment.name},
        cells=tuple(results.values()),
        gates=gates,
        decision=decide(gates),
        settings=_settings(llm=llm, concurrency=concurrency, max_rows=max_rows, variants=variants, repeat=repeat),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def read(path: str | Path) -> Results:
    """Read the results of a session: a ``results.json``, or the folder that holds it.

    Raises:
        LLMOpsError: where they are missing, torn, or of another schema version.
    """
    return _results(read_results(Path(path)))


def _results(report: Report) -> Results:
    return Results(**{field.name: getattr(report, field.name) for field in fields(report)})


def _settings(**given: object) -> dict[str, str]:
    """Name the settings of a session as pytest's reports do, those that were given."""
    return {name.replace("_", "-"): str(value) for name, value in given.items() if value is not None}
