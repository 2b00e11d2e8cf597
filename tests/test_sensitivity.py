"""Which gates notice that a flow was broken: real runs of small projects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops.api import evaluate, load
from pytest_llmops.records.experiment import GatePolicy
from pytest_llmops.records.gate import Cell, CellResult, GateResult, Verdict
from pytest_llmops.records.run import CassetteMiss, Row, RunResult, Variant
from pytest_llmops.records.sensitivity import Effect, Sensitivity, Trial
from pytest_llmops.reports.results import document
from pytest_llmops.reports.sensitivity import sensitivity_lines
from pytest_llmops.sensitivity import effect, probe_gates

FILES = {
    "flow/flow.flex.yaml": "entry: sort:sort\n",
    "flow/sort.py": (
        "import json\nfrom pathlib import Path\nfrom typing import TypedDict\n\n"
        'LINES = Path(__file__).with_name("examples.jsonl").read_text().splitlines()\n'
        "EXAMPLES = [json.loads(line) for line in LINES]\n\n\n"
        "class Sorted(TypedDict):\n    label: str\n\n\n"
        "def sort(text: str) -> Sorted:\n"
        '    known = {word: example["label"] for example in EXAMPLES for word in example["text"].split()}\n'
        '    return {"label": next((known[word] for word in text.split() if word in known), "none")}\n'
    ),
    "flow/examples.jsonl": '{"text": "nice good", "label": "+"}\n{"text": "bad ugly", "label": "-"}\n',
    "check.py": (
        "def check(label: str, gold: str) -> dict:\n"
        '    return {"accuracy": int(label == gold), "answered": int(label != "none")}\n\n\n'
        "def aggregate(rows: list) -> dict:\n"
        "    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}\n"
    ),
    "rows.jsonl": "".join(
        f'{{"text": "it is {word}", "gold": "{gold}"}}\n' for word, gold in [("nice", "+"), ("ugly", "-"), ("bad", "-")]
    ),
    "experiment.yaml": """
