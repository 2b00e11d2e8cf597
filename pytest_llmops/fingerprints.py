"""What all shards of a session have in common, as digests: what is demanded, of what, and compared with what.

A merge has nothing but reports, and two trees with changes that were not committed bear the same name. So each shard
notes what was about to be done in all, by files as they were before anything was executed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.hashing import digest
from pytest_llmops.ledger import digest_of
from pytest_llmops.plan import CellPlan
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.run import RunRequest
from pytest_llmops.thresholds import placeless
from pytest_llmops.versions import Versions

BaselineFile = Callable[[Experiment], Path | None]
"""Tells which file an experiment is compared with; None where there is none."""


def digests_of_plans(plans: Iterable[CellPlan], baseline_file: BaselineFile) -> dict[str, str]:
    """Return for each experiment, by path of its file, a digest of all that its verdicts are made from.

    That is what its cells are, thresholds and gate policy, flows, evaluators and data, recorded answers where they are
    replayed, and the baseline where a threshold compares. Secrets, addresses and folders may differ between agents.
    """
    experiments: dict[str, list[CellPlan]] = defaultdict(list)
    for plan in plans:
        experiments[plan.cell.experiment].append(plan)
    return {path: _digest(path, found, baseline_file) for path, found in experiments.items()}


def digests_of_tests(nodeids: Iterable[str]) -> dict[str, str]:
    """Return for each file of tests a digest of the names of those tests in it, in whichever order they come."""
    files: dict[str, list[str]] = defaultdict(list)
    for nodeid in nodeids:
        path, _, name = nodeid.partition("::")
        files[path].append(name)
    return {path: digest(sorted(names)) for path, names in files.items()}


def _digest(path: str, plans: Sequence[CellPlan], baseline_file: BaselineFile) -> str:
    experiment = plans[0].experiment
    versions = Versions(experiment, path)
    sources = {request.data: request for plan in plans for request in _requests(plan) if isinstance(request.data, Path)}
    data = {source: versions.of_data([request]) for source, request in sources.items()}
    runs = versions.of_all(request for plan in plans for request in _requests(plan))
    compares = any(threshold.compares for plan in plans for threshold in plan.thresholds)
    return digest(
        to_json(
            {
                "gate": experiment.gate,
                "scores": {evaluator.name: evaluator.scores for evaluator in experiment.evaluators},
                "prices": experiment.prices,
                "reference": experiment.baseline and experiment.baseline.variant,
                "required": [candidate.name for candidate in experiment.candidates if candidate.required],
                "baseline": _content(baseline_file(experiment)) if compares else None,
                "answers": {file.name: _content(file) for file in _cassettes(plans)},
                "cells": {plan.cell.id: _demanded(plan, data) for plan in plans},
                "runs": runs,
            }
        )
    )


def _demanded(plan: CellPlan, data: dict[Path, str]) -> dict[str, Any]:
    return {
        "thresholds": placeless(plan.thresholds),
        "key": plan.key_column,
        "data": [data[request.data] for request in _requests(plan) if isinstance(request.data, Path)],
    }


def _requests(plan: CellPlan) -> tuple[RunRequest, ...]:
    """Return the runs of the first execution; repeats differ from it by their cassettes alone."""
    return (plan.request, *(evaluation.request for evaluation in plan.evaluations))


def _cassettes(plans: Iterable[CellPlan]) -> Iterator[Path]:
    answers = (request.llm for plan in plans for request in plan.requests)
    yield from {llm.cassette: None for llm in answers if llm.mode == "replay" and llm.cassette is not None}


def _content(file: Path | None) -> str | None:
    return None if file is None else digest_of(str(file))
