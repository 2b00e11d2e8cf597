"""Broken copies of use cases: what they hold, where they read from, and that the user's files stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.mutation import MUTATIONS, NothingToMutate, make_mutant
from pytest_llmops.mutation.shadow import shadow
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.spec import load_experiment

ROOT = Path(__file__).parents[2]


def sample(name: str) -> Experiment:
    return load_experiment(ROOT / "evals" / name / "experiment.yaml", root=ROOT)


def changes(name: str, mutation: str) -> list[Any]:
    return list(MUTATIONS[mutation](sample(name)))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("triage", "answers of examples swapped in examples.jsonl, labels_only.jinja2"),
        ("ner", "answers of examples swapped in few_shot.jinja2, terse.jinja2"),
        ("math", "answers of examples swapped in few_shot.jinja2, short.jinja2"),
        ("sentiment", "answers of examples swapped in sentiment.prompty"),
    ],
)
def test_examples_are_found_in_the_sample_flows(name: str, said: str) -> None:
    (change,) = changes(name, "swap-labels")
    assert change.said == said


def test_lines_are_dropped_in_thirds() -> None:
    assert [(change.name, change.said) for change in changes("sentiment", "drop-lines")] == [
        ("drop-lines 1/3", "5 lines dropped, the first third of sentiment.prompty"),
        ("drop-lines 2/3", "5 lines dropped, the second third of sentiment.prompty"),
        ("drop-lines 3/3", "3 lines dropped, the last third of sentiment.prompty"),
    ]


def test_every_temperature_of_a_flow_is_raised() -> None:
    (change,) = changes("ner", "raise-temperature")
    assert change.said == "temperature 1.5 in flow.dag.yaml"
    ((_, text),) = change.files.items()
    assert text.count("temperature: 1.5") == 2
    assert "temperature: 0" not in text


@pytest.mark.parametrize(
    ("mutation", "reason"),
    [
        ("drop-lines", "the flow has no prompt template (.jinja2, .jinja, .j2, .prompty) with lines of text"),
        ("swap-labels", "neither prompt templates nor files of the flow hold examples with different answers"),
        ("raise-temperature", "neither nodes, prompty files nor init parameters of the flow set a temperature"),
    ],
)
def test_a_flow_without_prompts_has_little_to_break(mutation: str, reason: str) -> None:
    with pytest.raises(NothingToMutate) as nothing:
        changes("redact", mutation)
    assert str(nothing.value) == reason


def test_a_mutant_reads_the_broken_copy_and_evaluators_the_users_files(tmp_path: Path) -> None:
    experiment = sample("triage")
    (change,) = changes("triage", "swap-labels")
    before = tree(experiment.flow.folder)
    mutant = make_mutant(experiment, change, tmp_path / "m", root=ROOT)
    assert mutant.flow.folder == tmp_path / "m/tree/flows/triage_route"
    assert mutant.flow.file.read_bytes() == experiment.flow.file.read_bytes()
    assert (mutant.flow.folder / "examples.jsonl").read_text() != (
        experiment.flow.folder / "examples.jsonl"
    ).read_text()
    assert (mutant.flow.folder / "../../datasets/triage/tickets.jsonl").is_file()
    assert (mutant.evaluators, mutant.datasets) == (experiment.evaluators, experiment.datasets)
    assert tree(experiment.flow.folder) == before


def test_truncated_data_keeps_the_columns_that_evaluators_read(tmp_path: Path) -> None:
    experiment = sample("triage")
    (change,) = changes("triage", "truncate-context")
    assert change.said == "first half only of body, subject"
    mutant = make_mutant(experiment, change, tmp_path / "m", root=ROOT)
    assert mutant.flow == experiment.flow
    assert mutant.evaluators == experiment.evaluators
    first = mutant.datasets[0]
    assert first.mappings == {
        "subject": "${data.first_half_of_subject}",
        "body": "${data.first_half_of_body}",
    }
    assert first.source == tmp_path / "m/data/tickets.jsonl"
    assert '"queue"' in first.source.read_text(encoding="utf-8")


def test_of_a_flow_in_the_root_itself_folders_are_linked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "prompts").mkdir(parents=True)
    (root / "large").mkdir()
    (root / "flow.py").write_text("")
    (root / "prompts/ask.jinja2").write_text("a")
    copy = shadow(root, root, tmp_path / "copy", {root / "prompts/ask.jinja2": "b"})
    assert copy == tmp_path / "copy"
    assert (copy / "prompts/ask.jinja2").read_text() == "b"
    assert (copy / "large").is_symlink()
    assert not (copy / "flow.py").is_symlink()
    assert (root / "prompts/ask.jinja2").read_text() == "a"


def test_a_system_without_links_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    (root / "flow").mkdir(parents=True)
    (root / "other").write_text("")

    def refused(*_: object, **__: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    with pytest.raises(Exception, match=r"other: can't link to .*: not permitted; mutants need symbolic links: on W"):
        shadow(root, root / "flow", tmp_path / "copy", {})


@pytest.mark.parametrize("where", [".", "flow"])
def test_secrets_are_not_copied_and_still_found(tmp_path: Path, where: str) -> None:
    root = tmp_path / "root"
    (root / "flow").mkdir(parents=True)
    (root / where / "ask.py").write_text("a")
    for name in (".env", ".env.local"):
        (root / where / name).write_text("KEY=hidden\n")
    copy = shadow(root, root / where, tmp_path / "copy", {root / where / "ask.py": "b"})
    for name in (".env", ".env.local"):
        assert (copy / name).is_symlink()
        assert (copy / name).resolve() == root / where / name
