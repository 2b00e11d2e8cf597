"""summary.md: headings, simple tables, lists and bold, because Azure DevOps renders little else of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import RunResult
from pytest_llmops.reports.ages import iso_time, reuse_of, reuse_text
from pytest_llmops.reports.text import markdown_cell
from pytest_llmops.reports.verdicts import LIMITS, decision_line, experiments, figure, headline, is_weaker

FILE = "summary.md"
_LONG = 1000


def summary(report: Report) -> str:
    """Render the summary: the decision and why, then each experiment with its verdicts, failures and failed rows."""
    state, _, why = decision_line(report).removeprefix("gate: ").partition(": ")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(report.decision.counts.items()))
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items() if name in LIMITS)
    blocks = [f"# Gate {state}"]
    blocks += [f"**{markdown_cell(why)}**"] if why else []
    blocks += [_list(markdown_cell(reason, _LONG) for reason in report.decision.reasons)]
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
    yield _table(("Item", "Verdict", "Value", "Rule", "n"), map(_verdict, gates)) if gates else "Nothing was evaluated."
    yield from _section("What closed the gate", (_failure(gate) for gate in gates if gate.closes_gate()))
    yield from _section("Weaker, and not blocking", (_failure(gate) for gate in gates if is_weaker(gate)))
    yield from _section("Reported without a threshold", (_reported(gate) for gate in gates if _is_report_only(gate)))
    failed = [line for result in cells for line in _failed_rows(result)]
    if failed:
        yield "### Failed rows"
        yield _table(("Cell", "Run", "Rows", "Failed", "First error"), failed)


def _section(title: str, items: Iterable[str]) -> Iterator[str]:
    text = _list(items)
    if text:
        yield f"### {title}"
        yield text


def _verdict(gate: GateResult) -> tuple[str, ...]:
    verdict = f"**{gate.verdict}**" if gate.closes_gate() else gate.verdict + ", not blocking" * is_weaker(gate)
    n = "" if gate.n is None else str(gate.n)
    return markdown_cell(gate.item), verdict, figure(gate.value, gate.rule), markdown_cell(gate.rule), n


def _failure(gate: GateResult) -> str:
    """Write one failure with the rows behind it as a list of its own."""
    reason = f": {markdown_cell(gate.reason, _LONG)}" if gate.reason else ""
    details = "".join(f"\n  - {markdown_cell(detail, _LONG)}" for detail in gate.details)
    return f"{markdown_cell(headline(gate), _LONG)}{reason}{details}"


def _is_report_only(gate: GateResult) -> bool:
    return gate.verdict == "PASS" and not gate.rule and gate.name != RUN


def _reported(gate: GateResult) -> str:
    return f"{markdown_cell(gate.item)}: {markdown_cell(gate.reason, _LONG)}"


def _failed_rows(result: CellResult) -> Iterator[tuple[str, ...]]:
    runs: dict[str, RunResult] = {RUN: result.run, **{name: e.result for name, e in result.evaluations.items()}}
    for name, run in runs.items():
        if run.failed:
            first = markdown_cell(str(run.failed[0].error))
            yield markdown_cell(result.cell.id), markdown_cell(name), str(len(run.rows)), str(len(run.failed)), first


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    marks = ("---:" if head in ("Value", "n", "Rows", "Failed") else "---" for head in heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, tuple(marks), *lines))
