"""Verdicts in words, the same in every report."""

from __future__ import annotations

import math
import re

from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports.text import one_line

_SHORT = 72
# Settings that limit what an open gate means.
LIMITS = ("env", "llm", "max-rows", "variants")
_BOUND = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def figure(value: float | None, rule: str = "") -> str:
    """Write a metric's value with at most four decimals, or in full where rounding would hide a difference.

    That is where the rounded value is 0, or a bound of the rule: no message may say ``0.8, required > 0.8``.
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    rounded = round(float(value), 4)
    bounds = {float(bound) * scale for bound in _BOUND.findall(rule) for scale in (1, 0.01)}
    hides = rounded != value and (rounded == 0 or any(math.isclose(rounded, bound) for bound in bounds))
    return repr(float(value) if hides else rounded).removesuffix(".0")


def headline(gate: GateResult) -> str:
    """Say the verdict and the numbers it rests on, in one line that holds no text of a model or a dataset."""
    value = figure(gate.value, gate.rule) or ("no value" if gate.rule else "")
    measured = f": {value}" if value else ""
    required = f", required {gate.rule}" if gate.rule else ""
    rows = "" if gate.n is None else f" (n = {gate.n})"
    return one_line(f"{gate.verdict} {gate.item}{measured}{required}{rows}", 400)


def decision_line(report: Report) -> str:
    """Say the decision, and what closed the gate."""
    decision, closing = report.decision, [gate for gate in report.gates if gate.closes_gate()]
    if decision.state == "open":
        return "gate: open"
    if closing:
        return f"gate: closed: {len(closing)} of {len(report.gates)} gates failed"
    first, *others = decision.reasons or ("no reason was given",)
    more = f" (and {len(others)} more)" if others else ""
    return f"gate: closed: {one_line(first, _SHORT)}{more}"


def is_weaker(gate: GateResult) -> bool:
    """Tell whether a verdict is short of a pass and yet does not close the gate."""
    return gate.verdict != "PASS" and not gate.closes_gate()


def experiments(report: Report) -> dict[str, str]:
    """Map the path of each experiment file to the experiment's name, those known from gates or cells alone included."""
    met = [*(gate.experiment for gate in report.gates), *(result.cell.experiment for result in report.cells)]
    return dict(sorted({**{path: path for path in met}, **report.experiments}.items()))
