"""The comment on a pull request: the decision, and what the summary of the reports says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from pytest_llmops.ado.environment import Pipeline
from pytest_llmops.records.report import Report
from pytest_llmops.reports.gate import GateFile
from pytest_llmops.reports.gate_check import GateCheck
from pytest_llmops.reports.gate_words import line_text, why
from pytest_llmops.reports.markdown import details
from pytest_llmops.reports.text import markdown_cell

LARGEST = 100_000  # bytes; more than 150,000 characters are refused
_LONG = 1000
_CUT = "\n\n*The rest does not fit here: see summary.md among the reports of the run.*\n"
# What notifies people or links work items and pull requests: @<id>, #12, !12. Not the # of an entity such as &#92;.
_MENTION = re.compile(r"(?<!&)([@#!])(?=[\w<&])")
_TURN = re.compile(r"iteration=(\d{1,9}) build=(\d{1,18}) -->")
_JOINER = "\u2060"  # has no width, and keeps the two apart


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """Which of two runs is the newer one: first by the iteration of the pull request, then by the run's number."""

    iteration: int = 0
    build: int = 0


def marker_of(definition: str, suite: str) -> str:
    """Begin what tells the comment of a suite of a pipeline from all others. Its line, with a turn, does not show."""
    # Two hyphens would end what does not show.
    return f"<!-- llmops:{quote(definition).replace('--', '-%2D')}:{quote(suite).replace('--', '-%2D')} "


def marked(marker: str, turn: Turn, text: str) -> str:
    """Put the line that does not show before a comment."""
    return f"{marker}iteration={turn.iteration} build={turn.build} -->\n{text}"


def turn_of(marker: str, content: str) -> Turn:
    """Read from a comment which run wrote it; the earliest turn where it does not say."""
    known = _TURN.match(content.removeprefix(marker))
    return Turn(int(known[1]), int(known[2])) if known else Turn()


def comment_text(check: GateCheck, report: Report | None, *, suite: str, run: Pipeline, note: str = "") -> str:
    """Render the comment as Markdown, of at most ``LARGEST`` bytes less what a marker takes.

    ``report`` is what the decision was made on, None where that is not known; ``note`` says why. Text of models and
    datasets renders as itself, and notifies nobody. It links to ``run``, if its address is known.
    """
    blocks = [f"# Gate {check.state}: {markdown_cell(suite)}", f"**{markdown_cell(why(check), _LONG)}**"]
    blocks += ["\n".join(f"- {markdown_cell(problem, _LONG)}" for problem in check.problems[1:])]
    blocks += [markdown_cell(note, _LONG)]
    if report is not None:
        blocks += [details(report)]
    elif check.file is not None:
        blocks += _gates(check.file)
    text = _without_mentions("\n\n".join(block for block in blocks if block))
    return _within(f"{_link(run)}{text}", LARGEST)


def _gates(file: GateFile) -> Iterator[str]:
    """Yield the gates as far as gate.json alone tells of them."""
    yield "\n".join(f"- {markdown_cell(line_text(line), _LONG)}" for line in file.gates)
    yield "\n".join(f"- {markdown_cell(reason, _LONG)}" for reason in file.obstacles)


def _link(run: Pipeline) -> str:
    if not run.url:
        return ""
    address = run.url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
    return f"[Run {markdown_cell(run.number)}]({address})\n\n"


def _without_mentions(text: str) -> str:
    # The entity's number would be one more that follows a #.
    return _MENTION.sub(rf"\1{_JOINER}", text).replace("&#92;", "&bsol;")


def _within(text: str, limit: int) -> str:
    encoded = text.encode("utf-8")
    if len(encoded) <= limit:
        return text
    kept = encoded[: limit - len(_CUT.encode())].decode("utf-8", "ignore")
    return kept.rpartition("\n")[0] + _CUT
