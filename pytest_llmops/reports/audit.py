"""Text for the terminal: what of a flow its candidates were found to cover."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from pytest_llmops.auditing import Audit, Finding
from pytest_llmops.reports.text import one_line

_INDENT = "  "
_SUBJECT = 80
_LIMIT = 300
_CAVEATS = (
    "Only files were read: a name or value that stands anywhere in them counts as found, whether or not it is used.",
    "What is open is a question: nodes may have been merged, and settings left out, on purpose. Parity is measured by",
    "running the candidate.",
)


def audit_lines(experiment: str, flow: str, audits: Sequence[Audit]) -> Iterator[str]:
    """List what each candidate covers, what is open first counted, and say what reading can't tell."""
    yield one_line(f"{experiment}: what flow '{flow}' has, looked for in the files of its candidates")
    for each in audits:
        files = f"{each.read} file{'s' * (each.read != 1)} read"
        yield from ("", one_line(f"{each.candidate}: flow '{each.flow}', {files}, {_counted(each.findings)}"))
        yield from _table(each.findings)
    yield from ("", *_CAVEATS)


def json_lines(experiment: str, flow: str, audits: Sequence[Audit]) -> Iterator[str]:
    """Write the same for programs."""
    found = {
        "experiment": experiment,
        "flow": flow,
        "candidates": [{**dataclasses.asdict(each), "open": each.open} for each in audits],
    }
    yield json.dumps(found, indent=2)


def _counted(findings: Sequence[Finding]) -> str:
    states = ("open", "unknown", "covered")
    return ", ".join(f"{sum(finding.state == state for finding in findings)} {state}" for state in states)


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    rows = [(each.state, each.topic, one_line(each.subject, _SUBJECT), each.note) for each in findings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:3]
    for *cells, note in rows:
        padded = _INDENT.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"{_INDENT}{padded}{_INDENT}{one_line(note, _LIMIT)}".rstrip()
