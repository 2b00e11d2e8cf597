"""Verdicts in words, the same in every report."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pytest_llmops.records.estimates import Comparison, Interval, SliceScore
from pytest_llmops.records.experiment import RUN, RUN_DURATIONS
from pytest_llmops.records.gate import GateResult, Verdict
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Variant
from pytest_llmops.reports.text import one_line

_SHORT = 72
_LINE = 486
_DIGITS = 4
# 57 * 0.01 is 0.5700000000000001, and means 0.57.
_SAME = 1e-12
# Added to -0.0, it makes 0.0.
_NO_MINUS = 0.0
# Settings that limit what an open gate means.
LIMITS = (
    *("env", "llm", "backend", "endpoint", "deployment"),
    *("max-rows", "variants", "repeat", "shard", "baseline", "thresholds", "regated"),
)
_DURATIONS = tuple(f"{RUN}.{metric}" for metric in RUN_DURATIONS)
# What units make of the numbers in a rule: percentages, milliseconds, minutes.
_SCALES = (1, 0.01, 0.001, 60)
_BOUND = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def figure(value: float | None, rule: str = "") -> str:
    """Write a metric's value with at most four decimals, or with four digits where they would make it 0.

    It has more where rounding would make it a bound of the rule: no message may say ``0.8, required > 0.8``.
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    value = float(value)
    bounds = {float(bound) * scale for bound in _BOUND.findall(rule) for scale in _SCALES}
    decimals = _DIGITS
    if value and not round(value, decimals):
        decimals -= 1 + math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    while rounded != value and any(math.isclose(rounded, bound, rel_tol=_SAME) for bound in bounds):
        decimals += 1
        rounded = round(value, decimals)
    return repr(rounded + _NO_MINUS).removesuffix(".0")


def headline(gate: GateResult) -> str:
    """Say the verdict and the numbers it rests on, in one line that holds no text of a model or a dataset.

    Azure DevOps lists the first 500 characters of a message, so the line is no longer, whatever stands before it.
    """
    value = value_text(gate) or ("no value" if gate.rule else "")
    rule = f"required {gate.rule}" if gate.rule else ""
    said = ", ".join(filter(None, (value, rule, *_compared(gate))))
    basis = ", ".join(_basis(gate))
    measured, rows = f": {said}" if said else "", f" ({basis})" if basis else ""
    return one_line(f"{gate.verdict} {gate.item}{measured}{rows}", _LINE)


def variant_text(variant: Variant) -> str:
    """Name a variant; a candidate as what it is."""
    return f"{variant.id} (candidate)" if variant.is_candidate else variant.id


def value_text(gate: GateResult) -> str:
    """Write the value of a gate, with its unit if it is a time; nothing for None."""
    return _in_units(gate, gate.value)


def interval_text(interval: Interval | None) -> str:
    """Write an interval as ``0.51 to 0.73``, in as many decimals as give its width two digits; nothing for None."""
    return "" if interval is None else " to ".join(_bounds(interval))


def interval_brackets(interval: Interval | None) -> str:
    """Write an interval as ``[0.51, 0.73]``, for where there is little room; nothing for None."""
    return "" if interval is None else f"[{', '.join(_bounds(interval))}]"


def baseline_text(gate: GateResult) -> str:
    """Write baseline and delta as ``0.62 (-0.02, 95 % bound -0.09)``; nothing without a baseline."""
    comparison = gate.comparison
    if comparison is None:
        return ""
    return f"{_in_units(gate, comparison.baseline)} ({_signed(comparison.delta)}{_bound(gate, comparison, ', {}')})"


def evidence(gate: GateResult) -> tuple[str, ...]:
    """Return the rows and the slices behind a verdict, a text each. They hold text of datasets and models."""
    return (*gate.details, *map(_slice, gate.slices))


def decision_line(report: Report) -> str:
    """Say the decision, and what closed the gate."""
    decision, closing = report.decision, [gate for gate in report.gates if gate.closes_gate()]
    if decision.state == "open":
        return "gate: open"
    if closing:
        return f"gate: closed: {closed_by([gate.verdict for gate in closing], len(report.gates))}"
    first, *others = decision.reasons or ("no reason was given",)
    more = f" (and {len(others)} more)" if others else ""
    return f"gate: closed: {one_line(first, _SHORT)}{more}"


