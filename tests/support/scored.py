"""Cells made of scores, for tests of what is decided about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.judging import Judge
from pytest_llmops.plan import CellPlan
from pytest_llmops.records.experiment import Experiment, Flow, GatePolicy, Threshold
from pytest_llmops.records.gate import Cell, CellResult, Demand, Evaluation, GateResult, Repeat
from pytest_llmops.records.run import Row, RunRequest, RunResult, Variant
from pytest_llmops.rules import ANY, parse_rule

CELL = Cell(experiment="e.yaml", use_case="e", flow="f", dataset="d", variant=Variant())
FLOW = Flow(name="f", kind="callable", file=Path("f.py"), folder=Path())


def execution(scores: Sequence[Any], answers: Sequence[Any] | None = None, **metrics: Any) -> Repeat:
    """One execution of a flow on texts ``t0``, ``t1``, ..., scored as ``hit``; ``rate`` is the mean unless given."""
    answers = answers or [f"a{score}" for score in scores]
    ran = [
        Row(line_number=number, inputs={"text": f"t{number}"}, output={"answer": answer})
        for number, answer in enumerate(answers)
    ]
    scored = [
        Row(line_number=number, inputs={"answer": row.output["answer"], "gold": f"g{number}"}, output={"hit": score})
        for number, (row, score) in enumerate(zip(ran, scores, strict=True))
        if row.output
    ]
    numbers = [score for score in scores if isinstance(score, (int, float))]
    logged = {"rate": sum(numbers) / max(len(numbers), 1)} | metrics
    evaluated = RunResult(status="Completed", rows=tuple(scored), metrics=logged)
    evaluation = Evaluation(
        evaluator="m", dataset="d", expected_rows=len(scores), result=evaluated, digest="v1", of_run=("answer",)
    )
    return Repeat(run=RunResult(status="Completed", rows=tuple(ran)), evaluations={"m": evaluation})


def cell(
    scores: Sequence[Any], *repeats: Sequence[Any], columns: Mapping[str, Any] = {}, **keywords: Any
) -> CellResult:
    """A cell whose rows scored so, in each of the repeats that are given."""
    first, *others = (execution(each, **keywords) for each in (scores, *repeats))
    return CellResult(
        cell=CELL,
        run=first.run,
        evaluations=first.evaluations,
        expected_rows=len(scores),
        repeats=tuple(others),
        columns={name: tuple(values) for name, values in columns.items()},
        key="id" if "id" in columns else None,
    )


def experiment(**changes: Any) -> Experiment:
    """An experiment; ``gate`` is given as a mapping."""
    gate = GatePolicy(**changes.pop("gate", {}))
    fields: dict[str, Any] = {"datasets": (), "evaluators": (), "gate": gate, **changes}
    return Experiment(name="e", file=Path("e.yaml"), env=None, flow=FLOW, **fields)


def threshold(rule: str | None = None, metric: str = "m.rate", **keywords: Any) -> Threshold:
    """A threshold on ``m.rate``."""
    evaluator, _, name = metric.partition(".")
    return Threshold(evaluator=evaluator, metric=name, rule=parse_rule(rule) if rule else ANY, **keywords)


def verdict(
    result: CellResult,
    *thresholds: Threshold,
    baseline: CellResult | None = None,
    of: Experiment | None = None,
) -> GateResult:
    """Judge the first of the thresholds, all of which the cell has."""
    demanded = Demand(name=thresholds[0].name, threshold=thresholds[0])
    plan = CellPlan(
        experiment=of or experiment(),
        cell=result.cell,
        request=RunRequest(flow=FLOW),
        evaluations=(),
        thresholds=thresholds,
        expected_rows=result.expected_rows,
    )
    judge = Judge([plan], lambda _: result, None if baseline is None else lambda _: baseline)
    return judge.decide(plan, demanded)
