"""Runs what a plan in JSON lists through ``PFClient().run``, one after the other, and prints what came of it.

The plan is a list of keyword arguments; ``run`` is there the position of an earlier run. Executed as a script, by
``run_with_promptflow``.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, Finished, run

_CONFIGURATION = "telemetry:\n  enabled: false\ntrace:\n  destination: none\n"
_CONNECTION = "connection.json"
_OUTCOME = "outcome.json"


@dataclass(frozen=True, slots=True)
class Runs:
    """The process that made some runs, and the metrics and seconds of each."""

    process: Finished
    metrics: list[dict[str, Any]]
    seconds: list[float]


def run_with_promptflow(
    plan: list[dict[str, Any]], folder: Path, *, workers: int | None = None, connection: dict[str, Any] | None = None
) -> Runs:
    """Run a plan in a process of its own, as fast as promptflow can: without telemetry, traces or local service."""
    home = folder / "promptflow-home"
    home.mkdir(exist_ok=True)
    (home / "pf.yaml").write_text(_CONFIGURATION, encoding="utf-8")
    (home / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    if connection:
        (home / _CONNECTION).write_text(json.dumps(connection), encoding="utf-8")
    environment = {
        "PF_HOME_DIRECTORY": str(home),
        "PF_DISABLE_TRACING": "true",
        "PF_TRACING_SKIP_LOCAL_SETUP": "true",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "PYTHON_KEYRING_BACKEND": "fixed_keyring.FixedKeyring",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support'}",
        **({"PF_WORKER_COUNT": str(workers)} if workers else {}),
    }
    finished = run([sys.executable, __file__, home], folder, environment=environment)
    metrics, seconds = json.loads((home / _OUTCOME).read_text(encoding="utf-8"))
    return Runs(finished, metrics, seconds)


def main(home: Path) -> None:
    """Run the plan in this process."""
    from promptflow._sdk._load_functions import load_connection
    from promptflow.client import PFClient

    client = PFClient()
    if (home / _CONNECTION).exists():
        client.connections.create_or_update(load_connection(home / _CONNECTION))
    runs: list[Any] = []
    seconds = []
    for arguments in json.loads((home / "plan.json").read_text(encoding="utf-8")):
        parent = arguments.pop("run", None)
        begun = time.perf_counter()
        runs.append(client.run(**arguments, run=None if parent is None else runs[parent]))
        seconds.append(time.perf_counter() - begun)
    if any(each.status != "Completed" for each in runs):
        raise RuntimeError(f"runs ended as {[each.status for each in runs]}")
    (home / _OUTCOME).write_text(json.dumps([[client.get_metrics(each) for each in runs], seconds]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
