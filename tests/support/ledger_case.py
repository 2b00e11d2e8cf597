"""A small flow in a folder, and an engine that asks the ledger as the real one does and counts what it executes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_llmops.ledger import Ledger
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import Line, Outcome, Reads, Row, RunRequest, RunResult, Tokens

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

DEFINITION = """
inputs: {word: {type: string}}
additional_includes: [../shared/tone.txt, ../shared/lists]
nodes: []
"""


def write_flow(root: Path) -> Flow:
    """Write a DAG flow with two includes, below a root."""
    files = {
        "flows/shout/flow.dag.yaml": DEFINITION,
        "flows/shout/prompt.jinja2": "Shout {{word}}",
        "flows/shout/lib/shout.py": "def shout(word): return word.upper()",
        "flows/shared/tone.txt": "loud",
        "flows/shared/lists/stop.txt": "the",
        "flows/shared/helper.py": "LEVEL = 1",
        "data/words.jsonl": '{"word": "a"}\n{"word": "b"}\n{"word": "c"}\n',
        "cassettes/shout.json": "{}",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    folder = root / "flows/shout"
    return Flow(name="shout", kind="dag", file=folder / "flow.dag.yaml", folder=folder)


def write_request(root: Path, **changes: Any) -> RunRequest:
    """Write a flow, and ask for a run of it over three words."""
    given: dict[str, Any] = {
        "flow": write_flow(root),
        "data": root / "data/words.jsonl",
        "column_mapping": {"word": "${data.word}"},
    }
    return RunRequest(**{**given, **changes})


def upper(inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Answer with the word in capitals."""
    return {"loud": str(inputs["word"]).upper()}


@dataclass
class Engine:
    """Executes the lines that the ledger does not know, one after the other. ``executed`` are their inputs."""

    ledger: Ledger
    answer: Answer = upper
    reads: Reads = field(default_factory=Reads)
    metrics: Mapping[str, Any] = field(default_factory=lambda: {"count": 3})
    executed: list[Mapping[str, Any]] = field(default_factory=list)

    def run(self, request: RunRequest, lines: Sequence[Line] | None = None, **result: Any) -> RunResult:
        """Execute a run. ``result`` are fields to set in its result."""
        lines = lines_of(request) if lines is None else lines
        with self.ledger.journal(request) as journal:
            known = journal.finished()
            if known is not None:
                return known
            rows: dict[int, Row] = {}
            while waiting := [line for line in lines if line[0] not in rows]:
                reused, mine = journal.take(waiting)
                rows |= {number: outcome.row for number, outcome in reused.items()}
                for number, inputs in waiting:
                    if number in mine:
                        rows[number] = self._execute(number, inputs)
                        journal.keep([Outcome(row=rows[number])], self.reads)
            given: dict[str, Any] = {"status": "Completed", "metrics": self.metrics, "llm_calls": 3, **result}
            finished = RunResult(rows=tuple(rows[number] for number, _ in lines), **given)
            reads = journal.conclude(finished, self.reads)
        return replace(finished, reads=reads.files)

    def _execute(self, number: int, inputs: Mapping[str, Any]) -> Row:
        self.executed.append(inputs)
        output = self.answer(inputs)
        error = None if output is not None else "it failed"
        tokens = Tokens(prompt=2, completion=1, total=3)
        return Row(
            line_number=number,
            inputs=inputs,
            output=output,
            error=error,
            duration=0.5,
            tokens=tokens,
            usage={"tiny": tokens},
            uncounted=1,
        )


def lines_of(request: RunRequest) -> list[Line]:
    """Return the lines of a run over a JSON Lines file or rows."""
    rows = request.data or ()
    if isinstance(rows, Path):
        rows = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    return list(enumerate(rows))[: request.max_rows]
