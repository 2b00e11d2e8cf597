"""Text for the terminal: what a session would execute, what it would reuse, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.records.run import RunResult, total_calls
from pytest_llmops.reports.ages import age
from pytest_llmops.reports.text import one_line
from pytest_llmops.stats.foresight import Foresight

_INDENT = "  "
_LABEL = 60
_LIMIT = 400
_UNKNOWN = "?"
_HEADS = ("cell", "run", "rows", "LLM calls", "tokens", "")
_GATE_HEADS = ("cell", "gate", "n", "last value", "detects a drop of", "fails unchanged", "unsure", "")
_GATE_NOTES = (
    "detects a drop of: the smallest true drop, in the metric's units, that the gate fails 4 times in 5",
    "fails unchanged, unsure: how often a flow that did not change fails, or is INCONCLUSIVE, were rows drawn anew",
)
_Line = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run that a session would make: of a cell's flow, or of an evaluator on it.

    ``file`` and ``experiment`` are path and name of the experiment. ``reused`` is the result where one is kept, and
    ``reasons`` say why none is. ``rows`` is None where their number can't be told before. ``asks`` is false where LLM
    answers are recorded ones, so that none is asked for.
    """

    file: str
    experiment: str
    cell: str
    name: str
    rows: int | None
    reused: RunResult | None = None
    reasons: tuple[str, ...] = ()
    asks: bool = True

    @property
    def costs_nothing(self) -> bool:
        """Whether it is known that no LLM call is made. How many a run makes is not known before it is made."""
        return self.reused is not None or not self.asks


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGate:
    """One gate of a session, and what it will be able to tell. ``value`` is the metric's last one, if it is known.

    ``fails_already`` is true where that one misses the rule; ``blocking`` is false where the gate can't stop anything.
    """

    file: str
    cell: str
    name: str
    foresight: Foresight
    value: float | None = None
    fails_already: bool = False
    blocking: bool = True


def plan_lines(runs: Sequence[PlannedRun], gates: Sequence[PlannedGate] = (), now: float | None = None) -> list[str]:
    """Show the plan of a session: for each experiment its runs and its gates, then totals. ``now`` is a Unix time."""
    now = time.time() if now is None else now
    lines: list[str] = []
    for file in dict.fromkeys(run.file for run in runs):
        those = [run for run in runs if run.file == file]
        lines += [one_line(f"{those[0].experiment} ({file})", _LIMIT), *_table([_HEADS, *_cells(those, now)]), ""]
        if demanded := [gate for gate in gates if gate.file == file]:
            lines += [*_table([_GATE_HEADS, *_gate_cells(demanded)]), ""]
    return [*lines, *([*_GATE_NOTES, ""] if gates else []), *_totals(runs)]


def _table(table: Sequence[_Line]) -> Iterator[str]:
    """Align a table whose first two columns, and its last one, are text, and all others numbers."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        left = [text.ljust(width) for text, width in zip(line[:2], widths, strict=False)]
        right = [text.rjust(width) for text, width in zip(line[2:-1], widths[2:], strict=False)]
        yield (_INDENT + _INDENT.join((*left, *right, line[-1]))).rstrip()


def _gate_cells(gates: Sequence[PlannedGate]) -> Iterator[_Line]:
    before = ""
    for gate in gates:
        seen = gate.foresight
        cell = "" if gate.cell == before else one_line(gate.cell, _LIMIT)
        yield (
            cell,
            one_line(f"{gate.name} {seen.demand}", _LABEL),
            str(seen.n),
            _UNKNOWN if gate.value is None else f"{gate.value:.4g}",
            *(("", "", "") if gate.fails_already else _chances(seen)),
            "; ".join(_gate_remarks(gate)),
        )
        before = gate.cell


def _chances(seen: Foresight) -> tuple[str, str, str]:
    none = seen.drop is None and seen.failing is not None
    return (
        "none" if none else (_UNKNOWN if seen.drop is None else f"{seen.drop:.2f}"),
        _share(seen.failing),
        "" if seen.inconclusive is None else _share(seen.inconclusive),
    )


def _gate_remarks(gate: PlannedGate) -> Iterator[str]:
    if gate.fails_already:
        yield "fails already"
    elif gate.foresight.steady is not None:
        yield f"fails 1 in 20 at {gate.foresight.steady:.2f}"
    if not gate.blocking:
        yield "does not block"


def _share(share: float | None) -> str:
    if share is None:
        return _UNKNOWN
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _cells(runs: Sequence[PlannedRun], now: float) -> Iterator[_Line]:
    before = ""
    for run in runs:
        cost = "0" if run.costs_nothing else _UNKNOWN
        cell = "" if run.cell == before else one_line(run.cell, _LIMIT)
        yield cell, one_line(run.name, _LABEL), _count(run.rows), cost, cost, _what(run, now)
        before = run.cell


def _what(run: PlannedRun, now: float) -> str:
    if run.reused is None:
        return one_line(f"runs: {'; '.join(run.reasons)}", _LIMIT)
    return "reused" if run.reused.oldest is None else f"reused, {age(now - run.reused.oldest)} old"


def _totals(runs: Sequence[PlannedRun]) -> Iterator[str]:
    made = [run for run in runs if run.reused is None]
    kept = [run.reused for run in runs if run.reused is not None]
    yield f"to run: {len(made)} of {_amount(len(runs), 'run')}, {_rows(made)}"
    cost = "0" if all(run.costs_nothing for run in runs) else _UNKNOWN
    yield f"expected: LLM calls {cost}, tokens {cost}"
    if kept:
        calls = total_calls(kept)
        tokens = sum(row.tokens.total for result in kept for row in result.rows)
        took = f"{'? LLM calls' if calls is None else _amount(calls, 'LLM call')} and {_amount(tokens, 'token')}"
        source = " from cassettes" if calls and not any(run.asks for run in runs) else ""
        yield f"reused: {_amount(len(kept), 'run')}, which took {took}{source}"


def _rows(runs: Sequence[PlannedRun]) -> str:
    """Say how many rows there are to run. Of a run that is not reused as a whole, some rows may be."""
    known = sum(run.rows or 0 for run in runs)
    if any(run.rows is None for run in runs):
        return f"{_UNKNOWN} rows"
    return f"{_amount(known, 'row')} at most" if known else "0 rows"


def _amount(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)
