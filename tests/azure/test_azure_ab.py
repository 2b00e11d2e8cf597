"""``llmops ab`` on two deployments of an emulated endpoint, each of which answers as it was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from azure_emulator import Emulator

from pytest_llmops.cli import main
from pytest_llmops.records.deployment import FLOW_DIGEST

ROWS = 60
FILES = {
    "pytest.ini": "[pytest]\n",
    "shout.py": "def shout(word: str) -> dict:\n    return {'loud': word.upper()}\n",
    "check.py": (
        "def check(loud: str, gold: str) -> dict:\n    return {'accuracy': float(loud == gold)}\n\n\n"
        "def aggregate(rows: list) -> dict:\n"
        "    return {'accuracy': sum(row['accuracy'] for row in rows) / len(rows)}\n"
    ),
    "words.jsonl": "".join(json.dumps({"word": f"w{n}", "gold": f"W{n}"}) + "\n" for n in range(ROWS)),
    "experiment.yaml": """
name: shouting
flow: shout:shout
datasets:
- {name: words, source: words.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {accuracy: ">= 0.5"}
  datasets:
  - {name: words, mappings: {loud: "${run.outputs.loud}", gold: "${data.gold}"}}
llmops:
  deployment:
    prod: {endpoint: shout-prod, instance_type: Standard_DS3_v2}
""",
}
Answer = Callable[[Mapping[str, Any]], Any]


def right_but(*wrong: int) -> Answer:
    """Serve a flow that is wrong on some rows."""

    def answer(inputs: Mapping[str, Any]) -> Any:
        word = inputs["word"]
        return {"loud": "?" if int(word[1:]) in wrong else word.upper()}

    return answer


@pytest.fixture
def case(azure: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Two deployments, of which blue has the traffic, and the use case in the working directory."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    properties = {
        "authMode": "Key",
        "properties": {},
        "provisioningState": "Succeeded",
        "scoringUri": "https://shout-prod.westeurope.inference.ml.azure.com/score",
        "traffic": {"blue": 100},
    }
    azure.state.put("onlineEndpoints/shout-prod", {"location": "westeurope", "properties": properties})
    for name in ("blue", "green"):
        deployment = {
            "endpointComputeType": "Managed",
            "properties": {},
            "instanceType": "Standard_DS3_v2",
            "provisioningState": "Succeeded",
            "scaleSettings": {"scaleType": "Default"},
        }
        body = {"location": "westeurope", "properties": deployment, "sku": {"name": "Default", "capacity": 1}}
        azure.state.put(f"onlineEndpoints/shout-prod/deployments/{name}", body)
        azure.serve(right_but(), "shout-prod", name)
    monkeypatch.setenv("LLMOPS_CREDENTIAL", "cli")
    monkeypatch.setattr("pytest_llmops.azure.credentials.get_credential", lambda *_: azure.client().credential)
    return azure


def ab(*arguments: str) -> int:
    return main(["ab", "experiment.yaml", "--env", "prod", "blue", "green", *arguments])


def test_the_same_outputs_pass_and_take_the_traffic(case: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert ab("--promote") == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "shout-prod: evaluating blue (100 % of the traffic) and green (0 % of the traffic) on the same rows, "
        "side by side\n"
    )
    assert "60 rows in common, with the very same outputs\n" in said
    assert "PASS: 'green' is shown to be no worse than 'blue': it can take the traffic\n" in said
    assert case.state.traffic("shout-prod") == {"green": 100}
    scored = [line for line in case.log if "/score" in line]
    assert sum(line.endswith(" 200 blue") for line in scored) == ROWS
    assert sum(line.endswith(" 200 green") for line in scored) >= ROWS


def test_a_worse_candidate_gets_nothing(case: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    case.serve(right_but(*range(20)), "shout-prod", "green")
    assert ab("--promote") == 1
    said = capsys.readouterr().out
    assert "FAIL: 'green' does not do: 'blue' keeps the traffic\n  FAIL check.accuracy[shout-words-default]: " in said
    assert case.state.traffic("shout-prod") == {"blue": 100}


def test_a_candidate_that_is_replaced_meanwhile_gets_nothing(
    case: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(digest: str) -> None:
        address = "onlineEndpoints/shout-prod/deployments/green"
        (found,) = (
            each for each in case.state.below("onlineEndpoints/shout-prod/deployments") if each["name"] == "green"
        )
        case.state.put(address, {**found, "tags": {FLOW_DIGEST: digest}})

    def replaced(inputs: Mapping[str, Any]) -> Any:
        version("b" * 64)
        return right_but()(inputs)

    version("a" * 64)
    case.serve(replaced, "shout-prod", "green")
    assert ab("--promote") == 4
    assert "is another version now" in capsys.readouterr().err
    assert case.state.traffic("shout-prod") == {"blue": 100}


def test_what_is_not_shown_leaves_the_traffic(case: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    case.serve(right_but(1, 2), "shout-prod", "green")
    case.serve(right_but(3, 4), "shout-prod", "blue")
    assert ab("--promote") == 1
    said = capsys.readouterr().out
    assert "INCONCLUSIVE: it is not shown that 'green' is no worse: 'blue' keeps the traffic\n" in said
    assert case.state.traffic("shout-prod") == {"blue": 100}
    gate = json.loads(Path("reports/ab/gate.json").read_text(encoding="utf-8"))
    assert gate["state"] == "closed"
    assert gate["settings"]["deployment"] == "green"
    assert gate["settings"]["baseline"] == "deployment blue"


def test_a_wider_margin_can_show_it(case: Emulator) -> None:
    case.serve(right_but(1, 2), "shout-prod", "green")
    case.serve(right_but(3, 4), "shout-prod", "blue")
    assert ab("--margin", "0.2") == 0
    assert case.state.traffic("shout-prod") == {"blue": 100}


def test_a_candidate_that_breaks_the_rule_gets_nothing(case: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("blue", "green"):
        case.serve(right_but(*range(50)), "shout-prod", name)
    assert ab("--promote") == 1
    assert "FAIL: 'green' does not do" in capsys.readouterr().out


def test_rows_that_fail_on_either_side_decide_nothing_for_the_candidate(case: Emulator) -> None:
    def broken(inputs: Mapping[str, Any]) -> Any:
        raise ValueError("no")

    case.serve(broken, "shout-prod", "blue")
    assert ab("--promote") == 1
    assert case.state.traffic("shout-prod") == {"blue": 100}


def test_both_are_asked_at_the_same_time(case: Emulator) -> None:
    asked = {name: threading.Event() for name in ("blue", "green")}
    met: list[bool] = []

    def meeting(mine: str, other: str) -> Answer:
        def answer(inputs: Mapping[str, Any]) -> Any:
            asked[mine].set()
            met.append(asked[other].wait(20))
            return {"loud": inputs["word"].upper()}

        return answer

    case.serve(meeting("blue", "green"), "shout-prod", "blue")
    case.serve(meeting("green", "blue"), "shout-prod", "green")
    assert ab() == 0
    assert all(met)


def test_only_the_first_rows_are_asked_if_so_told(case: Emulator) -> None:
    ab("--rows", "12")
    assert sum("/score" in line for line in case.log) == 24


def test_the_reports_hold_both_sides_and_no_key(case: Emulator) -> None:
    assert ab("--report-dir", "out") == 0
    texts = [path.read_text(encoding="utf-8") for path in Path("out").rglob("*") if path.is_file()]
    assert texts
    assert not any("key-of-shout-prod" in text for text in texts)
    baseline = json.loads(Path("out/baseline/results.json").read_text(encoding="utf-8"))
    assert baseline["settings"]["deployment"] == "blue"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("blue", "gren"), "experiment.yaml:14: endpoint 'shout-prod' has no deployment 'gren'; it has: blue, green\n"),
        (
            ("blue", "x_y"),
            "Azure refuses 'x_y'; write 3 to 32 letters, digits and hyphens, with a letter first and no hyphen last\n",
        ),
        (("blue", "blue"), "'blue' is compared with itself; name two deployments\n"),
    ],
)
def test_deployments_that_are_not_there_are_refused(
    case: Emulator, names: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", "experiment.yaml", "--env", "prod", *names]) == 4
    assert capsys.readouterr().err == message
    assert case.changes == []


def test_a_deployment_that_is_not_healthy_is_asked_nothing(case: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    green = case.state.resources["onlineEndpoints/shout-prod/deployments/green"]
    green["properties"]["provisioningState"] = "Failed"
    assert ab() == 1
    assert capsys.readouterr().err == "shout-prod/green: it is not healthy (state Failed)\n"


def test_an_endpoint_that_is_not_there_is_refused(case: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    case.state.resources.clear()
    assert ab() == 4
    assert capsys.readouterr().err == "experiment.yaml:14: there is no endpoint 'shout-prod'; deploy it first\n"
