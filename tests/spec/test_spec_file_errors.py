"""Mistakes in the keys, types and text of an experiment file."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_case import Case

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.spec import load_experiment

FILE = "evals/case/experiment.yaml"


def test_the_case_itself_is_right(case: Case) -> None:
    assert case.load(strict=False).warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("  source: rows", "  sauce: rows", [
            "4: datasets.rows.source: key is missing; add it",
            "5: datasets.rows.sauce: unknown key; did you mean 'source'?",
        ]),
        ("flow: main", "flow: main\nFlow: main", ["3: Flow: unknown key; did you mean 'flow'?"]),
        ("flow: main", "flow: main\nzzz: 1", [
            "3: zzz: unknown key; known keys: 'name', 'flow', 'datasets', 'evaluators', 'connections', "
            "'runtime', 'llmops', 'repeat'",
        ]),
        ("flow: main", "flow: main\nflow: main", ["3: flow: key is already set on line 2; remove one of the two"]),
        ("name: case", "name: 12", [
            "1: name: expected text, but YAML reads this as the number 12; put it in quotes"
        ]),
        ("name: case", "name: yes", ["1: name: expected text, but YAML reads this as true; put it in quotes"]),
        ("name: case", "name: 2024-01-31", [
            "1: name: expected text, but YAML reads this as the date 2024-01-31; put it in quotes"
        ]),
        ("name: case\n", "", ["1: name: key is missing; add it"]),
        ("name: case", "name:", ["1: name: is empty; give it a value"]),
        ("name: case", "name: a/b", [
            "1: name: 'a/b' can't be part of test and file names; use letters, digits, '_', '-', '.'"
        ]),
        ("name: case", "name: case\non: push", [
            "2: a key here is read as true, not as text; put the key in quotes"
        ]),
        ("name: case", "name: case\n<text>: 1", [
            "2: <text>: unknown key; known keys: 'name', 'flow', 'datasets', 'evaluators', 'connections', "
            "'runtime', 'llmops', 'repeat'",
        ]),
        ("name: case", "name: case\n? [a]\n: 1", [
            "2: a key here is read as a list, not as text; put the key in quotes"
        ]),
        ("    text: ${data.text}", "    - text", [
            "6: datasets.rows.mappings: expected a mapping, but YAML reads this as a list; correct it"
        ]),
        ("    text: ${data.text}", "    text: ${data.text}\n    since: 2024-01-31", [
            "8: datasets.rows.mappings.since: YAML reads 2024-01-31 as the date 2024-01-31; "
            "put it in quotes if it is text"
        ]),
        ("    text: ${data.text}", "    text: ${data.text}\n    since: .nan", [
            "8: datasets.rows.mappings.since: YAML reads this as the number nan; put it in quotes if it is text"
        ]),
        ("    text: ${data.text}", "    text: ${data.text}\n    since: 2024-13-45", [
            "8: datasets.rows.mappings.since: '2024-13-45' can't be read as timestamp; "
            "put it in quotes if it is text"
        ]),
        ("  source: rows.jsonl", "  source:", [
            "5: datasets.rows.source: expected text, but it is empty; give it a value"
        ]),
        ("  source: rows.jsonl", "  source: ''", [
            "5: datasets.rows.source: is empty; give it a value or remove it"
        ]),
        ("  source: rows.jsonl", "  source: rows.jsonl\n  reference: other", [
            "6: datasets.rows.reference: not a key of a run's dataset; "
            "remove it: only a dataset of an evaluator refers to another one"
        ]),
        ("  mappings:\n    text: ${data.text}\n", "", [
            "4: datasets.rows.mappings: key is missing; add it, it may be empty"
        ]),
    ],
)  # fmt: skip
def test_one_mistake(case: Case, old: str, new: str, messages: list[str]) -> None:
    case.edit("experiment.yaml", old, new)

    errors = [line for line in case.errors() if "has no column" not in line and "not an input" not in line]

    assert errors == [f"{FILE}:{message}" for message in messages]


def test_every_mistake_is_reported_at_once(case: Case) -> None:
    case.edit("experiment.yaml", "name: case\n", "name: case\nruntim: x\n")
    case.edit("experiment.yaml", "    text: ${data.text}", "    txt: ${data.text}")
    case.edit("experiment.yaml", "  datasets:\n", "  thresholds: {rate: 0.8}\n  datasets:\n")
    case.edit("experiment.yaml", "${run.outputs.answer}", "${run.outputs.anser}")
    case.append("llmops:\n  gate: {requires: all}\n  variants: {strategy: [lnog]}\n")

    assert case.errors() == [
        f"{FILE}:2: runtim: unknown key; did you mean 'runtime'?",
        f"{FILE}:8: datasets.rows.mappings.txt: not an input of flow 'main', so prompt flow would ignore it; "
        "did you mean 'text'?",
        f"{FILE}:11: evaluators.score.thresholds.rate: 0.8 is not a rule; write '>= 0.8', '< 5', '== 1', '>= 80 %', "
        "'<= 3 s', '>= 0.7 and <= 0.9', or {min: 0.8, max: 1}",
        f"{FILE}:19: evaluators.score.datasets.gold.mappings.answer: flow 'main' has no output 'anser'; "
        "did you mean 'answer'?",
        f"{FILE}:21: llmops.gate.requires: unknown key; did you mean 'require'?",
        f"{FILE}:22: llmops.variants.strategy.0: flow 'main' has no variant 'lnog'; did you mean 'long'?",
    ]


def test_a_broken_item_is_reported_once_and_the_others_keep_their_lines(case: Case) -> None:
    case.edit("experiment.yaml", "datasets:\n- name: rows", "datasets:\n- name: first\n- name: rows")
    case.edit("experiment.yaml", "    text: ${data.text}", "    txt: ${data.text}")
    case.append("- name: other\n  flow: score\n  datasets:\n  - {name: first, mappings: }\n")

    assert case.errors() == [
        f"{FILE}:4: datasets.first.mappings: key is missing; add it, it may be empty",
        f"{FILE}:4: datasets.first.source: key is missing; add it",
        f"{FILE}:8: datasets.rows.mappings.txt: not an input of flow 'main', so prompt flow would ignore it; "
        "did you mean 'text'?",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{FILE}:1: datasets: key is missing; add it"),
        ("- a\n", f"{FILE}:1: is not a mapping; write keys such as 'name:' and 'datasets:'"),
        ("name: [\n", f"{FILE}:2: not valid YAML: did not find expected node content; "
         "correct the file at or just above this line"),
        ("name: !python/object:os.system x\n", f"{FILE}:1: name: 'x' can't be read as !python/object:os.system; "
         "put it in quotes if it is text"),
        ("name: &a [*a]\n", f"{FILE}:1: not valid YAML: an alias contains itself; "
         "correct the file at or just above this line"),
        ("[" * 1000, f"{FILE}:1: not valid YAML: it is nested too deeply; "
         "correct the file at or just above this line"),
    ],
)  # fmt: skip
def test_text_that_is_no_experiment(case: Case, text: str, message: str) -> None:
    case.write("experiment.yaml", text)

    assert message in case.errors()


def test_text_that_is_not_utf_8(case: Case) -> None:
    (case.folder / "experiment.yaml").write_bytes(b"name: \xff\n")

    assert case.errors() == [f"{FILE}: is not UTF-8 text; save it as UTF-8"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_experiment(tmp_path / "evals" / "experiment.yaml", root=tmp_path)

    assert str(caught.value) == "evals/experiment.yaml: there is no such file; correct the path"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("repeat: 3", "18: repeat: not supported yet; remove it"),
        ("repeat: often", "18: repeat: expected a whole number, but YAML reads this as the text 'often'; correct it"),
    ],
)  # fmt: skip
def test_keys_of_later_versions_are_validated_and_refused(case: Case, text: str, message: str) -> None:
    case.append(f"{text}\n")

    assert f"{FILE}:{message}" in case.errors()


def test_names_that_are_taken(case: Case) -> None:
    case.edit("experiment.yaml", "evaluators:\n", "- {name: rows, source: rows.jsonl, mappings: }\nevaluators:\n")
    case.append("- {name: score, datasets: [{name: rows, mappings: {answer: '${run.outputs.answer}', "
                "label: x, mode: y}}]}\n")  # fmt: skip
    case.append("- {name: run, flow: score, datasets: []}\n")

    assert case.errors() == [
        f"{FILE}:8: datasets.rows.name: another dataset has this name; rename one of them",
        f"{FILE}:19: evaluators.score.name: another evaluator has this name; rename one of them",
        f"{FILE}:20: evaluators.run.datasets: names no dataset; name one of the experiment's datasets",
        f"{FILE}:20: evaluators.run.name: 'run' is kept for the metrics of the run itself; rename it",
    ]
