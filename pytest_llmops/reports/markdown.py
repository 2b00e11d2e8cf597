"""summary.md: headings, simple tables, lists and bold, because Azure DevOps renders little else of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import RunResult
from pytest_llmops.reports.ages import iso_time, reuse_of, reuse_text
from pytest_llmops.reports.candidates import switches
from pytest_llmops.reports.text import markdown_cell
from pytest_llmops.reports.verdicts import (
    LIMITS,
    baseline_text,
    counts_text,
    decision_line,
    evidence,
    experiments,
    headline,
    interval_text,
    is_weaker,
    value_text,
)

FILE = "summary.md"
_LONG = 1000
_BASELINE = "Baseline (delta)"
_WITH_FLOW = "Flow (delta)"
_WITH_EITHER = "Compared with (delta)"
_HEADS = ("Item", "Verdict", "Value", "95 % CI", "Rule", _BASELINE, "n")
# Columns that are left out where they are empty.
_OPTIONAL = ("95 % CI", _BASELINE, _WITH_FLOW, _WITH_EITHER)
_ADVICE = (
    "Not enough rows to tell, or rows that vary too much. Look at the rows that changed; then add rows, run each of "
    "them more than once, or allow a wider margin. With on_inconclusive: fail these verdicts close the gate."
)


def summary(report: Report) -> str:
    """Render the summary: the decision and why, then each experiment with its verdicts, failures and failed rows."""
    state, _, why = decision_line(report).removeprefix("gate: ").partition(": ")
    return "\n\n".join((f"# Gate {state}", *([f"**{markdown_cell(why)}**"] if why else []), details(report)))


def details(report: Report) -> str:
    """Render the summary without its headline."""
    counts = counts_text((gate.verdict, gate.closes_gate()) for gate in report.gates)
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items() if name in LIMITS)
    blocks = [_list(markdown_cell(reason, _LONG) for reason in report.decision.reasons)]
    blocks += [
        f"{len(report.gates)} gate{'s' * (len(report.gates) != 1)}" + (f": {markdown_cell(counts)}" if counts else "")
    ]
    blocks += [f"Settings: {markdown_cell(settings)}" if settings else ""]
    blocks += [f"Created: {markdown_cell(report.created)}" if report.created else ""]
    if reuse := reuse_of(report):
        blocks += [f"Reused: {reuse_text(report)} ({iso_time(reuse.oldest)})"]
    for path, name in experiments(report).items():
        blocks += _experiment(report, path, name)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _experiment(report: Report, path: str, name: str) -> Iterator[str]:
    gates = [gate for gate in report.gates if gate.experiment == path]
    cells = [result for result in report.cells if result.cell.experiment == path]
    yield f"## {markdown_cell(name)}"
    yield f"Experiment file: {markdown_cell(path)}"
    if found := switches(report, path):
        yield f"Candidates, compared with the flow:\n\n{_list(markdown_cell(switch.text, _LONG) for switch in found)}"
    yield _verdicts(gates) if gates else "Nothing was evaluated."
    unsure = [gate for gate in gates if gate.verdict == "INCONCLUSIVE"]
    weaker = [gate for gate in gates if gate.verdict in ("FAIL", "ERROR") and is_weaker(gate)]
    yield from _section("What closed the gate", (_closing(gate) for gate in gates if gate.closes_gate()))
    yield from _section("Inconclusive", map(_in_full, unsure), _ADVICE)
    yield from _section("Weaker, and not blocking", map(_in_full, weaker))
    yield from _section("Passed, with remarks", (_in_full(gate) for gate in gates if _has_remarks(gate)))
    yield from _section("Reported without a threshold", (_reported(gate) for gate in gates if _is_report_only(gate)))
    failed = [line for result in cells for line in _failed_rows(result)]
    if failed:
        yield "### Failed rows"
        yield _table(("Cell", "Run", "Rows", "Failed", "First error"), failed)


def _section(title: str, items: Iterable[str], introduction: str = "") -> Iterator[str]:
    text = _list(items)
    if text:
        yield f"### {title}"
        yield from filter(None, (introduction, text))


def _verdicts(gates: Iterable[GateResult]) -> str:
    """Write the table of verdicts, without the columns that no gate has anything for."""
    gates = list(gates)
    columns = zip(_heads(gates), *map(_verdict, gates), strict=True)
    heads, *lines = zip(*(column for column in columns if column[0] not in _OPTIONAL or any(column[1:])), strict=True)
    return _table(heads, lines)


def _heads(gates: Iterable[GateResult]) -> tuple[str, ...]:
    """Name the columns; that of comparisons by what the values are compared with."""
    of_flow = {gate.comparison.with_flow for gate in gates if gate.comparison}
    compared = _WITH_EITHER if len(of_flow) > 1 else _WITH_FLOW if True in of_flow else _BASELINE
    return tuple(compared if head == _BASELINE else head for head in _HEADS)


def _verdict(gate: GateResult) -> tuple[str, ...]:
    return (
        markdown_cell(gate.item),
        f"**{gate.verdict}**"
        if gate.closes_gate()
        else gate.verdict + ", not blocking" * is_weaker(gate) + ", weak" * gate.weak,
        value_text(gate),
        interval_text(gate.interval),
        markdown_cell(gate.rule),
        baseline_text(gate),
        "" if gate.n is None else str(gate.n),
    )


def _closing(gate: GateResult) -> str:
    return markdown_cell(headline(gate), _LONG) if gate.verdict == "INCONCLUSIVE" else _in_full(gate)


def _in_full(gate: GateResult) -> str:
    """Write a verdict and its reason, with the rows behind it as a list of its own."""
    reason = f": {markdown_cell(gate.reason, _LONG)}" if gate.reason else ""
    details = "".join(f"\n  - {markdown_cell(detail, _LONG)}" for detail in evidence(gate))
    return f"{markdown_cell(headline(gate), _LONG)}{reason}{details}"


def _is_report_only(gate: GateResult) -> bool:
    return gate.verdict == "PASS" and gate.value is None and gate.name != RUN


def _has_remarks(gate: GateResult) -> bool:
    return gate.verdict == "PASS" and gate.value is not None and bool(gate.reason or evidence(gate))


def _reported(gate: GateResult) -> str:
    return f"{markdown_cell(gate.item)}: {markdown_cell(gate.reason, _LONG)}"


def _failed_rows(result: CellResult) -> Iterator[tuple[str, ...]]:
    for name, run in _runs(result):
        if run.failed:
            first = markdown_cell(str(run.failed[0].error))
            yield markdown_cell(result.cell.id), markdown_cell(name), str(len(run.rows)), str(len(run.failed)), first


def _runs(result: CellResult) -> Iterator[tuple[str, RunResult]]:
    """Yield every run of a cell by its name, those of later executions with their number."""
    for number, execution in enumerate(result.executions, 1):
        again = f", execution {number}" if number > 1 else ""
        yield RUN + again, execution.run
        yield from ((name + again, evaluation.result) for name, evaluation in execution.evaluations.items())


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    marks = ("---:" if head in ("Value", "n", "Rows", "Failed") else "---" for head in heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, tuple(marks), *lines))