name: sorting
flow: flow
datasets:
- {name: rows, source: rows.jsonl, mappings: {text: "${data.text}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {accuracy: ">= 0.9", answered: ">= 0"}
  datasets:
  - {name: rows, mappings: {label: "${run.outputs.label}", gold: "${data.gold}"}}
llmops:
  thresholds: {run.total_tokens: "<= 100"}
""",
    "pytest.ini": "[pytest]\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_gate_that_notices_nothing_is_named_first(project: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    result = probe_gates(load(project / "experiment.yaml"), tmp_path / "mutants")
    assert sensitivity_lines(result) == [
        "sorting: which gates notice that the flow is broken?",
        "",
        "  drop-lines: not run: the flow has no prompt template (.jinja2, .jinja, .j2, .prompty) with lines of text",
        "  swap-labels: answers of examples swapped in examples.jsonl",
        "  truncate-context: first half only of text",
        "  raise-temperature: not run: neither nodes, prompty files nor init parameters of the flow set a temperature",
        "",
        "  flow-rows-default",
        "    gate              rule    (none)  swap-labels      truncate-context",
        "    check.answered    >= 0    1 PASS  1, not noticed   0, not noticed",
        "    run.total_tokens  <= 100  0 PASS  0, not noticed   0, not noticed",
        "    check.accuracy    >= 0.9  1 PASS  0 FAIL, noticed  0 FAIL, noticed",
        "",
        "check.answered[flow-rows-default]: noticed 0 of 2: nothing shows that it protects anything",
        "run.total_tokens[flow-rows-default]: noticed 0 of 2 (not required: a limit)",
        "check.accuracy[flow-rows-default]: noticed 2 of 2",
    ]
    assert [gate.name for gate in result.blind] == ["check.answered"]
    assert {path: path.read_bytes() for path in before} == before


def test_a_mutant_that_changes_no_output_tells_nothing(project: Path, tmp_path: Path) -> None:
    (project / "flow/examples.jsonl").write_text(
        '{"text": "nice good", "label": "+"}\n{"text": "is", "label": "+"}\n{"text": "sour", "label": "-"}\n'
    )
    (project / "rows.jsonl").write_text('{"text": "nice and more", "gold": "+"}\n')
    result = probe_gates(load(project / "experiment.yaml"), tmp_path / "mutants", mutations=["truncate-context"])
    assert result.trials[0].effects["check.accuracy[flow-rows-default]"] == "same"
    assert sensitivity_lines(result)[-3] == (
        "check.accuracy[flow-rows-default]: not tested, no mutant that ran changed an output"
    )


CELL = Cell(experiment="e", use_case="e", flow="f", dataset="d", variant=Variant())


def gate(verdict: Verdict) -> GateResult:
    return GateResult(experiment="e", cell=CELL.id, name="check.accuracy", verdict=verdict)


def cell(output: str, *, missing: bool = False) -> CellResult:
    misses = (CassetteMiss(cassette="c.json", request="r"),) if missing else ()
    row = Row(line_number=0, inputs={}, output={"label": output})
    return CellResult(cell=CELL, run=RunResult(status="Completed", rows=(row,), misses=misses))


@pytest.mark.parametrize(
    ("before", "after", "result", "found"),
    [
        ("PASS", "FAIL", cell("b"), "noticed"),
        ("PASS", "INCONCLUSIVE", cell("b"), "noticed"),
        ("PASS", "ERROR", cell("b"), "noticed"),
        ("PASS", "PASS", cell("b"), "missed"),
        ("PASS", "PASS", cell("a"), "same"),
        ("PASS", "ERROR", cell("b", missing=True), "unrecorded"),
        ("FAIL", "FAIL", cell("b"), "untested"),
        ("INCONCLUSIVE", "FAIL", cell("b"), "untested"),
        ("ERROR", "ERROR", cell("b", missing=True), "untested"),
    ],
)
def test_what_counts_as_noticed(before: Verdict, after: Verdict, result: CellResult, found: Effect) -> None:
    assert effect(gate(before), gate(after), cell("a"), result, GatePolicy()) == found


def test_rows_with_cut_inputs_are_compared_with_their_baseline(project: Path, tmp_path: Path) -> None:
    text = FILES["experiment.yaml"].replace('accuracy: ">= 0.9"', "accuracy: {max_drop: 0.5}")
    (project / "experiment.yaml").write_text(text + "  baseline: results.json\n", encoding="utf-8")
    rows = (project / "rows.jsonl").read_text(encoding="utf-8")
    (project / "rows.jsonl").write_text(rows * 5, encoding="utf-8")
    experiment = load(project / "experiment.yaml")
    report = evaluate(experiment)
    (project / "results.json").write_text(json.dumps(document(report)), encoding="utf-8")
    result = probe_gates(experiment, tmp_path / "mutants", mutations=["truncate-context"])
    item = "check.accuracy[flow-rows-default]"
    assert result.trials[0].gates[item].verdict == "FAIL"
    assert result.trials[0].effects[item] == "noticed"


def test_candidates_are_not_what_gates_are_there_for(project: Path, tmp_path: Path) -> None:
    candidate = "  candidates: [{name: new, flow: 'new:sort', parity: {agreement: '== 1'}}]\n"
    (project / "experiment.yaml").write_text(FILES["experiment.yaml"] + candidate, encoding="utf-8")
    (project / "new.py").write_text("def sort(text: str) -> dict:\n    return {'label': ''}\n", encoding="utf-8")
    result = probe_gates(load(project / "experiment.yaml"), tmp_path / "mutants", mutations=["truncate-context"])
    assert {gate.cell for gate in result.before} == {"flow-rows-default"}


def test_a_missing_answer_of_a_repeat_is_missing_as_well() -> None:
    again = replace(cell("b"), repeats=(cell("b", missing=True).executions[0],))
    assert effect(gate("PASS"), gate("ERROR"), cell("a"), again, GatePolicy()) == "unrecorded"


def test_a_crash_is_not_to_the_credit_of_a_gate(project: Path, tmp_path: Path) -> None:
    text = FILES["flow/sort.py"].replace(
        "def sort(text: str) -> Sorted:\n",
        'def sort(text: str) -> Sorted:\n    if len(text.split()) < 3:\n        raise ValueError("too short")\n',
    )
    (project / "flow/sort.py").write_text(text, encoding="utf-8")
    result = probe_gates(load(project / "experiment.yaml"), tmp_path / "mutants", mutations=["truncate-context"])
    untested = "not tested, no mutant changed an output without a crash, which closes any gate"
    assert sensitivity_lines(result)[4:] == [
        "  flow-rows-default",
        "    gate              rule    (none)  truncate-context",
        "    check.accuracy    >= 0.9  1 PASS  crashed",
        "    check.answered    >= 0    1 PASS  crashed",
        "    run.total_tokens  <= 100  0 PASS  0, not noticed",
        "",
        "truncate-context: crashed: 3 of 3 rows failed, max_failed_rows is 0: rows 0, 1, 2: "
        "Execution failure in 'sort': (ValueError) too short",
        f"check.accuracy[flow-rows-default]: {untested}",
        f"check.answered[flow-rows-default]: {untested}",
        "run.total_tokens[flow-rows-default]: noticed 0 of 1 (not required: a limit)",
    ]
    assert [gate.name for gate in result.blind] == ["check.accuracy", "check.answered"]


def test_the_table_wraps_and_keeps_rules_and_variants() -> None:
    long = "a-flow-with-a-long-name-dataset-of-last-month-extract.few_shot+normalise.strict+init.model=large-one"
    before = GateResult(experiment="e", cell=long, name="check.accuracy", verdict="PASS", value=1, rule=">= 0.9")
    after = replace(before, verdict="FAIL", value=0.5)
    names = [f"drop-lines {part}/3" for part in (1, 2, 3)] + ["swap-labels", "truncate-context", "raise-temperature"]
    trials = [
        Trial(
            mutation=name,
            name=name,
            said="changed",
            gates={before.item: after},
            effects={before.item: "unrecorded" if name.startswith("drop") else "noticed"},
        )
        for name in names
    ]
    result = Sensitivity(experiment="e", before=(before,), trials=tuple(trials), llm_calls=10, tokens=200)
    assert sensitivity_lines(result)[8:] == [
        "",
        f"  {long}",
        "    gate            rule    (none)  drop-lines 1/3  drop-lines 2/3  drop-lines 3/3",
        "    check.accuracy  >= 0.9  1 PASS  not recorded    not recorded    not recorded",
        "    gate            rule    swap-labels        truncate-context   raise-temperature",
        "    check.accuracy  >= 0.9  0.5 FAIL, noticed  0.5 FAIL, noticed  0.5 FAIL, noticed",
        "",
        "not recorded: drop-lines 1/3, drop-lines 2/3, drop-lines 3/3; they take about 30 LLM calls and 600 tokens "
        "in all, 10 and 200 for each",
        "record their answers with --llm auto; later runs replay them",
        f"check.accuracy[{long}]: noticed 3 of 3",
    ]
