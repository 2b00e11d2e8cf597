"""Evaluates two versions of a flow that are served side by side, on the same rows and at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pytest_llmops.api.evaluating import Results
from pytest_llmops.api.sessions import engine_of, planned, session_on
from pytest_llmops.api.shared import checked
from pytest_llmops.baselines import commit_of
from pytest_llmops.deployment.ab import MARGIN, with_margins, without_comparisons
from pytest_llmops.judging import BaselineOf, Judge
from pytest_llmops.plan import CellPlan, Options
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.gate import CellResult
from pytest_llmops.records.run import LLMMode
from pytest_llmops.stats.gates import decide
from pytest_llmops.subjects import subject_of
from pytest_llmops.throttle import LimitServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Results of both. The gates of the candidate compare it with the baseline, those of the baseline with nothing."""

    baseline: Results
    candidate: Results


def evaluate_pair(
    experiment: Experiment,
    baseline: Address,
    candidate: Address,
    *,
    margin: float = MARGIN,
    llm: LLMMode = "replay",
    max_rows: int | None = None,
    concurrency: int = 16,
) -> Pair:
    """Evaluate what answers at two addresses. Each cell runs on both at once, so that neither has the better hour.

    ``margin`` is how much worse a score from 0 to 1 may be, where its threshold has no margin. ``llm`` is for the LLM
    calls of evaluators. Interrupted, it ends all runs that are under way in this process.

    Raises:
        ConfigurationError: where the experiment can't be planned.
    """
    experiment = replace(experiment, baseline=None)
    with ExitStack() as until_end:
        limit = until_end.enter_context(closing(LimitServer(concurrency)))
        engine = until_end.enter_context(engine_of("endpoint", experiment))
        options = Options(
            llm=checked(llm),
            concurrency=concurrency,
            max_rows=max_rows,
            llm_limit=limit.address,
            backend="endpoint",
        )
        sides = {side: replace(options, address=side) for side in (baseline, candidate)}
        plans = {side: planned(experiment, chosen) for side, chosen in sides.items()}
        sessions = {side: until_end.enter_context(session_on(engine, None)) for side in sides}
        for side, session in sessions.items():
            session.start(plans[side])
        found = {side: {item.key: sessions[side].result(item) for item in plans[side]} for side in sides}
    theirs, mine = found[baseline], found[candidate]
    compared = with_margins(experiment, list(mine.values()), margin)
    return Pair(
        baseline=_judged(without_comparisons(experiment), sides[baseline], theirs, None),
        candidate=_judged(compared, sides[candidate], mine, lambda item: theirs[item.key]),
    )


def _judged(
    experiment: Experiment, options: Options, results: Mapping[str, CellResult], baseline_of: BaselineOf | None
) -> Results:
    plans: Sequence[CellPlan] = planned(experiment, options)
    judge = Judge(plans, lambda item: results[item.key], baseline_of)
    gates = tuple(judge.decide(item, demand) for item in plans for demand in item.demands)
    path = experiment.file.name
    return Results(
        experiments={path: experiment.name},
        cells=tuple(results.values()),
        gates=gates,
        decision=decide(gates),
        settings=_settings(experiment, options),
        versions=commit_of(experiment.folder),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        subjects={path: replace(subject_of(experiment), digest="")},  # which version is served is not known
    )


def _settings(experiment: Experiment, options: Options) -> dict[str, str]:
    address = options.address
    known = {
        "env": experiment.env,
        "llm": options.llm,
        "backend": options.backend,
        "endpoint": address.place if address else None,
        "deployment": address.deployment if address else None,
        "max-rows": options.max_rows,
        "concurrency": options.concurrency,
    }
    return {name: str(value) for name, value in known.items() if value is not None}
