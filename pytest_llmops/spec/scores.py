"""Which output of an evaluation flow is a row's score of a metric."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmops.records.experiment import Score
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.flows import FlowFacts
from pytest_llmops.spec.models import EvaluatorBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import suggest


def read_scores(block: EvaluatorBlock, facts: FlowFacts, path: KeyPath, report: Reporter) -> Mapping[str, Score]:
    """Read an evaluator's scores, and report outputs that its flow does not have."""
    scores: dict[str, Score] = {}
    for metric, written in (block.scores or {}).items():
        place: KeyPath = (*path, "scores", metric)
        if isinstance(written, str):
            score = Score(output=written)
        else:
            score, place = Score(output=written.output, low=written.min, high=written.max), (*place, "output")
        if facts.outputs is not None and score.output not in facts.outputs:
            what = f"flow '{facts.flow.name}' has no output {score.output!r}"
            report.error(place, what, suggest(score.output, facts.outputs, "its outputs"))
        scores[metric] = score
    return scores
