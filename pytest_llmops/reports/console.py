"""Text for the terminal: what a failed gate says, and the summary of a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports import markdown, page
from pytest_llmops.reports.ages import reuse_note, reuse_text
from pytest_llmops.reports.candidates import switches, trouble_line
from pytest_llmops.reports.text import neutralise, one_line
from pytest_llmops.reports.verdicts import (
    decision_line,
    evidence,
    experiments,
    figure,
    headline,
    interval_brackets,
    is_unsure,
    is_weaker,
    value_text,
    variant_text,
)

_WIDTH = 100
_LABEL = 60
_GAP = "  "
_LIMIT = 1000
_GRAVE = ("FAIL", "ERROR")


def failure_text(gate: GateResult) -> str:
    """Say why a gate failed: verdict and numbers on the first line, then the reason, then the rows behind it."""
    lines = [headline(gate), *(one_line(text, _LIMIT) for text in (gate.reason, reuse_note(gate)) if text)]
    for detail in evidence(gate):
        lines += (f"  {line}"[:_LIMIT] for line in neutralise(detail).split("\n"))
    return "\n".join(lines)


def summary_lines(report: Report) -> list[str]:
    """Sum a session up for the terminal: a table of verdicts per experiment, where the reports are, the decision."""
    lines: list[str] = []
    for path, name in experiments(report).items():
        lines += [one_line(f"{name} ({path})" if name != path else path, _WIDTH), *_table(report, path), ""]
        lines += _candidates(report, path)
    if open_for := list(_open_for(report)):
        said = " and ".join(filter(None, (", ".join(open_for[:-1]), open_for[-1])))
        lines.append(f"{said} {'do' if len(open_for) > 1 else 'does'} not close the gate")
    if reused := reuse_text(report):
        lines.append(f"reused: {reused}")
    folder = report.settings.get("report-dir")
    if folder:
        lines.append(one_line(f"reports: {folder}/{page.FILE}", _LIMIT))
    if unsure := sum(map(is_unsure, report.gates)):
        lines.append(f"{unsure} inconclusive: not enough rows to tell; see {markdown.FILE}")
    return [*lines, decision_line(report)]


def _candidates(report: Report, path: str) -> list[str]:
    """Say of each candidate whether it may take the flow's place, and what it broke or failed on."""
    found = switches(report, path)
    lines = [one_line(line, _LIMIT) for switch in found for line in (switch.text, trouble_line(switch)) if line]
    return [*lines, ""] if lines else []


def _open_for(report: Report) -> Iterator[str]:
    """Yield verdicts as the table has those that do not close the gate. INCONCLUSIVE has a line of its own."""
    weaker = [gate for gate in report.gates if is_weaker(gate)]
    yield from (f"({verdict})" for verdict in _GRAVE if any(gate.verdict == verdict for gate in weaker))
    candidates = {result.cell.id for result in report.cells if result.cell.variant.is_candidate}
    if any(gate.verdict == "INCONCLUSIVE" and gate.cell in candidates for gate in weaker):
        yield "(INCONCLUSIVE)"


def inconclusive_lines(report: Report) -> list[str]:
    """Say the numbers of each gate that is INCONCLUSIVE and does not fail its item, a line each."""
    return [one_line(f"{gate.experiment}: {headline(gate)}", _LIMIT) for gate in report.gates if is_unsure(gate)]


@dataclass(slots=True)
class _Column:
    """One metric over the cells of an experiment. ``cells`` maps a cell's id to (value, verdict)."""

    name: str
    rules: list[str] = field(default_factory=list)
    cells: dict[str, tuple[str, str]] = field(default_factory=dict)

    def render(self, cells: Sequence[str]) -> list[str]:
        """Write evaluator, metric, rule, then one line per cell: values right-aligned, verdicts left-aligned."""
        pairs = [self.cells.get(cell, ("", "")) for cell in cells]
        value, verdict = (max(len(pair[i]) for pair in pairs) for i in (0, 1))
        gap = " " if value and verdict else ""
        body = [f"{v:>{value}}{gap}{w:<{verdict}}" for v, w in pairs]
        evaluator, _, metric = self.name.rpartition(".")
        rules = list(dict.fromkeys(self.rules))
        lines = [evaluator, metric, "varies" if len(rules) > 1 else "".join(rules), *body]
        return block(lines, right=True)


def _table(report: Report, path: str) -> list[str]:
    results = {result.cell.id: result for result in report.cells if result.cell.experiment == path}
    columns: dict[str, _Column] = {}
    gates = [gate for gate in report.gates if gate.experiment == path]
    cells = list(dict.fromkeys(gate.cell for gate in gates))
    for gate in gates:
        for name, rule, value, verdict in _entries(gate, results.get(gate.cell)):
            column = columns.setdefault(name, _Column(name))
            column.rules += [rule] if rule else []
            column.cells[gate.cell] = (value, verdict)
    if not cells:
        return [f"{_GAP}nothing was evaluated"]
    labels = _labels(cells, results)
    rendered = [column.render(cells) for column in columns.values()]
    lines = chain.from_iterable(join([labels, *part]) for part in fit(rendered, len(labels[0])))
    return [_GAP + line.rstrip() for line in lines if line.strip()]


def _entries(gate: GateResult, result: CellResult | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield (column, rule, value, verdict). An evaluator without thresholds is a column for each of its metrics."""
    evaluation = result.evaluations.get(gate.name) if result and not gate.rule else None
    if evaluation is not None and gate.verdict == "PASS":
        for metric, value in evaluation.result.metrics.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield one_line(f"{gate.name}.{metric}", _LABEL), "", figure(value), ""
        return
    verdict = f"({gate.verdict})" if is_weaker(gate) else gate.verdict
    if gate.name == RUN:
        yield RUN, "rows", "" if gate.n is None else str(gate.n), verdict
    else:
        value = f"{value_text(gate)} {interval_brackets(gate.interval)}".rstrip()
        yield one_line(gate.name, _LABEL), one_line(gate.rule, _LABEL), value, verdict


def _labels(cells: Sequence[str], results: dict[str, CellResult]) -> list[str]:
    """Name the lines of a table by dataset and variant, under a heading of three lines."""
    known = [results.get(cell) for cell in cells]
    datasets = [result.cell.dataset if result else cell for result, cell in zip(known, cells, strict=True)]
    variants = [variant_text(result.cell.variant) if result else "" for result in known]
    heads = (["", "dataset", "", *datasets], ["", "variant", "", *variants])
    return join([block([one_line(text, _LABEL) for text in head], right=False) for head in heads])


def fit(columns: Sequence[list[str]], label: int) -> Iterator[list[list[str]]]:
    """Split columns into parts that fit the width beside the labels, one column at least in each."""
    part: list[list[str]] = []
    for column in columns:
        width = len(_GAP) + label + sum(len(_GAP) + len(other[0]) for other in (*part, column))
        if part and width > _WIDTH:
            yield part
            part = []
        part.append(column)
    yield part


def block(lines: Sequence[str], *, right: bool) -> list[str]:
    """Make lines equally long."""
    width = max(map(len, lines))
    return [line.rjust(width) if right else line.ljust(width) for line in lines]


def join(columns: Sequence[Sequence[str]]) -> list[str]:
    """Put columns of equally long lines side by side."""
    return [_GAP.join(cells) for cells in zip(*columns, strict=True)]
