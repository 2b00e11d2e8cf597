"""A use case whose flow has two variants, and decisions on it as sessions would have left them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pytest_llmops.plan import CellPlan, Options, plan
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.gate import Demand, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.reports.write import write_reports
from pytest_llmops.spec import load_experiment
from pytest_llmops.stats.gates import decide
from pytest_llmops.subjects import subject_of

PATH = "evals/greeter/experiment.yaml"
FILES = {
    "pytest.ini": "[pytest]\n",
    PATH: """
name: greeter
flow: flows/greet
datasets:
- {name: names, source: names.jsonl, mappings: {name: "${data.name}"}}
evaluators:
- name: polite
  flow: polite:judge
  thresholds: {score: ">= 0.5"}
  datasets:
  - {name: names, mappings: {text: "${run.outputs.text}"}}
""",
    "evals/greeter/names.jsonl": '{"name": "Ann"}\n{"name": "Bo"}\n',
    "evals/greeter/flows/greet/flow.dag.yaml": """
# A friendly flow.
inputs: {name: {type: string}}
outputs: {text: {type: string, reference: "${ask.output}"}}
nodes:
- {name: ask, use_variants: true}
node_variants:
  ask:
    default_variant_id: kind
    variants:
      kind: {node: {type: prompt, source: {type: code, path: kind.jinja2}, inputs: {name: "${inputs.name}"}}}
      terse: {node: {type: prompt, source: {type: code, path: terse.jinja2}, inputs: {name: "${inputs.name}"}}}
""",
    "evals/greeter/flows/greet/kind.jinja2": "Dear {{name}}\n",
    "evals/greeter/flows/greet/terse.jinja2": "{{name}}\n",
    "evals/greeter/polite.py": """
def judge(text: str) -> dict:
    return {"score": float(text.startswith("Dear"))}


def aggregate(rows: list) -> dict:
    return {"score": sum(row["score"] for row in rows) / len(rows)}
""",
}
FLOW = "evals/greeter/flows/greet"


def write_case(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the use case, with other texts for some of its files."""
    for name, text in {**FILES, **(changes or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.lstrip(), encoding="utf-8")
    return root


def load(root: Path, env: str | None = None) -> Experiment:
    """Read the experiment as it is now."""
    return load_experiment(root / PATH, root=root, env=env)


def session(
    root: Path, *, failed: Collection[str] = (), variants: str | None = None, age: float = 60.0, **settings: str
) -> Report:
    """Decide on the files as they are: everything passed but what has one of the texts of ``failed`` in its name."""
    experiment = load(root, settings.get("env"))
    plans = plan(experiment, path=PATH, options=Options(variants=variants))
    gates = tuple(_gate(item, demand, failed) for item in plans for demand in item.demands)
    given = {"llm": "replay", **({"variants": variants} if variants else {}), **settings}
    return Report(
        experiments={PATH: experiment.name},
        cells=(),
        gates=gates,
        decision=decide(gates),
        settings={name.replace("_", "-"): value for name, value in given.items()},
        created=(datetime.now(timezone.utc) - timedelta(seconds=age)).isoformat(timespec="seconds"),
        subjects={PATH: subject_of(experiment)},
    )


def write_session(root: Path, made: Report) -> Path:
    """Write the reports of a session."""
    write_reports(made, root / "reports")
    return root / "reports"


def _gate(item: CellPlan, demand: Demand, failed: Collection[str]) -> GateResult:
    made = GateResult(experiment=PATH, cell=item.cell.id, name=demand.name, verdict="PASS", n=2)
    if demand.threshold is None:
        return made
    threshold = demand.threshold
    wrong = any(text in made.item for text in failed)
    return replace(
        made,
        verdict="FAIL" if wrong else "PASS",
        value=0.25 if wrong else 0.75,
        rule=threshold.rule.text,
        blocking=item.cell.variant.is_default,
        severity=threshold.severity,
    )
