"""From results to verdicts. Fails closed: what can't be shown to be good is an ERROR, never a PASS."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.records.estimates import Comparison
from pytest_llmops.records.experiment import RUN, Experiment, Require, Threshold
from pytest_llmops.records.gate import CellResult, GateResult, Verdict
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import Variant, earliest
from pytest_llmops.stats.against_baseline import Contrast, record
from pytest_llmops.stats.agreement import Agreement
from pytest_llmops.stats.findings import findings, interval, percent
from pytest_llmops.stats.integrity import evaluation_problems, row_errors, run_problems
from pytest_llmops.stats.measuring import Measurement
from pytest_llmops.stats.slices import worst_slices

NOTHING = "nothing was evaluated"
"""What closes a gate that no verdict is behind."""

_GRAVITY: Sequence[Verdict] = ("PASS", "INCONCLUSIVE", "FAIL", "ERROR")


def judge_run(result: CellResult, experiment: Experiment) -> GateResult:
    """Decide on the integrity of a cell's run, all repeats of it included."""
    run = result.run
    problems = run_problems(result, experiment.gate)
    failed = f", {len(run.failed)} failed" if run.failed else ""
    times = f", {len(result.executions)} times" if result.repeats else ""
    return GateResult(
        experiment=result.cell.experiment,
        cell=result.cell.id,
        name=RUN,
        verdict="ERROR" if problems else "PASS",
        n=len(run.rows),
        reason="; ".join(problems) or f"{len(run.rows)} rows ran{times}{failed}",
        details=tuple(row_errors(run.failed)[1:6]) if problems else (),
        recorded=earliest(*(execution.run.oldest for execution in result.executions)),
    )


def report_evaluator(result: CellResult, evaluator: str, experiment: Experiment) -> GateResult:
    """Report an evaluator that has no thresholds: only what broke can fail it."""
    evaluation = result.evaluations[evaluator]
    problems = run_problems(result, experiment.gate)
    for execution in result.executions:
        problems = problems or evaluation_problems(execution.evaluations[evaluator], experiment.gate)
    metrics = evaluation.result.metrics
    shown = ", ".join(f"{name} {_number(value)}" for name, value in metrics.items()) or "no metric was logged"
    return GateResult(
        experiment=result.cell.experiment,
        cell=result.cell.id,
        name=evaluator,
        verdict="ERROR" if problems else "PASS",
        n=len(evaluation.result.completed),
        blocking=False,
        reason="; ".join(problems) or f"no thresholds, reported only: {shown}",
        recorded=_oldest(result, evaluator),
    )


def judge_metric(
    result: CellResult,
    threshold: Threshold,
    experiment: Experiment,
    measured: Measurement,
    *,
    blocking: bool = True,
    found: Contrast | Agreement | str | None = None,
    p_value: float | None = None,
) -> GateResult:
    """Decide on one metric of a cell, an evaluator's or the run's own, as it was measured.

    ``found`` is the contrast with the baseline, or why there is none, where the threshold compares; of agreement, what
    agrees. ``p_value`` is that of the contrast after correction for its family.
    """
    around = interval(result, experiment, measured)
    parts = findings(result, threshold, experiment, measured, around=around, found=found, p_value=p_value)
    worst = max(parts, key=lambda finding: _GRAVITY.index(finding.verdict))
    slices = worst_slices(result, measured.scores, threshold, experiment)
    gate = GateResult(
        experiment=result.cell.experiment,
        cell=result.cell.id,
        name=threshold.name,
        verdict=worst.verdict,
        value=measured.value,
        rule=_rule_text(threshold),
        n=measured.n,
        blocking=blocking and threshold.severity == "fail",
        reason="; ".join(finding.reason for finding in parts if finding.reason),
        details=tuple(line for finding in parts for line in finding.details),
        recorded=_oldest(result, threshold.evaluator),
        interval=around,
        margin=threshold.margin,
        comparison=_comparison(found, threshold, p_value),
        slices=slices,
        on_inconclusive=experiment.gate.on_inconclusive,
        weak=worst.verdict == "PASS" and any(part.weak for part in parts),
        file=threshold.file,
        line=threshold.line,
        low=_finite(threshold.rule.low),
        high=_finite(threshold.rule.high),
        score=measured.output if measured.scores else "",
        better=threshold.better,
        severity=threshold.severity,
    )
    if threshold.by and slices:
        weakest = slices[0]
        return replace(gate, value=weakest.score, n=weakest.n, interval=weakest.interval)
    return gate


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _comparison(
    found: Contrast | Agreement | str | None, threshold: Threshold, p_value: float | None
) -> Comparison | None:
    return record(found, threshold, p_value) if isinstance(found, Contrast) else None


