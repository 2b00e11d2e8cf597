"""Digests of what shards have in common: the same wherever it lies, and others after every real change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_llmops.fingerprints import digests_of_plans, digests_of_tests
from pytest_llmops.plan import Options, plan
from pytest_llmops.records.run import LLMMode
from pytest_llmops.spec import load_experiment

FILES = {
    "experiment.yaml": """
name: greeter
flow: flows/greet
datasets:
- {name: names, source: names.jsonl, mappings: {name: "${data.name}"}}
evaluators:
- name: polite
  flow: flows/polite
  thresholds: {score: {min: 0.5, max_drop: 0.1}}
  datasets:
  - {name: names, mappings: {text: "${run.outputs.text}"}}
llmops: {gate: {max_failed_rows: 0}, baseline: base.json}
""",
    "names.jsonl": '{"name": "Ann"}\n',
    "base.json": "{}\n",
    "cassettes/greet.json": "[]\n",
    "flows/greet/flow.dag.yaml": """
inputs: {name: {type: string}}
outputs: {text: {type: string, reference: "${ask.output}"}}
nodes:
- {name: ask, type: prompt, source: {type: code, path: ask.jinja2}, inputs: {name: "${inputs.name}"}}
""",
    "flows/greet/ask.jinja2": "Greet {{name}}\n",
    "flows/polite/flow.flex.yaml": "entry: judge:judge\n",
    "flows/polite/judge.py": "def judge(text: str, wish: str = '') -> dict:\n    return {'score': 1}\n",
}


def write(root: Path) -> Path:
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.lstrip(), encoding="utf-8")
    return root


def digest_of(root: Path, llm: LLMMode = "replay") -> str:
    experiment = load_experiment(root / "experiment.yaml", root=root, live=llm != "replay")
    plans = plan(experiment, path="experiment.yaml", options=Options(llm=llm))
    (found,) = digests_of_plans(plans, lambda found: found.baseline.path if found.baseline else None).values()
    return found


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("experiment.yaml", "min: 0.5", "min: 0.4"),
        ("experiment.yaml", "max_drop: 0.1", "max_drop: 0.2"),
        ("experiment.yaml", "max_failed_rows: 0", "max_failed_rows: 1"),
        ("experiment.yaml", '{text: "${run.outputs.text}"}', '{text: "${run.outputs.text}", wish: x}'),
        ("names.jsonl", "Ann", "Bob"),
        ("base.json", "{}", "{ }"),
        ("cassettes/greet.json", "[]", "[ ]"),
        ("flows/greet/ask.jinja2", "Greet", "Insult"),
        ("flows/polite/judge.py", "1", "2"),
    ],
)
def test_whatever_verdicts_are_made_from_makes_a_difference(tmp_path: Path, name: str, old: str, new: str) -> None:
    before = digest_of(write(tmp_path))
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    assert digest_of(tmp_path) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("experiment.yaml", "margin: 0.2", "margin: 0.3"),
        ("experiment.yaml", ">= 0.9", ">= 0.8"),
        ("experiment.yaml", "required: false", "required: true"),
        ("experiment.yaml", "name: new", "name: other"),
        ("new.py", "name}", "name.upper()}"),
    ],
)
def test_candidates_make_a_difference(tmp_path: Path, name: str, old: str, new: str) -> None:
    parity = "parity: {margin: 0.2, agreement: '>= 0.9'}, required: false"
    candidates = f"candidates: [{{name: new, flow: 'new:greet', {parity}}}]"
    text = FILES["experiment.yaml"].replace(", max_drop: 0.1", "").replace("base.json}", f"base.json, {candidates}}}")
    files = {"experiment.yaml": text, "new.py": "def greet(name: str) -> dict:\n    return {'text': name}\n"}
    write(tmp_path)
    for file, content in files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    before = digest_of(tmp_path)
    assert old in files[name]
    (tmp_path / name).write_text(files[name].replace(old, new), encoding="utf-8")
    assert digest_of(tmp_path) != before


def test_a_copy_elsewhere_is_the_same(tmp_path: Path) -> None:
    before = digest_of(write(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "another" / "place")
    assert digest_of(tmp_path / "another" / "place") == before
    assert len(before) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [("name: greeter", "# greets\nname: greeter"), ("base.json", "../other.json")],
    ids=["a comment", "another place of the baseline"],
)
def test_where_something_is_makes_no_difference(tmp_path: Path, old: str, new: str) -> None:
    root = write(tmp_path / "project")
    before = digest_of(root)
    shutil.copy(root / "base.json", tmp_path / "other.json")
    text = (root / "experiment.yaml").read_text(encoding="utf-8")
    (root / "experiment.yaml").write_text(text.replace(old, new), encoding="utf-8")
    assert digest_of(root) == before


def test_recorded_answers_count_where_they_are_replayed(tmp_path: Path) -> None:
    before = digest_of(write(tmp_path), "auto")
    (tmp_path / "cassettes" / "greet.json").write_text("[ ]\n", encoding="utf-8")
    assert digest_of(tmp_path, "auto") == before


def test_tests_are_told_apart_by_their_names_in_any_order() -> None:
    one = digests_of_tests(["a.py::x", "a.py::T::y[1]", "b.py::x"])
    assert list(one) == ["a.py", "b.py"]
    assert digests_of_tests(["b.py::x", "a.py::T::y[1]", "a.py::x"]) == one
    assert digests_of_tests(["a.py::x", "b.py::x"])["a.py"] != one["a.py"]
