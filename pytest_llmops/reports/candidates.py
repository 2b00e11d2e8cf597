"""Whether candidates may take the place of their flow: what the verdicts of a whole session say of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.records.experiment import AGREEMENT, RUN
from pytest_llmops.records.gate import CellResult, GateResult, Verdict
from pytest_llmops.records.report import Report
from pytest_llmops.reports.text import one_line
from pytest_llmops.reports.verdicts import headline, is_weaker
from pytest_llmops.stats.gates import obstacles_of

AGREEMENT_GATE = f"{RUN}.{AGREEMENT}"
_CAUSE = 300
_WORDS: Mapping[Verdict, str] = {"FAIL": "failed", "ERROR": "broken", "INCONCLUSIVE": "inconclusive"}

Answer = Literal["may", "may not", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Whether a candidate may take the place of ``flow``, and ``why``.

    ``implementation`` is the flow that it is, empty where that is not known. ``gates`` are all verdicts on it.
    """

    candidate: str
    flow: str
    implementation: str
    answer: Answer
    why: str
    gates: tuple[GateResult, ...]

    @property
    def text(self) -> str:
        """Say it in one line, which holds no text of a model."""
        known = f" ({self.implementation})" if self.implementation not in ("", self.candidate) else ""
        who, what = f"{self.candidate}{known}", f"take the place of {self.flow}"
        if self.answer == "unknown":
            return f"whether {who} may {what} can't be told yet: {self.why}"
        return f"{who} {self.answer} {what}: {self.why}"


def switches(report: Report, path: str) -> tuple[Switch, ...]:
    """Say of each candidate of an experiment that was run whether it may take the flow's place.

    It may only where every gate on all rows of every dataset was decided and kept, the comparison with the flow among
    them. What failed says that it may not; all else leaves it open.
    """
    cells = [result for result in report.cells if result.cell.experiment == path]
    gates = [gate for gate in report.gates if gate.experiment == path]
    found = dict.fromkeys(result.cell.variant.id for result in cells if result.cell.variant.is_candidate)
    lacking = tuple(_not_whole(report, path, {gate.cell for gate in gates} - {result.cell.id for result in cells}))
    return tuple(
        _switch([r for r in cells if r.cell.variant.is_candidate and r.cell.variant.id == name], gates, lacking)
        for name in found
    )


def trouble_line(switch: Switch) -> str:
    """Name the cause that most gates of a candidate were not kept for, if none of them closes the gate; else nothing.

    It may hold text of a model, made safe to print.
    """
    short = [gate for gate in switch.gates if gate.verdict in ("ERROR", "FAIL")]
    if not short or not all(map(is_weaker, short)):
        return ""
    causes = Counter(_cause(gate) for gate in sorted(short, key=lambda gate: gate.verdict))
    cause, times = causes.most_common(1)[0]
    how_many = f"{len(short)} of {len(switch.gates)} gates failed or broken, none closes the gate"
    which = "" if len(short) == 1 else f"{times} of them: " if times > 1 else "first: "
    return f"{switch.candidate} (candidate): {how_many}; {which}{one_line(cause, _CAUSE)}"


def _switch(cells: Sequence[CellResult], gates: Sequence[GateResult], lacking: Sequence[str]) -> Switch:
    mine = tuple(gate for gate in gates if gate.cell in {result.cell.id for result in cells})
    counts = Counter(gate.verdict for gate in mine)
    short = [f"{counts[verdict]} {word}" for verdict, word in _WORDS.items() if counts[verdict]]
    lacking = (*lacking, *_gaps(cells, mine))
    first = cells[0]
    return Switch(
        candidate=first.cell.variant.id,
        flow=first.cell.flow,
        implementation=first.implementation,
        answer="may not" if counts["FAIL"] else "unknown" if short or lacking else "may",
        why=", ".join((f"{counts['PASS']} of {len(mine)} gate{'s' * (len(mine) != 1)} kept", *short, *lacking)),
        gates=mine,
    )


def _not_whole(report: Report, path: str, unknown: set[str]) -> Iterator[str]:
    """Yield what of the session is missing for any candidate. What other experiments lack does not matter."""
    if report.shard is not None:
        yield f"shard {report.shard} alone"
    others = tuple(f"{other}:" for other in report.experiments if other != path)
    if unknown or any(not reason.startswith(others) for reason in obstacles_of(report)):
        yield "not everything asked for was decided"


def _gaps(cells: Sequence[CellResult], gates: Sequence[GateResult]) -> Iterator[str]:
    """Yield what was not decided of a candidate on its datasets."""
    if partial := [result.cell.dataset for result in cells if result.partial]:
        yield f"only the first rows of {', '.join(partial)}"
    compared = {gate.cell for gate in gates if _compares(gate)}
    if apart := [result.cell.dataset for result in cells if result.cell.id not in compared]:
        yield f"not compared with the flow on {', '.join(apart)}"


def _compares(gate: GateResult) -> bool:
    return gate.name == AGREEMENT_GATE or (gate.comparison is not None and gate.comparison.with_flow)


def _cause(gate: GateResult) -> str:
    return gate.reason if gate.verdict == "ERROR" and gate.reason else headline(gate)