def _rule_text(threshold: Threshold) -> str:
    confident = f" at {percent(threshold.confidence)} confidence" if threshold.confidence is not None else ""
    parts = [threshold.rule.text + confident]
    if threshold.margin is not None:
        parts.append(f"at most {threshold.margin:g} worse")
    if threshold.must_pass:
        count = len(threshold.must_pass)
        parts.append(f"{count} row{'s' * (count != 1)} must pass")
    if threshold.keep_passing:
        parts.append("no row that passed may fail")
    return ", ".join(part for part in parts if part)


def _oldest(result: CellResult, evaluator: str) -> float | None:
    times = []
    for execution in result.executions:
        evaluation = execution.evaluations.get(evaluator)
        times += [execution.run.oldest, evaluation.result.oldest if evaluation else None]
    return earliest(*times)


def decide(gates: Sequence[GateResult], obstacles: Iterable[str] = ()) -> Decision:
    """Add verdicts up to the decision on a deployment.

    ``obstacles`` are reasons outside the gates: items that were deselected, a session that was stopped, errors of
    collection. Without any gate the decision is closed.
    """
    reasons = [_said(gate) for gate in gates if gate.closes_gate()]
    reasons += obstacles
    if not gates:
        reasons.append(NOTHING)
    counts = Counter(gate.verdict for gate in gates)
    return Decision(state="closed" if reasons else "open", reasons=tuple(reasons), counts=dict(sorted(counts.items())))


def obstacles_of(report: Report) -> list[str]:
    """List what closed a report's gate beside its verdicts: from a decision back to what ``decide`` was given."""
    verdicts = set(map(_said, report.gates))
    return [reason for reason in report.decision.reasons if reason not in verdicts]


def incomplete(planned: Mapping[str, Sequence[str]], gates: Iterable[GateResult]) -> Iterator[str]:
    """Yield, a line for each, which experiments were not decided in full. ``planned`` has their items, by path."""
    decided = {(gate.experiment, gate.item) for gate in gates}
    for experiment, items in sorted(planned.items()):
        done = sum((experiment, item) in decided for item in items)
        if not items:
            yield f"{experiment}: no variant was selected"
        elif done < len(items):
            yield f"{experiment}: only {done} of {len(items)} items were decided"
    unplanned = {experiment for experiment, _ in decided} - planned.keys()
    yield from (f"{experiment}: what it planned is not known" for experiment in sorted(unplanned))


def _said(gate: GateResult) -> str:
    return f"{gate.verdict} {gate.item}"


def required_variants(
    require: Require, variants: Sequence[Variant], gates_of: Callable[[str], Iterable[GateResult]]
) -> frozenset[str]:
    """Tell, by id, which of the flow's variants that were selected must pass. Candidates are none of them.

    ``default``: the default one, or all where it was not selected. ``best``: those that pass every gate, or all where
    none does. ``all``: all. ``gates_of`` gives all gates of a variant; it is asked for ``best`` only.
    """
    everything = frozenset(variant.id for variant in variants)
    if require == "default":
        return frozenset(variant.id for variant in variants if variant.is_default) or everything
    if require == "best":
        passing = (name for name in everything if not any(gate.closes_gate() for gate in gates_of(name)))
        return frozenset(passing) or everything
    return everything


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