def closed_by(verdicts: Sequence[Verdict], gates: int) -> str:
    """Say how many of all gates closed the gate; ``verdicts`` are those that did."""
    unsure = verdicts.count("INCONCLUSIVE")
    failed = len(verdicts) - unsure
    if not failed:
        return f"{unsure} of {gates} gates inconclusive"
    return f"{failed} of {gates} gates failed" + f", {unsure} inconclusive" * (unsure > 0)


def counts_text(gates: Iterable[tuple[Verdict, bool]]) -> str:
    """Write how many gates there are of each verdict; each comes as its verdict, and whether it closes the gate."""
    found = Counter(gates)
    return ", ".join(
        f"{closing + others} {verdict}" + f" ({others} not blocking)" * (verdict != "PASS" and others > 0)
        for verdict in sorted({verdict for verdict, _ in found})
        for closing, others in [(found[verdict, True], found[verdict, False])]
    )


def is_weaker(gate: GateResult) -> bool:
    """Tell whether a verdict is short of a pass and yet does not close the gate."""
    return gate.verdict != "PASS" and not gate.closes_gate()


def is_unsure(gate: GateResult) -> bool:
    """Tell whether a verdict is INCONCLUSIVE and does not close the gate."""
    return gate.verdict == "INCONCLUSIVE" and is_weaker(gate)


def experiments(report: Report) -> dict[str, str]:
    """Map the path of each experiment file to the experiment's name, those known from gates or cells alone included."""
    met = [*(gate.experiment for gate in report.gates), *(result.cell.experiment for result in report.cells)]
    return dict(sorted({**{path: path for path in met}, **report.experiments}.items()))


def _in_units(gate: GateResult, value: float | None) -> str:
    text = figure(value, gate.rule)
    return f"{text} s" if text and gate.name in _DURATIONS else text


def _compared(gate: GateResult) -> Iterator[str]:
    """Yield the value on the common rows where it is another one there, the baseline, and the delta with its bound."""
    comparison = gate.comparison
    if comparison is None:
        return
    if gate.value is None or figure(comparison.value) != figure(gate.value):
        yield f"on common rows {_in_units(gate, comparison.value)}"
    other = "flow" if comparison.with_flow else "baseline"
    yield f"{other} {_in_units(gate, comparison.baseline)}"
    yield f"delta {_signed(comparison.delta)}{_bound(gate, comparison, ' ({})')}"


def _bound(gate: GateResult, comparison: Comparison, form: str) -> str:
    """Write how bad the delta may be. Where rounding would make it the margin, it is written in full."""
    if comparison.interval is None or comparison.bound is None:
        return ""
    limits = "" if gate.margin is None else f"{gate.margin} {-gate.margin}"
    one_sided = (1 + comparison.interval.level) / 2
    return form.format(f"{_percent(one_sided)} bound {_signed(comparison.bound, limits)}")


def _slice(part: SliceScore) -> str:
    interval = f", {_confidence(part.interval)}" if part.interval else ""
    return f"slice {part.column}={part.value}: {figure(part.score)} (n = {part.n}{interval})"


def _basis(gate: GateResult) -> Iterator[str]:
    """Yield what the numbers rest on: rows, interval, chance."""
    comparison = gate.comparison
    common = comparison is not None and comparison.n == gate.n
    if gate.n is not None:
        yield f"n = {gate.n}" + " common rows" * common
    if comparison is not None and not common:
        yield f"compared on {comparison.n}"
    if gate.interval is not None:
        yield _confidence(gate.interval)
    if comparison is not None:
        yield from _chance(comparison)


def _confidence(interval: Interval) -> str:
    return f"{_percent(interval.level)} CI {interval_text(interval)}"


def _chance(comparison: Comparison) -> Iterator[str]:
    if comparison.adjusted_p is not None:
        yield f"Holm-adjusted p {_probability(comparison.adjusted_p)}"
    elif comparison.p_value is not None:
        yield f"p {_probability(comparison.p_value)}"


def _probability(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {figure(value)}"


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"


def _signed(value: float, limits: str = "") -> str:
    return "+" * (value > 0) + figure(value, limits)


def _bounds(interval: Interval) -> tuple[str, str]:
    width = interval.high - interval.low
    if not math.isfinite(width) or width <= 0:
        return figure(interval.low), figure(interval.high)
    decimals = max(0, 1 - math.floor(math.log10(width)))
    low, high = (round(end, decimals) + _NO_MINUS for end in (interval.low, interval.high))
    return f"{low:.{decimals}f}", f"{high:.{decimals}f}"
