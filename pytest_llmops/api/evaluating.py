"""Loads experiments, evaluates them, and decides again on what was found out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import get_args
from uuid import uuid4

from pytest_llmops import regating
from pytest_llmops.api.assets import fetch_asset
from pytest_llmops.api.backends import llm_mode, make_address
from pytest_llmops.api.sessions import compute_of, engine_of, planned, session_on
from pytest_llmops.api.shared import checked, root_of
from pytest_llmops.baselines import Baselines, commit_of, read_results
from pytest_llmops.errors import RunError
from pytest_llmops.judging import Judge
from pytest_llmops.ledger import Ledger
from pytest_llmops.plan import Options
from pytest_llmops.records.cloud import Address, Backend
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import LLMMode
from pytest_llmops.spec import load_experiment
from pytest_llmops.stats.comparing import ReportComparison, compare_reports
from pytest_llmops.stats.gates import decide
from pytest_llmops.subjects import subject_of
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
    backend: Backend = "local",
) -> Experiment:
    """Load an experiment file with its overlay for ``env``. ``root`` is the repository's root, found if not given.

    ``baseline`` is what the experiment is going to be compared with, if the file does not say it. ``backend`` is where
    its flows are going to be run: in a workspace, all variables have to be set, and connections are its own.

    Raises:
        ConfigurationError: with every problem of the file.
    """
    file = Path(path).absolute()
    above = Path(root).absolute() if root else root_of(file.parent)
    return load_experiment(
        file,
        root=above,
        env=env,
        environ=os.environ,
        live=backend == "azureml",
        in_workspace=backend == "azureml",
        strict=strict,
        baseline=Path(baseline).absolute() if baseline else None,
        fetch=partial(fetch_asset, folder=file.parent, root=above, environ=os.environ),
    )


def evaluate(
    experiment: Experiment,
    *,
    llm: LLMMode | None = None,
    variants: str | None = None,
    max_rows: int | None = None,
    concurrency: int = 16,
    repeat: int | None = None,
    baseline: str | Path | None = None,
    ledger: str | Path | None = None,
    backend: Backend = "local",
    endpoint: str | None = None,
    deployment: str | None = None,
    instance_type: str | None = None,
) -> Results:
    """Run and evaluate every cell of an experiment, judge its thresholds, and return all results.

    The arguments mean what the options ``--llmops-llm``, ``--llmops-variants`` and so on mean to pytest; without a
    ledger, everything is executed. Interrupted, it ends all runs that are under way in this process. The key or token
    of an endpoint is that of the environment, LLMOPS_ENDPOINT_TOKEN.

    Raises:
        ConfigurationError: where the experiment can't be planned, or no variant is selected.
        RunError: where the backend is not fully given.
        AccessError: where the workspace can't be reached.
    """
    address = _address(endpoint, deployment, backend=backend, variants=variants)
    mode = checked(llm_mode(llm, backend))
    with ExitStack() as until_end:
        limit = until_end.enter_context(closing(LimitServer(concurrency)))
        known = until_end.enter_context(closing(Ledger(Path(ledger).absolute()))) if ledger else None
        options = Options(
            llm=mode,
            concurrency=concurrency,
            max_rows=max_rows,
            variants=variants,
            repeat=repeat,
            llm_limit=limit.address,
            backend=backend,
            address=address,
            compute=compute_of(backend, experiment, instance_type),
        )
        plans = planned(experiment, options)
        subject = subject_of(experiment)
        engine = until_end.enter_context(engine_of(backend, experiment, "" if ledger else uuid4().hex))
        session = until_end.enter_context(session_on(engine, known))
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
            llm=mode,
            concurrency=concurrency,
            max_rows=max_rows,
            variants=variants,
            repeat=repeat,
            baseline=baseline,
            backend=None if backend == "local" else backend,
            endpoint=address.place if address else None,
            deployment=deployment,
        ),
        versions=commit_of(experiment.folder),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        # Which version is served is not known.
        subjects={experiment.file.name: replace(subject, digest="") if address else subject},
    )


def read(path: str | Path) -> Results:
    """Read the results of a session: a ``results.json``, or the folder that holds it.

    Raises:
        LLMOpsError: where they are missing, torn, or of another schema version.
    """
    return _results(read_results(Path(path)))


def _address(endpoint: str | None, deployment: str | None, *, backend: Backend, variants: str | None) -> Address | None:
    """Settle what is asked where the backend is an endpoint.

    Raises:
        RunError: where that is incomplete, or there is no such backend.
    """
    if backend not in get_args(Backend):
        raise RunError(f"backend is {backend!r}; give {', '.join(get_args(Backend))}")
    if backend != "endpoint":
        if endpoint is not None or deployment is not None:
            raise RunError("endpoint and deployment are for backend='endpoint'")
        return None
    if endpoint is None:
        raise RunError("backend='endpoint' needs the endpoint's URL; give it as endpoint")
    if variants not in (None, "default", "defaults"):
        raise RunError("variants: an endpoint serves one variant; leave it out")
    try:
        return make_address(endpoint, deployment or "", os.environ)
    except ValueError as problem:
        raise RunError(f"endpoint: {problem}") from None


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
