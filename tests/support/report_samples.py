"""Reports made by hand, for the tests of every format."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmops.records.estimates import Comparison, Interval, SliceScore
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, GateResult
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.records.run import Row, RunResult, Tokens, Variant

EXPERIMENT = "evals/ner/experiment.yaml"
CREATED = 1788256800.0  # 2026-09-01T10:00:00+00:00
TERSE = Variant(id="terse", nodes={"extract": "terse"})
FEW_SHOT = Variant(id="few_shot", nodes={"extract": "few_shot"}, is_default=False)

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "a|b`c`*d*",
    "line\nbreak",
    "##vso[task.complete result=Succeeded]",
    "##[error]fake",
    "\x1b[31mred\x00",
    "\u202eabc",
    '=HYPERLINK("http://x")',
    "@SUM(1+1)",
    "![x](http://x/y.png)",
    "&lt;\\|",
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"'><svg onload=alert(1)>",
    "${alert(1)}{{7*7}}",
    "javascript:alert(1)",
    "\u200fשלום\u200e, Anna",
    "👩\u200d👩\u200d👧\u200d👦",
    "null\x00byte",
    "\ud800",
)


def cell(variant: Variant = TERSE, dataset: str = "general") -> Cell:
    return Cell(experiment=EXPERIMENT, use_case="ner", flow="ner_extract", dataset=dataset, variant=variant)


def cell_result(variant: Variant = TERSE, *, output: str = "nurse", exact: float = 0.5) -> CellResult:
    """A run of two rows, the second of which failed, and the evaluation of the first."""
    rows = (
        Row(
            line_number=0,
            inputs={"text": "She is a nurse."},
            output={"entities": output},
            duration=0.25,
            tokens=Tokens(prompt=10, completion=2, total=12),
        ),
        Row(line_number=1, inputs={"text": "Hm."}, error="ValueError: no entity", duration=0.5),
    )
    scored = Row(
        line_number=0, inputs={"gold": "nurse", "prediction": output}, output={"exact": exact == 1}, duration=0.01
    )
    matcher = RunResult(
        status="Completed", rows=(scored,), metrics={"exact_match_rate": exact, "f1": 2 / 3}, duration=0.02
    )
    return CellResult(
        cell=cell(variant),
        run=RunResult(status="Completed", rows=rows, duration=1.5, llm_calls=2),
        evaluations={
            "matcher": Evaluation(evaluator="matcher", dataset="general_gold", expected_rows=1, result=matcher)
        },
        expected_rows=2,
    )


def reused(result: CellResult, days: float = 2) -> CellResult:
    """The same cell, whose run an earlier session made, that many days before ``report`` was created."""
    recorded = CREATED - days * 86_400
    rows = tuple(row if row.failed else replace(row, recorded=recorded) for row in result.run.rows)
    return replace(result, run=replace(result.run, rows=rows))


def run_gate(variant: Variant = TERSE) -> GateResult:
    return GateResult(
        experiment=EXPERIMENT,
        cell=cell(variant).id,
        name="run",
        verdict="PASS",
        n=2,
        reason="2 rows ran, 1 failed",
    )


def metric_gate(variant: Variant = TERSE, *, value: float | None = 0.5, **changes: object) -> GateResult:
    fields: dict[str, object] = {
        "experiment": EXPERIMENT,
        "cell": cell(variant).id,
        "name": "matcher.exact_match_rate",
        "verdict": "PASS" if value is not None and value >= 0.5 else "FAIL",
        "value": value,
        "rule": ">= 0.5",
        "n": 1,
    }
    return GateResult(**{**fields, **changes})  # type: ignore[arg-type]


def comparison(**changes: object) -> Comparison:
    """Four rows of forty got worse and two got better: too few to tell."""
    fields: dict[str, object] = {
        "name": "main",
        "value": 0.6,
        "baseline": 0.65,
        "delta": -0.05,
        "n": 40,
        "interval": Interval(low=-0.1537, high=0.0537, level=0.9, method="t"),
        "p_value": 0.34375,
        "test": "exact McNemar",
        "worse": ("3", "7", "12", "31"),
        "better": ("5", "9"),
    }
    return Comparison(**{**fields, **changes})  # type: ignore[arg-type]


def unsure_gate(variant: Variant = TERSE, **changes: object) -> GateResult:
    """A metric that may be 0.05 worse than its baseline, on too few rows to tell; it does not close the gate."""
    fields: dict[str, object] = {
        "verdict": "INCONCLUSIVE",
        "value": 0.6,
        "rule": ">= 0.5, at most 0.05 worse",
        "n": 40,
        "interval": Interval(low=0.4461, high=0.7365, level=0.95, method="Wilson"),
        "margin": 0.05,
        "comparison": comparison(),
        "slices": (SliceScore(column="language", value="de", score=0.25, n=4),),
        "reason": "the loss may be as large as 0.1537; 4 rows got worse, 2 better",
        "details": ("worse: row 3: 1 -> 0", "better: row 5: 0 -> 1"),
    }
    return metric_gate(variant, **{**fields, **changes})  # type: ignore[arg-type]


def report(*gates: GateResult, cells: tuple[CellResult, ...] | None = None) -> Report:
    """A session on one experiment with two variants, both too weak, of which only the first has to be good."""
    shown = gates or (
        run_gate(),
        metric_gate(verdict="FAIL", rule=">= 0.8", reason="1 of 2 rows failed", details=("row 0: exact 0  gold=1",)),
        run_gate(FEW_SHOT),
        metric_gate(FEW_SHOT, value=0.25, verdict="FAIL", blocking=False, reason="", details=("row 1: exact 0",)),
    )
    closing = tuple(f"{gate.verdict} {gate.item}" for gate in shown if gate.closes_gate())
    counts = {verdict: sum(gate.verdict == verdict for gate in shown) for verdict in ("FAIL", "PASS")}
    counts |= {"INCONCLUSIVE": unsure} if (unsure := sum(gate.verdict == "INCONCLUSIVE" for gate in shown)) else {}
    return Report(
        experiments={EXPERIMENT: "ner"},
        cells=(cell_result(), cell_result(FEW_SHOT, exact=0.25)) if cells is None else cells,
        gates=shown,
        decision=Decision(state="closed" if closing else "open", reasons=closing, counts=counts),
        settings={"env": "dev", "llm": "replay", "report-dir": "reports"},
        versions={"pytest-llmops": "0.1.0"},
        created="2026-09-01T10:00:00+00:00",
    )
