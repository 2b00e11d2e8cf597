"""From results to verdicts. Fails closed: what can't be shown to be good is an ERROR, never a PASS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_llmops.records.experiment import RUN, GatePolicy, Require, Threshold
from pytest_llmops.records.gate import CellResult, Demand, Evaluation, GateResult, Verdict
from pytest_llmops.records.report import Decision
from pytest_llmops.records.run import RunResult, Variant, earliest
from pytest_llmops.stats.integrity import evaluation_problems, metric_value, row_errors, run_problems
from pytest_llmops.stats.rows import worst_rows


def judge(result: CellResult, demand: Demand, policy: GatePolicy, *, blocking: bool = True) -> GateResult:
    """Decide on one demand. ``blocking`` is false where the cell's variant is not required to pass."""
    if demand.threshold is not None:
        return judge_metric(result, demand.threshold, policy, blocking=blocking)
    return judge_run(result, policy) if demand.name == RUN else report_evaluator(result, demand.name, policy)


def judge_run(result: CellResult, policy: GatePolicy) -> GateResult:
    """Decide on the integrity of a cell's run."""
    run = result.run
    problems = run_problems(result, policy)
    failed = f", {len(run.failed)} failed" if run.failed else ""
    return GateResult(
        experiment=result.cell.experiment,
        cell=result.cell.id,
        name=RUN,
        verdict="ERROR" if problems else "PASS",
        n=len(run.rows),
        reason="; ".join(problems) or f"{len(run.rows)} rows ran{failed}",
        details=tuple(row_errors(run.failed)[1:6]) if problems else (),
        recorded=run.oldest,
    )


def judge_metric(result: CellResult, threshold: Threshold, policy: GatePolicy, *, blocking: bool) -> GateResult:
    """Decide on one metric of a cell, an evaluator's or the run's own."""
    value, n, problems, evaluation = _measure(result, threshold, policy)
    verdict: Verdict = "ERROR"
    details: tuple[str, ...] = ()
    reason = "; ".join(problems)
    if value is not None and not problems:
        passed = threshold.rule.accepts(value)
        verdict = "PASS" if passed else "FAIL"
        reason = _reason(value, threshold, evaluation)
        if evaluation is not None and not passed:
            details = worst_rows(result, evaluation, threshold.metric, value, threshold.rule)
    return GateResult(
        experiment=result.cell.experiment,
        cell=result.cell.id,
        name=threshold.name,
        verdict=verdict,
        value=value,
        rule=threshold.rule.text,
        n=n,
        blocking=blocking and threshold.severity == "fail",
        reason=reason,
        details=details,
        recorded=earliest(result.run.oldest, evaluation.result.oldest if evaluation else None),
    )


def report_evaluator(result: CellResult, evaluator: str, policy: GatePolicy) -> GateResult:
    """Report an evaluator that has no thresholds: only what broke can fail it."""
    evaluation = result.evaluations[evaluator]
    problems = run_problems(result, policy) or evaluation_problems(evaluation, policy)
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
        recorded=earliest(result.run.oldest, evaluation.result.oldest),
    )


def decide(gates: Sequence[GateResult], obstacles: Iterable[str] = ()) -> Decision:
    """Add verdicts up to the decision on a deployment.

    ``obstacles`` are reasons outside the gates: items that were deselected, a session that was stopped, errors of
    collection. Without any gate the decision is closed.
    """
    reasons = [f"{gate.verdict} {gate.item}" for gate in gates if gate.closes_gate()]
    reasons += obstacles
    if not gates:
        reasons.append("nothing was evaluated")
    counts = Counter(gate.verdict for gate in gates)
    return Decision(state="closed" if reasons else "open", reasons=tuple(reasons), counts=dict(sorted(counts.items())))


def required_variants(
    require: Require, variants: Sequence[Variant], gates_of: Callable[[str], Iterable[GateResult]]
) -> frozenset[str]:
    """Tell, by id, which of the variants that were selected must pass.

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


def _measure(
    result: CellResult, threshold: Threshold, policy: GatePolicy
) -> tuple[float | None, int, list[str], Evaluation | None]:
    """Find a metric's value and the rows it rests on, with all that speaks against trusting it."""
    if threshold.evaluator == RUN:
        # A limit on failed rows is what run.error_rate exists for: failed rows alone don't make it an error.
        problems = run_problems(result, replace(policy, max_failed_rows=len(result.run.rows)))
        value = None if problems else _run_metric(result.run, threshold.metric)
        return value, len(result.run.rows), problems, None
    problems = run_problems(result, policy)
    evaluation = result.evaluations.get(threshold.evaluator)
    if evaluation is None:
        missing = f"evaluator '{threshold.evaluator}' did not run for dataset '{result.cell.dataset}'"
        return None, 0, problems or [missing], None
    problems = problems or evaluation_problems(evaluation, policy)
    value, why = metric_value(evaluation.result, threshold.metric)
    return value, len(evaluation.result.completed), problems or [why] * bool(why), evaluation


def _run_metric(run: RunResult, metric: str) -> float | None:
    if metric == "error_rate":
        return len(run.failed) / len(run.rows)
    if metric == "rows":
        return float(len(run.rows))
    kind = metric.removesuffix("_tokens")
    return float(sum(getattr(row.tokens, kind) for row in run.rows))


def _reason(value: float, threshold: Threshold, evaluation: Evaluation | None) -> str:
    """Say what the numbers do not: rows that are missing from the metric within what the policy allows."""
    if evaluation is None:
        return ""
    unscored = evaluation.expected_rows - len(evaluation.result.completed)
    return f"{unscored} of {evaluation.expected_rows} rows failed and are not in it" if unscored > 0 else ""


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
