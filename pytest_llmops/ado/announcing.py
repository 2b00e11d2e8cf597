"""What a session tells the pipeline's run: why its gate is closed, where that stands, and its summary."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_llmops.ado.commands import IssueKind, add_build_tag, log_issue, upload_summary
from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports import gate, markdown
from pytest_llmops.reports.text import one_line
from pytest_llmops.reports.verdicts import headline, is_weaker
from pytest_llmops.sharding import idle_reason
from pytest_llmops.stats.gates import NOTHING, obstacles_of

_SHOWN = 10
"""The agent shows as many errors of a step, and as many warnings."""
_LONG = 400
_GRAVITY = ("ERROR", "FAIL", "INCONCLUSIVE", "PASS")
_LINE_OF_A_FILE = re.compile(r"((?:[A-Za-z]:)?[^:\n]+):(\d{1,9}): (.+)", re.DOTALL)
_SOURCES = (".py", ".yaml", ".yml")
_NOT_WRITTEN = "the reports could not be written, so the gate is closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A message for the page of the run. ``file`` is a path from the root, empty where the message has no place."""

    kind: IssueKind
    message: str
    file: str = ""
    line: int = 0


def issues_of(report: Report) -> list[Issue]:
    """List what is wrong by a report, the gravest of each kind first.

    Errors close the gate. Verdicts short of a pass that leave it open are warnings.
    """
    gates = sorted(report.gates, key=lambda gate: _GRAVITY.index(gate.verdict))
    # That a shard has nothing to do is nobody's fault.
    of_a_part = {NOTHING, idle_reason(report.shard)} if report.shard else set()
    return [
        *map(_of_obstacle, (reason for reason in obstacles_of(report) if reason not in of_a_part)),
        *(_of_gate("error", gate) for gate in gates if gate.closes_gate()),
        *(_of_gate("warning", gate) for gate in gates if is_weaker(gate)),
    ]


def announce(
    report: Report, written: Collection[Path], root: Path, *, host: str = "", issues: Sequence[Issue] = ()
) -> list[str]:
    """Return the logging commands that a session ends with.

    ``written`` are the files of its reports, in the folder that they are in, and none if they could not be written.
    Paths in the report are from ``root``. ``host`` is what kind of pipeline this is: builds alone have tags.
    ``issues`` come before those of the report. A shard announces neither a summary nor a decision: it has none.
    """
    known = {file.name: file for file in written}
    failed = [] if gate.FILE in known else [Issue(kind="error", message=_NOT_WRITTEN)]
    commands = list(annotate([*issues, *failed, *issues_of(report)], root))
    if report.shard is not None:
        return commands
    if (summary := known.get(markdown.FILE)) is not None and summary.is_file():
        commands.append(upload_summary(summary))
    if host in ("", "build"):
        commands.append(add_build_tag(f"llmops-gate-{'closed' if failed else report.decision.state}"))
    return commands


def annotate(issues: Sequence[Issue], root: Path) -> Iterator[str]:
    """Yield a command for each issue, as many of each kind as are shown; the last one says how many there are more."""
    kinds: tuple[IssueKind, ...] = ("error", "warning")
    for kind in kinds:
        mine = [issue for issue in issues if issue.kind == kind]
        shown = mine if len(mine) <= _SHOWN else mine[: _SHOWN - 1]
        for issue in shown:
            # The agent finds the repository by an absolute path alone, and shows the path inside of it.
            path = str((root / issue.file).absolute()) if issue.file else ""
            yield log_issue(kind, issue.message, path=path, line=issue.line)
        if more := len(mine) - len(shown):
            yield log_issue(kind, f"{more} more {kind}s: see the summary, or the log")


def _of_gate(kind: IssueKind, gate: GateResult) -> Issue:
    place = gate.file if gate.file and gate.line else gate.experiment
    return Issue(kind=kind, message=headline(gate), file=place, line=gate.line)


def _of_obstacle(reason: str) -> Issue:
    """Find the place that a reason begins with: a line of a file, a file, or a test in one."""
    placed = _LINE_OF_A_FILE.fullmatch(reason)
    if placed is not None:
        return Issue(kind="error", message=one_line(placed[3], _LONG), file=placed[1], line=int(placed[2]))
    file = reason.partition(": ")[0].partition("::")[0]
    known = PurePosixPath(file).suffix in _SOURCES
    return Issue(kind="error", message=one_line(reason, _LONG), file=file if known else "")
