"""What verdicts are of: the same digests wherever an experiment lies, and others after every change that matters."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops.spec import load_experiment
from pytest_llmops.subjects import criteria_of, subject_of

EXPERIMENT = """
name: greeter
flow: flows/greet
datasets:
- {name: names, source: names.jsonl, mappings: {name: "${data.name}"}}
evaluators:
- name: polite
  flow: flows/polite
  thresholds: {score: {min: 0.5, confidence: 0.9}}
  datasets:
  - {name: names, mappings: {text: "${run.outputs.text}", wish: "${data.name}"}}
- name: short
  flow: short:judge
  datasets:
  - {name: gold, reference: names, source: gold.jsonl, mappings: {text: "${run.outputs.text}"}}
llmops:
  gate: {max_failed_rows: 1}
  prices: {gpt: {prompt: 1, completion: 2}}
"""
ROWS = "".join(f'{{"name": "Ann {number}"}}\n' for number in range(10))
FILES = {
    "experiment.yaml": EXPERIMENT,
    "names.jsonl": ROWS,
    "gold.jsonl": ROWS,
    "short.py": "def judge(text: str) -> dict:\n    return {'score': len(text)}\n",
    "environment/env.yaml": "TONE: kind\nAPI_KEY: ${API_KEY}\n",
    "flows/greet/flow.dag.yaml": """
inputs: {name: {type: string}}
outputs: {text: {type: string, reference: "${ask.output}"}}
nodes:
- {name: ask, type: prompt, source: {type: code, path: ask.jinja2}, inputs: {name: "${inputs.name}"}}
""",
    "flows/greet/ask.jinja2": "Greet {{name}}\n",
    "flows/polite/flow.flex.yaml": "entry: judge:Judge\n",
    "flows/polite/judge.py": """
class Judge:
    def __init__(self, tone: str = "kind"):
        self.tone = tone

    def __call__(self, text: str, wish: str = "") -> dict:
        return {"score": 1}
""",
    "flows/polite/init.json": '{"tone": "${TONE}"}\n',
}

WORKFLOW = "def create_workflow(tone: str): ...\n"


def write(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    for name, text in {**FILES, **(changes or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.lstrip(), encoding="utf-8")
    return root


def criteria(root: Path, environ: Mapping[str, str] | None = None) -> str:
    return criteria_of(load_experiment(root / "experiment.yaml", root=root, environ=environ or {}))


@pytest.mark.parametrize(
    ("name", "old", "new", "differs"),
    [
        ("experiment.yaml", "min: 0.5", "min: 0.4", True),
        ("experiment.yaml", "confidence: 0.9", "confidence: 0.95", True),
        ("experiment.yaml", "max_failed_rows: 1", "max_failed_rows: 2", True),
        ("experiment.yaml", 'wish: "${data.name}"', "wish: x", True),
        ("experiment.yaml", "{name: names, mappings: {text", "{name: names, key: name, mappings: {text", True),
        ("experiment.yaml", "flow: short:judge", "flow: short:judge\n  thresholds: {score: '> 1'}", True),
        ("experiment.yaml", "flow: short:judge", "flow: short:judge\n  scores: {score: score}", True),
        ("short.py", "len(text)", "1", True),
        ("flows/polite/judge.py", "1", "2", True),
        ("flows/polite/init.json", "${TONE}", "curt", True),
        ("environment/env.yaml", "kind", "curt", True),
        ("experiment.yaml", "name: greeter", "# The first one.\nname: greeter", False),
        ("experiment.yaml", "prompt: 1", "prompt: 3", False),
        ("experiment.yaml", "llmops:", "llmops:\n  slices: {by: [name]}", False),
        ("names.jsonl", "Ann", "Bob", False),
        ("flows/greet/ask.jinja2", "Greet", "Insult", False),
    ],
)
def test_what_decides_beside_flow_and_data(tmp_path: Path, name: str, old: str, new: str, *, differs: bool) -> None:
    before = criteria(write(tmp_path))
    assert old in FILES[name]
    assert (criteria(write(tmp_path, {name: FILES[name].replace(old, new)})) != before) is differs


def test_prices_decide_where_a_cost_is_limited(tmp_path: Path) -> None:
    limited = EXPERIMENT + "  thresholds: {run.cost: '< 1'}\n"
    before = criteria(write(tmp_path, {"experiment.yaml": limited}))
    dearer = limited.replace("prompt: 1", "prompt: 3")
    assert criteria(write(tmp_path, {"experiment.yaml": dearer})) != before


CANDIDATE = """  candidates:
  - {name: new, flow: "new:greet", init: {tone: kind}, required: true, parity: {margin: 0.1, agreement: ">= 0.9"}}
