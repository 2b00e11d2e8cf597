"""B2: a flow that asks a model for every row, with 16 rows at once and answers that take 200 ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Settings, at_most, number, ratio
from benchmarks.processes import Finished
from benchmarks.projects import questions, write_json, write_rows
from benchmarks.promptflow_runs import run_with_promptflow
from benchmarks.scripts import run_script
from benchmarks.stub import DELAY, Stub, serving

_AT_ONCE = 16
_CONNECTION = "stub"


@dataclass(frozen=True, slots=True)
class _Timing:
    """``calls`` is from the first call to the end of the last, ``start`` from the start of Python to the first."""

    calls: float
    start: float
    whole: float


def measure(folder: Path, settings: Settings) -> Sequence[Figure]:
    """Measure the calls against the least time that they can take, and all of it against ``PFClient().run``."""
    rows = 64 if settings.quick else 256
    flow = _write_flow(folder / "flow")
    data = write_rows(folder / "data.jsonl", questions(rows))
    arguments = {"flow": str(flow), "data": str(data), "column_mapping": {"text": "${data.text}"}}
    ours, theirs = [], []
    with serving(folder) as stub:
        properties = {"base_url": stub.url, "api_key": "sk-benchmark"}
        connections = {_CONNECTION: {"type": "open_ai", **properties}}
        for _ in range(settings.repetitions):
            mine, _ = run_script(folder, {**arguments, "connections": connections, "concurrency": _AT_ONCE}, rows)
            ours.append(_timing(mine, stub, rows))
            connection: dict[str, Any] = {"name": _CONNECTION, "type": "open_ai", **properties}
            runs = run_with_promptflow([arguments], folder, workers=_AT_ONCE, connection=connection)
            theirs.append(_timing(runs.process, stub, rows))
    ideal = rows / _AT_ONCE * DELAY
    against = f"{number(ideal)} s, the least that {rows} calls of 200 ms can take, 16 at once"
    shares = [timing.calls / ideal for timing in ours]
    waits = [timing.start for timing in ours]
    client = f"`PFClient().run` with {_AT_ONCE} workers"
    return (
        at_most("LLM-bound, first to last call", against, shares, unit="x", target=1.15, digits=2),
        at_most("LLM-bound, start of Python to first call", "", waits, unit=" s", target=2),
        ratio("LLM-bound, first to last call", client, [t.calls for t in ours], [t.calls for t in theirs]),
        ratio("LLM-bound, all of it", client, [t.whole for t in ours], [t.whole for t in theirs]),
    )


def _timing(finished: Finished, stub: Stub, rows: int) -> _Timing:
    log = stub.take_log()
    if len(log) != rows:
        raise RuntimeError(f"{len(log)} calls for {rows} rows:\n{finished.output}")
    first, last = min(begin for begin, _ in log), max(end for _, end in log)
    return _Timing(calls=last - first, start=first - finished.begun, whole=finished.seconds)


def _write_flow(folder: Path) -> Path:
    node = {
        "name": "ask",
        "type": "llm",
        "source": {"type": "code", "path": "ask.jinja2"},
        "inputs": {"model": "m", "text": "${inputs.text}", "temperature": 0},
        "provider": "OpenAI",
        "connection": _CONNECTION,
        "api": "chat",
        "module": "promptflow.tools.openai",
    }
    flow = {
        "inputs": {"text": {"type": "string"}},
        "outputs": {"answer": {"type": "string", "reference": "${ask.output}"}},
        "nodes": [node],
    }
    write_json(folder / "flow.dag.yaml", flow)
    (folder / "ask.jinja2").write_text("# system:\nAnswer.\n\n# user:\n{{text}}\n", encoding="utf-8")
    return folder
