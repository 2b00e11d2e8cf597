"""Run flows through ``PFClient().run`` and write what came of them as JSON. Started by the differential tests.

The first argument is a file with a list of cases: the arguments of ``run``, with ``parent``, the index of an earlier
case, for a chained run. The second is the file to write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from promptflow.client import PFClient


def outcome(client: Any, case: dict[str, Any], runs: list[Any]) -> dict[str, Any]:
    """Execute one case."""
    parent = case.pop("parent", None)
    try:
        run = client.run(**case, run=None if parent is None else runs[parent])
    except Exception as problem:
        runs.append(None)
        return {"status": "Failed", "raised": str(problem)}
    runs.append(run)
    folder = Path(run._output_path)
    outputs, errors = folder / "flow_outputs" / "output.jsonl", {}
    for file in sorted((folder / "flow_artifacts").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            info = json.loads(line)["run_info"]
            if info["status"] == "Failed":
                errors[info["index"]] = info["error"]["message"].split("\n")[0]
    return {
        "status": run.status,
        "outputs": [json.loads(line) for line in outputs.read_text("utf-8").splitlines()] if outputs.exists() else [],
        "errors": sorted(errors.items()),
        "metrics": client.get_metrics(run) if run.status == "Completed" else {},
    }


if __name__ == "__main__":
    given, written = map(Path, sys.argv[1:])
    done: list[Any] = []
    outcomes = [outcome(PFClient(), case, done) for case in json.loads(given.read_text(encoding="utf-8"))]
    written.write_text(json.dumps(outcomes), encoding="utf-8")
