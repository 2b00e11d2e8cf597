"""The local engine gives what ``PFClient().run`` gives: outputs, failed lines with their messages, metrics."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.records.run import RunResult, Variant

Run = Callable[..., RunResult]
HERE = Path(__file__).parent
DATA: dict[str, list[dict[str, Any]]] = {
    "tickets": [
        {"text": " Invoice 1 ", "gold": "billing"},
        {"text": "hello", "gold": "support"},
        {"text": "invoice", "gold": "support"},
    ],
    "gold": [{"gold": "billing"}, {"gold": "support"}, {"gold": "support"}],
    "trouble": [{"what": what} for what in ("raise", "fine", "object", "tuple", "nan")],
    "values": [{"value": 1}, {"value": -1}, {"value": "3"}],
    "numbers": [{"number": "2"}, {"number": -1}, {"number": 5}],
    "answers": [{"answer": "a", "gold": "a"}, {"answer": "boom", "gold": "a"}, {"answer": "b", "gold": "a"}],
    "names": [{"name": "Ann"}, {"name": "2024-01-01"}],
}
CASES: dict[str, dict[str, Any]] = {
    "dag": {"flow": "triage", "data": "tickets"},
    "dag with failed rows": {
        "flow": "triage", "data": "tickets", "column_mapping": {"text": "${data.text}", "strict": True}
    },
    "chained": {
        "flow": "matcher",
        "data": "gold",
        "parent": "dag with failed rows",
        "column_mapping": {"queue": "${run.outputs.queue}", "text": "${run.inputs.text}", "gold": "${data.gold}"},
    },
    "failing rows": {"flow": "trouble", "data": "trouble"},
    "failing aggregation": {"flow": "half_measured", "data": "values"},
    "variant": {"flow": "greeting", "data": "names", "variant": {"greet": "long"}},
    "includes": {"flow": "included", "data": "tickets"},
    "flex function": {"flow": "flex", "data": "numbers"},
    "flex class": {"flow": "flex_class", "data": "answers"},
    "flex class with init": {"flow": "flex_class", "data": "answers", "init": {"bonus": 3}},
    "instance state": {"flow": "flex_class/stateful.flex.yaml", "data": "answers"},
    "missing column": {"flow": "triage", "data": "gold"},
    "does not load": {"flow": "broken", "data": "tickets"},
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the datasets, and give their paths by name."""
    folder = tmp_path_factory.mktemp("data")
    for name, rows in DATA.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {name: folder / f"{name}.jsonl" for name in DATA}


@pytest.fixture(scope="module")
def truth(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Run every case through ``PFClient().run``, on copies of the flows, because it writes into their folders."""
    flows = tmp_path_factory.mktemp("truth") / "flows"
    shutil.copytree(HERE / "flows", flows)
    home = tmp_path_factory.mktemp("home")
    (home / "pf.yaml").write_text("telemetry:\n  enabled: false\ntrace:\n  destination: none\n", encoding="utf-8")
    names = list(CASES)
    cases = []
    for case in CASES.values():
        changed: dict[str, Any] = {"flow": str(flows / case["flow"]), "data": str(data[case["data"]])}
        if "variant" in case:
            changed["variant"] = "${" + ".".join(*case["variant"].items()) + "}"
        if "parent" in case:
            changed["parent"] = names.index(case["parent"])
        cases.append({**case, **changed})
    (home / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    subprocess.run(
        [sys.executable, str(HERE / "run_with_promptflow.py"), str(home / "cases.json"), str(home / "truth.json")],
        env={
            **os.environ,
            "PF_HOME_DIRECTORY": str(home),
            "PF_TRACING_SKIP_LOCAL_SETUP": "true",
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        },
        capture_output=True,
        check=True,
    )
    return dict(zip(names, json.loads((home / "truth.json").read_text(encoding="utf-8")), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_same_as_promptflow(run: Run, data: dict[str, Path], truth: dict[str, dict[str, Any]], name: str) -> None:
    case, expected = CASES[name], truth[name]
    request = {"data": data[case["data"]], "column_mapping": case.get("column_mapping", {})}
    if "parent" in case:
        parent = CASES[case["parent"]]
        request["run_outputs"] = truth[case["parent"]]["outputs"]
        request["run_inputs"] = data[parent["data"]]
    variant = Variant(nodes=case.get("variant", {}), init=case.get("init", {}))
    result = run(case["flow"], variant=variant, **request)
    assert result.status == expected["status"], (result.error, expected)
    outputs = [{"line_number": row.line_number, **(row.output or {})} for row in result.completed]
    assert comparable(outputs) == comparable(expected.get("outputs", []))
    assert [[row.line_number, row.error] for row in result.failed] == expected.get("errors", [])
    assert result.metrics == expected.get("metrics", {})


def comparable(value: Any) -> str:
    """Return JSON text, in which NaN equals NaN."""
    return json.dumps(value, sort_keys=True)
