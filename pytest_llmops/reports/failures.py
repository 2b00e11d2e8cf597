"""Transcripts of the cells that closed the gate: text files that say what was wrong, and show the rows behind it.

A list of test results shows a few hundred characters of a failure; a transcript has the rest, and is attached there.
It is full of text of models and datasets, which is made visible, cut and indented, so that none of it passes for a
heading, or acts on who prints the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_llmops.hashing import digest
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Row, RunResult
from pytest_llmops.reports.console import failure_text
from pytest_llmops.reports.names import file_names
from pytest_llmops.reports.text import neutralise, one_line, plain
from pytest_llmops.reports.verdicts import experiments
from pytest_llmops.stats.scores import is_number

FOLDER = "failures"

_ROWS = 20
_VALUE = 20_000
_SECTION = 240_000
"""UTF-8 bytes of a section. There are four at most, so that a whole file is under 1 MB."""
_LINE = "line_number"


def transcripts(report: Report) -> dict[str, str]:
    """Write the transcript of each cell that closed the gate. Returns text by path, relative to the report's folder."""
    gates: dict[tuple[str, str], list[GateResult]] = defaultdict(list)
    for gate in report.gates:
        gates[gate.experiment, gate.cell].append(gate)
    results = {(result.cell.experiment, result.cell.id): result for result in report.cells}
    return {
        transcript_file(*place): _transcript(report, those, results.get(place))
        for place, those in sorted(gates.items())
        if any(gate.closes_gate() for gate in those)
    }


def transcript_file(experiment: str, cell: str) -> str:
    """Name the transcript of a cell, given by its id: a path relative to the folder of the reports."""
    (name,) = file_names({cell: cell}).values()
    return f"{FOLDER}/{name}-{_mark(experiment)}-{_mark(cell)}.txt"


def stale_transcripts(report: Report, folder: Path) -> list[Path]:
    """Find what earlier sessions on the same experiments left in the folder of the reports.

    Transcripts of other experiments stay, as their tables do: sessions on parts of the use cases may share a folder.
    """
    return [
        file for path in experiments(report) for file in (folder / FOLDER).glob(f"*-{_mark(path)}-{'[0-9a-f]' * 8}.txt")
    ]


def _mark(name: str) -> str:
    return digest(name)[:8]


def _transcript(report: Report, gates: list[GateResult], result: CellResult | None) -> str:
    shown = sorted((gate for gate in gates if gate.verdict != "PASS"), key=lambda gate: not gate.closes_gate())
    heading = one_line(f"{gates[0].experiment}: {gates[0].cell}", 1000)
    sections = [_section(f"{heading}\n{report.created}".rstrip(), map(failure_text, shown))]
    if result is not None:
        sections += (_section("BROKEN RUNS", _broken_runs(result)), *_row_sections(_Rows(result), shown))
    return "".join(sections).rstrip("\n") + "\n"


def _row_sections(rows: _Rows, gates: list[GateResult]) -> Iterator[str]:
    yield _section(f"FAILED ROWS: {len(rows.failed)}", map(rows.show, rows.failed))
    behind = dict.fromkeys(number for gate in gates for number in rows.behind(gate) if number not in rows.failed)
    if behind:
        yield _section(f"ROWS BEHIND THE VERDICTS: {len(behind)}", map(rows.show, behind))
    elif not rows.failed:
        yield _section("FIRST ROWS, AS NOTHING TELLS WHICH ONES ARE BEHIND THE VERDICTS", map(rows.show, rows.first))


def _section(title: str, blocks: Iterable[str]) -> str:
    """Write blocks one below the other until the section is full; nothing where there is none."""
    texts: list[str] = []
    left = _SECTION
    for block in blocks:
        encoded = block.encode("utf-8", "backslashreplace")
        texts.append(encoded[:left].decode("utf-8", "ignore"))
        left -= len(encoded)
        if left < 0:
            texts.append(f"(the rest is left out: this part holds at most {_SECTION:,} bytes)")
            break
    return "".join(f"{text}\n\n" for text in (title, *texts)) if texts else ""


def _broken_runs(result: CellResult) -> Iterator[str]:
    """Yield what broke a whole run, or the metrics over it."""
    for execution in result.executions:
        evaluations = ((name, evaluation.result) for name, evaluation in execution.evaluations.items())
        for name, run in (("run", execution.run), *evaluations):
            for error in (run.error, run.aggregation_error):
                if error:
                    yield _value(f"error of {name}", error).removeprefix("  ")


