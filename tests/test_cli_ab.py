"""What ``llmops ab`` decides by, without any endpoint: margins, verdicts, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from served_flow import ServedFlow, served

import pytest_llmops as llmops
from pytest_llmops.api.pairs import evaluate_pair
from pytest_llmops.cli import main
from pytest_llmops.deployment.ab import choose, verdict_lines, with_margins, without_comparisons
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.estimates import Comparison
from pytest_llmops.records.experiment import Experiment, Threshold
from pytest_llmops.records.gate import GateResult, Verdict
from pytest_llmops.rules import ANY, parse_rule

COMPARED = Comparison(name="baseline", value=1.0, baseline=1.0, delta=0.0, n=60)


def gate(verdict: Verdict, *, compared: bool = True, blocking: bool = True, name: str = "check.accuracy") -> GateResult:
    return GateResult(
        experiment="e",
        cell="flow-data-default",
        name=name,
        verdict=verdict,
        blocking=blocking,
        comparison=COMPARED if compared else None,
    )


@pytest.mark.parametrize(
    ("gates", "verdict", "grounds"),
    [
        ([gate("PASS"), gate("PASS", compared=False, name="run")], "PASS", ["check.accuracy"]),
        ([gate("PASS"), gate("FAIL", compared=False, name="run.cost")], "FAIL", ["run.cost"]),
        ([gate("PASS"), gate("INCONCLUSIVE", name="a.b")], "INCONCLUSIVE", ["a.b"]),
        ([gate("FAIL"), gate("ERROR", compared=False, name="run")], "ERROR", ["run"]),
        ([gate("PASS"), gate("FAIL", blocking=False)], "PASS", ["check.accuracy"]),
        ([gate("PASS", compared=False)], "INCONCLUSIVE", []),
        ([], "INCONCLUSIVE", []),
    ],
)
def test_the_worst_gate_that_blocks_decides(gates: Sequence[GateResult], verdict: Verdict, grounds: list[str]) -> None:
    choice = choose(gates)
    assert choice.verdict == verdict
    assert [ground.name for ground in choice.grounds] == grounds


def test_verdicts_are_said_in_words() -> None:
    assert list(verdict_lines(choose([gate("FAIL")]), "blue", "green", lambda gate: f"<{gate.item}>")) == [
        "FAIL: 'green' does not do: 'blue' keeps the traffic",
        "  <check.accuracy[flow-data-default]>",
    ]
    assert list(verdict_lines(choose([]), "blue", "green", str)) == [
        "INCONCLUSIVE: it is not shown that 'green' is no worse: 'blue' keeps the traffic",
        "  no threshold that blocks has scores of rows to compare; add one on an evaluator's metric",
    ]


FILES = {
    "shout.py": "def shout(word: str) -> dict:\n    return {'loud': word.upper()}\n",
    "check.py": (
        "def check(loud: str, gold: str) -> dict:\n"
        "    return {'accuracy': float(loud == gold), 'length': len(loud)}\n\n\n"
        "def aggregate(rows: list) -> dict:\n"
        "    n = len(rows)\n"
        "    return {'accuracy': sum(r['accuracy'] for r in rows) / n, 'length': sum(r['length'] for r in rows) / n}\n"
    ),
    "words.jsonl": "".join(f'{{"word": "w{n}", "gold": "W{n}"}}\n' for n in range(12)),
    "experiment.yaml": """
name: shouting
flow: shout:shout
datasets:
- {name: words, source: words.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {accuracy: ">= 0.5", length: ">= 1"}
  datasets:
  - {name: words, mappings: {loud: "${run.outputs.loud}", gold: "${data.gold}"}}
""",
}


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return llmops.load("experiment.yaml")


def test_scores_from_0_to_1_get_a_margin(experiment: Experiment) -> None:
    cells = llmops.evaluate(experiment).cells
    margins = {t.metric: t.margin for t in with_margins(experiment, cells, 0.05).thresholds}
    assert margins == {"accuracy": 0.05, "length": None}


def test_a_margin_of_the_file_stays(experiment: Experiment) -> None:
    cells = llmops.evaluate(experiment).cells
    given = replace(experiment, thresholds=tuple(replace(t, margin=0.2) for t in experiment.thresholds))
    assert {t.margin for t in with_margins(given, cells, 0.05).thresholds} == {0.2}


def test_the_baseline_itself_is_compared_with_nothing(experiment: Experiment) -> None:
    rule = parse_rule(">= 0.5")
    thresholds = (
        Threshold(evaluator="check", metric="accuracy", rule=rule, margin=0.1),
        Threshold(evaluator="check", metric="length", rule=ANY, margin=0.1),
    )
    kept = without_comparisons(replace(experiment, thresholds=thresholds)).thresholds
    assert [(t.metric, t.margin) for t in kept] == [("accuracy", None)]


def test_two_addresses_are_evaluated_on_the_same_rows(experiment: Experiment) -> None:
    def answer(inputs: Any) -> Any:
        return {"loud": inputs["word"].upper()}

    with served(answer) as one, served(answer) as other:
        pair = evaluate_pair(experiment, _address(one), _address(other), max_rows=11)
        asked = [sorted(body["word"] for _, _, body in server.requests) for server in (one, other)]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 11
    assert choose(pair.candidate.gates).verdict == "PASS"
    assert pair.baseline.settings["endpoint"] == one.url
    assert all(cell.partial for cell in (*pair.baseline.cells, *pair.candidate.cells))


def _address(server: ServedFlow) -> Address:
    return Address(url=server.url)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--rows", "0"), "llmops ab: argument --rows: '0' is not a positive number"),
        (("--margin", "5"), "llmops ab: argument --margin: '5' is not a share from 0 to 1, such as 0.05"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    option: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ab", "experiment.yaml", "--env", "prod", "blue", "green", *option])
    assert ended.value.code == 4
    assert capsys.readouterr().err.splitlines()[-1] == message


def test_an_experiment_without_a_threshold_on_quality_decides_nothing(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    text = experiment.file.read_text(encoding="utf-8")
    experiment.file.write_text(text.replace('  thresholds: {accuracy: ">= 0.5", length: ">= 1"}\n', ""), "utf-8")
    assert main(["ab", "experiment.yaml", "--env", "prod", "blue", "green"]) == 4
    assert capsys.readouterr().err == "experiment.yaml: no evaluator has a threshold, so nothing decides; set one\n"
