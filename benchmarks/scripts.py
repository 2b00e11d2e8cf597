"""Scripts of one run, as users of the library write them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, Finished, run

_SCRIPT = """\
import json
import time
import pytest_llmops as llmops

if __name__ == "__main__":
    arguments = json.load(open("arguments.json"))
    warm_up = json.load(open("warm_up.json"))
    if warm_up:
        llmops.run(**arguments | warm_up)
    begun = time.perf_counter()
    run = llmops.run(**arguments)
    seconds = time.perf_counter() - begun
    completed = [row for row in run.rows if not row.failed]
    print(json.dumps([run.status, len(completed), run.error, seconds]))
"""


def run_script(
    folder: Path, arguments: Mapping[str, Any], rows: int, *, warm_up: Mapping[str, Any] | None = None
) -> tuple[Finished, float]:
    """Start Python on a script that calls ``llmops.run``; return the process, and the seconds of that call.

    It is called once before, with the changed arguments ``warm_up``, if there are any.

    Raises:
        RuntimeError: where not all rows completed.
    """
    (folder / "arguments.json").write_text(json.dumps(arguments), encoding="utf-8")
    (folder / "warm_up.json").write_text(json.dumps(warm_up or {}), encoding="utf-8")
    (folder / "script.py").write_text(_SCRIPT, encoding="utf-8")
    finished = run([sys.executable, "script.py"], folder, environment={"PYTHONPATH": str(ROOT)})
    *outcome, seconds = json.loads(finished.output.splitlines()[-1])
    if outcome != ["Completed", rows, None]:
        raise RuntimeError(f"not all of {rows} rows completed:\n{finished.output}")
    return finished, float(seconds)
