"""What an experiment's verdicts are of, as digests: the flow, the data, and the criteria that both were judged by.

By them, a decision is known to be on what is here: a commit does not tell, where files were changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.hashing import digest
from pytest_llmops.ledger import UNREADABLE, digest_of
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import RUN, Candidate, Dataset, Evaluator, Experiment, Price
from pytest_llmops.records.report import Subject
from pytest_llmops.records.run import Variant
from pytest_llmops.thresholds import placeless
from pytest_llmops.versions import files_of_data, flow_digest

_VARIABLES = Path("environment", "env.yaml")
_COST = "cost"


def subject_of(experiment: Experiment) -> Subject:
    """Describe what an experiment's verdicts are of, by its files as they are now."""
    return Subject(
        flow=experiment.flow.name,
        digest=flow_digest(experiment.flow),
        data=_data(experiment),
        criteria=criteria_of(experiment),
    )


def criteria_of(experiment: Experiment) -> str:
    """Return the digest of what decides an experiment's verdicts beside flow and data; empty where it can't be read.

    That is what its file demands, thresholds and gate policy, with the prices where a cost is limited; evaluators by
    their files; how columns are mapped; the variables that flows run with, as they are written; and candidates, by
    their files and their parity, that have to pass. It is the same on every machine, so values of variables and secrets
    are no part of it. Nor is what a session chooses for itself: recorded answers, the baseline's results, which
    variants are run.
    """
    evaluators = {evaluator.name: _evaluator(evaluator) for evaluator in experiment.evaluators}
    candidates = {candidate.name: _candidate(candidate) for candidate in experiment.candidates if candidate.required}
    variables = digest_of(str(experiment.folder / _VARIABLES))
    if variables == UNREADABLE or not all(known["flow"] for known in (*evaluators.values(), *candidates.values())):
        return ""
    try:
        return digest(
            to_json(
                {
                    "thresholds": placeless(experiment.thresholds),
                    "gate": experiment.gate,
                    "prices": _deciding_prices(experiment),
                    "reference": experiment.baseline and experiment.baseline.variant,
                    "datasets": [_binding(dataset) for dataset in experiment.datasets],
                    "evaluators": evaluators,
                    "variables": variables,
                    **({"candidates": candidates} if candidates else {}),
                }
            )
        )
    except (TypeError, ValueError, RecursionError):
        return ""  # a value that JSON does not have


def _evaluator(evaluator: Evaluator) -> dict[str, Any]:
    return {
        "flow": flow_digest(evaluator.flow),
        "scores": evaluator.scores,
        "datasets": [_binding(dataset) for dataset in evaluator.datasets],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    agreement = placeless([candidate.agreement] if candidate.agreement else [])
    chosen = Variant(init=candidate.init)
    return {"flow": flow_digest(candidate.flow, chosen), "margin": candidate.margin, "agreement": agreement}


def _binding(dataset: Dataset) -> dict[str, Any]:
    return {"name": dataset.name, "run": dataset.run_dataset, "mappings": dataset.mappings, "key": dataset.key}


def _deciding_prices(experiment: Experiment) -> Mapping[str, Price]:
    limits = any(t.evaluator == RUN and t.metric == _COST for t in experiment.thresholds)
    return experiment.prices if limits else {}


def _data(experiment: Experiment) -> str:
    gold = (dataset for evaluator in experiment.evaluators for dataset in evaluator.datasets)
    try:
        return digest(sorted(_content(dataset) for dataset in (*experiment.datasets, *gold)))
    except OSError:
        return ""


def _content(dataset: Dataset) -> list[str]:
    """Name a dataset and what it holds.

    Raises:
        OSError: where that can't be read.
    """
    name = f"{dataset.run_dataset}/{dataset.name}"
    if dataset.remote is not None:
        return [name, dataset.remote]  # no version of a data asset ever changes
    found = [digest_of(str(file)) for file in files_of_data(dataset.source)] if dataset.source else []
    if not found or not {None, UNREADABLE}.isdisjoint(found):
        raise FileNotFoundError(str(dataset.source))
    return [name, *(text for text in found if text)]
