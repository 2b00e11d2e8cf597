"""Writes the projects that are measured: prompt flows in Python, datasets, and experiment files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_TOOL = "from promptflow.core import log_metric, tool\n\n\n@tool\n"
_ANSWER = {"plain": "return text.upper()", "loud": "return text.upper() + '!'"}
_GRADE = "def grade(answer: str, expected: str) -> float:\n    return float(answer == expected)\n"
_RATE = (
    "def rate(grades: list) -> float:\n    value = sum(grades) / len(grades)\n"
    "    log_metric('accuracy', value)\n    return value\n"
)


def write_json(path: Path, value: Any) -> None:
    """Write a file; JSON is YAML as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a JSON Lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def questions(number: int) -> list[dict[str, str]]:
    """Make rows, each with what is expected of it."""
    texts = [f"question number {i} about something" for i in range(number)]
    return [{"text": text, "expected": text.upper()} for text in texts]


def write_answer_flow(folder: Path, bodies: Mapping[str, str] = _ANSWER) -> Path:
    """Write a DAG flow of one Python node with a variant for each function body."""
    variants = {}
    for name, body in bodies.items():
        _write_tool(folder / f"{name}.py", f"def answer(text: str) -> str:\n    {body}\n")
        variants[name] = {"node": _node({"text": "${inputs.text}"}, f"{name}.py")}
    flow = {
        "inputs": {"text": {"type": "string"}},
        "outputs": {"answer": {"type": "string", "reference": "${answer.output}"}},
        "nodes": [{"name": "answer", "use_variants": True}],
        "node_variants": {"answer": {"default_variant_id": next(iter(bodies)), "variants": variants}},
    }
    write_json(folder / "flow.dag.yaml", flow)
    return folder


def write_match_flow(folder: Path) -> Path:
    """Write an evaluation flow that grades each row, and logs the share of right ones."""
    _write_tool(folder / "grade.py", _GRADE)
    _write_tool(folder / "rate.py", _RATE)
    graded = {"answer": "${inputs.answer}", "expected": "${inputs.expected}"}
    flow = {
        "inputs": {"answer": {"type": "string"}, "expected": {"type": "string"}},
        "outputs": {"correct": {"type": "double", "reference": "${grade.output}"}},
        "nodes": [
            {"name": "grade", **_node(graded, "grade.py")},
            {"name": "rate", **_node({"grades": "${grade.output}"}, "rate.py"), "aggregation": True},
        ],
    }
    write_json(folder / "flow.dag.yaml", flow)
    return folder


def write_experiment(folder: Path, name: str, datasets: Mapping[str, str]) -> None:
    """Write an experiment with the flow ``name`` and the evaluator ``match``; datasets map names to files."""
    write_json(
        folder / "experiment.yaml",
        {
            "name": name,
            "datasets": [{"name": n, "source": s, "mappings": {"text": "${data.text}"}} for n, s in datasets.items()],
            "evaluators": [
                {
                    "name": "match",
                    "thresholds": {"accuracy": ">= 0"},
                    "datasets": [
                        {"name": n, "mappings": {"answer": "${run.outputs.answer}", "expected": "${data.expected}"}}
                        for n in datasets
                    ],
                }
            ],
        },
    )


def _write_tool(path: Path, function: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_TOOL + function, encoding="utf-8")


def _node(inputs: Mapping[str, str], file: str) -> dict[str, Any]:
    return {"type": "python", "source": {"type": "code", "path": file}, "inputs": inputs}
