"""Records what ``PFClient().run`` gives for every case, as the truth that our engine is compared with.

    python tests/conformance/record.py [--all] [NAME ...]

Without arguments it records the cases that have changed. Each case, after those it is chained on, has a process, a
home folder and a copy of its flow for itself. Telemetry, trace service and version check are off, and connections
need no keyring.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # prompt flow's processes import this module too, and don't need the cases.
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    from conformance import CASES, TRUTH, Case, first_line, headline, without_places
    from openai_server import serving

_CONFIGURATION = "telemetry:\n  enabled: false\ntrace:\n  destination: none\n"
_AT_ONCE = 2
_PATIENCE = 120.0
"""Seconds for one case with those it is chained on."""


def record(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the truth of some cases as it is found."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, outcome in zip(names, pool.map(_record_apart, names), strict=True):
            if outcome:
                yield name, {"digest": CASES[name].digest(), **outcome}


def _record_apart(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as home:
        (Path(home) / "pf.yaml").write_text(_CONFIGURATION, encoding="utf-8")
        environment = {
            **os.environ,
            "PF_HOME_DIRECTORY": home,
            "PF_TRACING_SKIP_LOCAL_SETUP": "true",
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
            "PYTHON_KEYRING_BACKEND": "fixed_keyring.FixedKeyring",
            "PYTHONPATH": str(Path(__file__).parents[1] / "support"),
        }
        command = [sys.executable, __file__, "--into", f"{home}/outcome.json", name]
        outcome, log = Path(home) / "outcome.json", Path(home) / "log.txt"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, cwd=home, start_new_session=True
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            # Also what prompt flow left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if not outcome.exists():
            print(f"{name}: no outcome\n{log.read_text(encoding='utf-8')}", flush=True)  # noqa: T201 - a script
            return {}
        truth: dict[str, Any] = json.loads(outcome.read_text(encoding="utf-8"))
        print(f"{name}: {json.dumps(truth)[:160]}", flush=True)  # noqa: T201 - a script
        return truth


def _record_here(name: str, home: Path) -> dict[str, Any]:
    """Run a case in this process, after its parents, and return what came of it."""
    with serving() as server:
        return _run(CASES[name], home, server)[1]


def _run(case: Case, home: Path, server: Any) -> tuple[Any, dict[str, Any]]:
    from promptflow._sdk._load_functions import load_connection
    from promptflow.client import PFClient

    parent = _run(CASES[case.parent], home, server)[0] if case.parent else None
    server.answers.update(case.answers)
    folder = home / "cases" / case.digest()
    case.write(folder, server.url)
    os.chdir(folder)
    client = PFClient()
    for connection, properties in case.defined_connections(server.url).items():
        file = folder / f"{connection}.yaml"
        file.write_text(json.dumps({"name": connection, **properties}), encoding="utf-8")
        client.connections.create_or_update(load_connection(file))
    arguments = case.arguments(server.url)
    if case.overrides:
        arguments["connections"] = {node: {**override} for node, override in case.overrides.items()}
    run = None
    try:
        run = client.run(flow=_flow(case, folder), run=parent, **arguments)
        outcome = _outcome(client, run)
    except BaseException as problem:
        outcome = {"status": "Failed", "raised": type(problem).__name__, "error": headline(str(problem))}
    return run, without_places(without_places(outcome, folder, server.url), home, server.url)


def _flow(case: Case, folder: Path) -> Any:
    # As for a script in that folder.
    sys.path.insert(0, str(folder / "flow"))
    if not case.object:
        return case.path
    module, _, name = case.object.partition(":")
    target = getattr(importlib.import_module(module), name)
    return target if case.instance is None else target(**case.instance)


def _outcome(client: Any, run: Any) -> dict[str, Any]:
    from promptflow._sdk.operations._local_storage_operations import LocalStorageOperations

    storage = LocalStorageOperations(client.runs.get(run.name))
    problems = storage.load_exception() or {}
    if run.status != "Completed":
        return {"status": run.status, "error": _cause(problems)}
    outputs = storage.outputs_folder / "output.jsonl"
    # Not ``splitlines``: JSON may hold other ends of lines.
    lines = outputs.read_text("utf-8").split("\n") if outputs.exists() else []
    aggregation = [e["error"]["message"] for e in _errors(problems) if "aggregation_node_name" in e]
    return {
        "status": run.status,
        "outputs": [json.loads(line) for line in lines if line],
        "errors": sorted(_failed_lines(storage)),
        "metrics": client.get_metrics(run),
        "aggregation_error": headline(aggregation[0]) if aggregation else None,
    }


def _cause(problems: Any) -> str | None:
    return headline(problems.get("message", "").partition("First error message is: ")[2])


def _errors(problems: Any) -> list[Any]:
    return [error for extra in problems.get("additionalInfo", ()) for error in extra["info"].get("errors", ())]


def _failed_lines(storage: Any) -> list[Any]:
    infos = [
        json.loads(line)["run_info"]
        for file in storage._run_infos_folder.glob("*.jsonl")
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]
    return [[info["index"], first_line(info["error"]["message"])] for info in infos if info["status"] == "Failed"]


def main() -> None:
    """Record what was asked for, and write it into the truth."""
    parser = argparse.ArgumentParser(description="Record the truth.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true", help="record every case, changed or not")
    parser.add_argument("--truth", type=Path, default=TRUTH, help="the file to write")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.into:
        try:
            outcome = _record_here(given.names[0], given.into.parent)
            given.into.write_text(json.dumps(outcome), encoding="utf-8")
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)  # threads of lines that hang would keep the process
    truth = json.loads(given.truth.read_text(encoding="utf-8")) if given.truth.exists() else {}
    changed = [name for name, case in CASES.items() if truth.get(name, {}).get("digest") != case.digest()]
    for name, outcome in record(given.names or (list(CASES) if given.all else changed)):
        truth[name] = outcome
        ordered = {name: truth[name] for name in CASES if name in truth}
        given.truth.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