@dataclass(frozen=True)
class _Rows:
    """The rows of a cell, with all that came of them."""

    result: CellResult

    def show(self, number: int) -> str:
        """Write all that is known of a row, in every execution."""
        name = f"row {number}" + (f" ({one_line(key)})" if (key := self._key(number)) else "")
        texts = []
        for repeat, (run, evaluations) in enumerate(self._executions):
            texts.append(f"{name}, repeat {repeat}" if self.result.repeats else name)
            texts += _row_lines("", run.get(number), ())
            for evaluator, rows in evaluations.items():
                texts += _row_lines(f"{evaluator}.", rows.get(number), self.result.evaluations[evaluator].of_run)
        return "\n".join(texts)

    @cached_property
    def failed(self) -> dict[int, None]:
        """Rows that the flow or an evaluator gave no output for, in any execution."""
        every = (rows for run, evaluations in self._executions for rows in (run, *evaluations.values()))
        return dict.fromkeys(sorted(number for rows in every for number, row in rows.items() if row.failed))

    @cached_property
    def first(self) -> list[int]:
        """The first rows, for want of better ones."""
        return sorted(row.line_number for row in self.result.run.rows)[:_ROWS]

    def behind(self, gate: GateResult) -> list[int]:
        """Return the rows behind a verdict: those worse than in the baseline, then those with the worst scores."""
        named = gate.comparison.worse if gate.comparison else ()
        worse = [self._numbers[label] for label in named if label in self._numbers]
        scores = self._scores(gate)
        sign = 1 if gate.better == "higher" else -1
        best = max((sign * score for score in scores.values()), default=0.0)
        worst = sorted((sign * score, number) for number, score in scores.items() if sign * score < best)
        return [*worse[:_ROWS], *(number for _, number in worst[:_ROWS])]

    def _scores(self, gate: GateResult) -> dict[int, float]:
        """Return each row's score, the worst one of all executions."""
        evaluator, worst = gate.name.partition(".")[0], min if gate.better == "higher" else max
        scores: dict[int, float] = {}
        for _, evaluations in self._executions:
            for number, row in evaluations.get(evaluator, {}).items():
                score = (row.output or {}).get(gate.score)
                if isinstance(score, (int, float)) and is_number(score):
                    scores[number] = worst(float(score), scores.get(number, float(score)))
        return scores

    @cached_property
    def _executions(self) -> list[tuple[dict[int, Row], dict[str, dict[int, Row]]]]:
        return [
            (_by_number(each.run), {name: _by_number(found.result) for name, found in each.evaluations.items()})
            for each in self.result.executions
        ]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Line numbers by the labels that comparisons name rows with."""
        numbers = (row.line_number for row in self.result.run.rows)
        return {self._key(number) or f"row {number}": number for number in numbers}

    def _key(self, number: int) -> str:
        keys = self.result.columns.get(self.result.key or "", ())
        return keys[number] if 0 <= number < len(keys) else ""


def _by_number(run: RunResult) -> dict[int, Row]:
    return {row.line_number: row for row in run.rows}


def _row_lines(prefix: str, row: Row | None, known: tuple[str, ...]) -> Iterator[str]:
    """Yield what a flow or an evaluator was given and gave for a row. ``known`` inputs are shown elsewhere."""
    if row is not None:
        yield from _values(f"{prefix}inputs", {name: item for name, item in row.inputs.items() if name not in known})
        yield from _values(f"{prefix}outputs", row.output or {})
        if row.error is not None:
            yield _value(f"{prefix}error", row.error)


def _values(prefix: str, values: Mapping[str, Any]) -> Iterator[str]:
    return (_value(f"{prefix}.{name}", value) for name, value in values.items() if name != _LINE)


def _value(name: str, value: Any) -> str:
    text = plain(value)
    cut = f" … (cut: it has {len(text):,} characters)" if len(text) > _VALUE else ""
    lines = f"{neutralise(text[:_VALUE])}{cut}".split("\n")
    first = f"  {one_line(name)}:"
    return f"{first} {lines[0]}" if len(lines) == 1 else "\n".join((first, *(f"      {line}" for line in lines)))