"""
NEW = "def greet(name: str) -> dict:\n    return {'text': name}\n"


@pytest.mark.parametrize(
    ("name", "old", "new", "differs"),
    [
        ("experiment.yaml", "margin: 0.1, ", "", True),
        ("experiment.yaml", ">= 0.9", ">= 0.8", True),
        ("experiment.yaml", "required: true", "required: false", True),
        ("experiment.yaml", "  candidates:", "  # to be\n  candidates:", False),
        ("new.py", "name}", "name.upper()}", True),
    ],
)
def test_candidates_that_have_to_pass_decide(tmp_path: Path, name: str, old: str, new: str, *, differs: bool) -> None:
    files = {"experiment.yaml": EXPERIMENT + CANDIDATE.replace("init: {tone: kind}, ", ""), "new.py": NEW}
    before = criteria(write(tmp_path, files))
    assert old in files[name]
    assert (criteria(write(tmp_path, files | {name: files[name].replace(old, new)})) != before) is differs


def test_init_values_of_candidates_that_have_to_pass_decide(tmp_path: Path) -> None:
    files = {"experiment.yaml": EXPERIMENT + CANDIDATE.replace("new:greet", "new"), "new/workflow.py": WORKFLOW}
    before = criteria(write(tmp_path, files))
    files["experiment.yaml"] = files["experiment.yaml"].replace("tone: kind", "tone: curt")
    assert criteria(write(tmp_path, files)) != before


def test_a_candidate_that_need_not_pass_closes_no_release(tmp_path: Path) -> None:
    before = criteria(write(tmp_path))
    optional = EXPERIMENT + CANDIDATE.replace("required: true, ", "").replace("init: {tone: kind}, ", "")
    assert criteria(write(tmp_path, {"experiment.yaml": optional, "new.py": NEW})) == before


def test_a_candidate_that_can_not_be_read_leaves_the_criteria_unknown(tmp_path: Path) -> None:
    text = EXPERIMENT + CANDIDATE.replace("init: {tone: kind}, ", "")
    experiment = load_experiment(
        write(tmp_path, {"experiment.yaml": text, "new.py": NEW}) / "experiment.yaml", root=tmp_path
    )
    (tmp_path / "new.py").unlink()
    assert criteria_of(experiment) == ""


def test_the_criteria_are_the_same_on_every_machine(tmp_path: Path) -> None:
    here = criteria(write(tmp_path / "here"), {"TONE": "kind", "API_KEY": "k"})
    shutil.copytree(tmp_path / "here", tmp_path / "another" / "place")
    assert criteria(tmp_path / "another" / "place") == here
    assert len(here) == 64


def test_a_remote_dataset_has_the_same_criteria_with_and_without_its_rows(tmp_path: Path) -> None:
    remote = EXPERIMENT.replace("source: names.jsonl", "source: azureml:names:1")
    file = write(tmp_path, {"experiment.yaml": remote}) / "experiment.yaml"
    fetched = load_experiment(file, root=tmp_path, fetch=lambda _: tmp_path / "names.jsonl")
    assert subject_of(fetched) == subject_of(load_experiment(file, root=tmp_path))


def test_an_evaluator_that_can_not_be_read_leaves_them_unknown(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path) / "experiment.yaml", root=tmp_path)
    (tmp_path / "short.py").unlink()
    assert criteria_of(experiment) == ""


@pytest.mark.parametrize(
    ("name", "differs"),
    [("names.jsonl", True), ("gold.jsonl", True), ("flows/polite/judge.py", False), ("experiment.yaml", False)],
)
def test_which_files_the_data_are(tmp_path: Path, name: str, *, differs: bool) -> None:
    experiment = load_experiment(write(tmp_path) / "experiment.yaml", root=tmp_path)
    before = subject_of(experiment)
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write('{"name": "Bo"}\n')
    assert (subject_of(experiment).data != before.data) is differs
    (tmp_path / "gold.jsonl").unlink()
    assert subject_of(experiment).data == ""


def test_a_version_of_a_data_asset_is_known_by_its_name(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path) / "experiment.yaml", root=tmp_path)
    (dataset,) = experiment.datasets

    def data(asset: str) -> str:
        remote = replace(dataset, remote=asset, source=None)
        return subject_of(replace(experiment, datasets=(remote,))).data

    assert data("azureml:names:1") == data("azureml:names:1") != data("azureml:names:2")
