"""The library face: run, load and evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pytest_llmops as llmops

FLOW = "def shout(word: str) -> dict:\n    return {'loud': word.upper(), 'x': 1 / len(word)}\n"
CHECK = (
    "def check(loud: str, word: str) -> dict:\n    return {'right': float(loud == word.upper())}\n\n\n"
    "def aggregate(rows: list) -> dict:\n    return {'rate': sum(row['right'] for row in rows) / len(rows)}\n"
)
EXPERIMENT = """
name: shouting
flow: shout:shout
datasets:
- {name: words, source: words.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {rate: ">= 0.9"}
  datasets:
  - {name: words, mappings: {loud: "${run.outputs.loud}", word: "${data.word}"}}
"""
WORDS = {"word": "${data.word}"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("shout.py", FLOW), ("check.py", CHECK), ("experiment.yaml", EXPERIMENT)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    rows = [{"word": word} for word in ("one", "", "three")]
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_and_one_chained_on_it(folder: Path) -> None:
    run = llmops.run("shout:shout", data="words.jsonl", column_mapping=WORDS)
    assert (run.status, [row.line_number for row in run.result.failed]) == ("Completed", [1])
    table = run.to_pandas()
    assert list(table.index) == [0, 1, 2]
    assert table.loc[2, "outputs.loud"] == "THREE"
    mapping = {"loud": "${run.outputs.loud}", "word": "${run.inputs.word}"}
    assert llmops.run("check:check", run=run, column_mapping=mapping).metrics == {"rate": 1.0}


def test_a_run_that_could_not_start(folder: Path) -> None:
    (folder / "shout.py").write_text("import no_such_module\n\ndef shout(word: str) -> dict: ...\n", encoding="utf-8")
    run = llmops.run("shout:shout", data=[{"word": "one"}], column_mapping=WORDS)
    assert run.status == "Failed"
    assert run.error == "can't import 'shout': (ModuleNotFoundError) No module named 'no_such_module'"
    assert run.to_pandas().empty
    with pytest.raises(llmops.RunError, match=r"^the run given as 'run' failed: can't import"):
        llmops.run("check:check", run=run)


def test_a_run_keeps_what_it_is_called(folder: Path) -> None:
    run = llmops.run("shout:shout", data="words.jsonl", name="first", display_name="The first", tags={"by": "me"})
    assert (run.name, run.display_name, run.tags) == ("first", "The first", {"by": "me"})


def test_what_is_no_importable_function_is_refused(folder: Path) -> None:
    def local(word: str) -> str:
        return word

    with pytest.raises(llmops.RunError, match=r"can't import 'test_what.*<locals>.local'; define it at the top level"):
        llmops.run(local, data="words.jsonl")


def test_connections_are_definitions_or_what_a_node_gets_instead_of_its_own(folder: Path) -> None:
    settings: dict[str, Any] = {
        "type": "custom",
        "configs": {"size": "3", "key_column": "id"},
        "secrets": {"pin": "1234"},
    }
    given: dict[str, dict[str, Any]] = {"settings": settings, "ask": {"connection": "settings", "model": "tiny"}}
    run = llmops.run("shout:shout", data="words.jsonl", connections=given)
    (connection,) = run.request.connections
    assert connection.values == {"size": "3", "key_column": "id"}
    assert connection.secrets == {"pin": "1234"}
    assert run.request.variant.overrides == {"ask.connection": "settings", "ask.model": "tiny"}


def test_an_experiment_is_evaluated_as_pytest_does(folder: Path) -> None:
    report = llmops.evaluate(llmops.load("experiment.yaml"))
    assert report.decision.state == "closed"
    assert [(gate.name, gate.verdict) for gate in report.gates] == [("run", "ERROR"), ("check.rate", "ERROR")]


def test_words_that_mean_nothing_are_refused(folder: Path) -> None:
    with pytest.raises(llmops.RunError, match=r"^llm is 'sometimes'; give live, replay, record, auto$"):
        llmops.evaluate(llmops.load("experiment.yaml"), llm="sometimes")  # type: ignore[arg-type]
    with pytest.raises(llmops.RunError, match=r"^variant 'few_shot' is not of the form '\$\{node.variant\}'$"):
        llmops.run("shout:shout", data="words.jsonl", variant="few_shot")
    with pytest.raises(
        llmops.ConfigurationError, match=r"no module 'shot.py', looked for shot.py; did you mean 'shout.py'"
    ):
        llmops.run("shot:shout", data="words.jsonl")
