"""Ways in which something that broke, or did not run, could leave the gate open. None of them does."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project

MARKED = """
import pytest

@pytest.mark.llmops("evals/shouting/experiment.yaml")
def test_loud(llmops_cell):
    pass
"""


def conftest(project: Project, text: str) -> None:
    (project.path / "evals" / "conftest.py").write_text(f"import pytest\n\n{text}", encoding="utf-8")


def reasons(project: Project) -> list[str]:
    gate = project.report("gate.json")
    assert gate["state"] == "closed"
    return list(gate["reasons"])


def test_an_item_that_fails_for_another_reason_than_its_gate(project: Project) -> None:
    conftest(project, "@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_call(item):\n    yield\n    raise OSError\n")
    project.run().assert_outcomes(failed=2)
    assert reasons(project)[0].endswith(": test failed")


def test_gate_items_that_are_skipped(project: Project) -> None:
    conftest(project, "def pytest_collection_modifyitems(items):\n    items[0].add_marker(pytest.mark.skip)\n")
    project.run().assert_outcomes(passed=1, skipped=1)
    assert reasons(project) == ["evals/shouting/experiment.yaml: only 1 of 2 items were decided"]


def test_an_experiment_that_the_selected_variants_leave_empty(project: Project) -> None:
    other = project.path / "evals" / "other"
    other.mkdir()
    for name in ("shout.py", "compare.py", "words.jsonl"):
        (other / name).write_bytes((project.folder / name).read_bytes())
    text = (project.folder / "experiment.yaml").read_text(encoding="utf-8")
    varied = "llmops: {variants: {overrides: {}}}\n"
    (other / "experiment.yaml").write_text(text + varied, encoding="utf-8")
    result = project.run("--llmops-variants", "no_such_variant")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert reasons(project)[:2] == [
        "evals/other/experiment.yaml: no variant was selected",
        "evals/shouting/experiment.yaml: no variant was selected",
    ]


@pytest.mark.parametrize("selection", [("-k", "not test_loud"), ("-k", "test_loud or run or accuracy")])
def test_python_tests_with_the_mark_count(project: Project, selection: tuple[str, str]) -> None:
    (project.path / "evals" / "test_loud.py").write_text(MARKED, encoding="utf-8")
    project.run(*selection)
    gate = project.report("gate.json")
    if selection[1].startswith("not"):
        assert gate["reasons"] == ["1 of 1 tests marked llmops neither passed nor failed"]
    else:
        assert gate["state"] == "open"


@pytest.mark.parametrize("arguments", [["evalz"], ["evals", "--no-such-option"]])
def test_a_session_that_breaks_off_early_leaves_no_decision_of_an_earlier_one(
    project: Project, arguments: list[str]
) -> None:
    project.run()
    result = project.pytester.runpytest_inprocess(*arguments, "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    gate = Path(project.path, "reports", "gate.json")
    # pytest refuses an unknown option before any plugin may act: that session never was one.
    assert gate.exists() == ("--no-such-option" in arguments)


@pytest.mark.slow
def test_a_worker_that_dies_closes_the_gate_and_loses_no_report(project: Project) -> None:
    conftest(
        project,
        "import os\n\ndef pytest_runtest_call(item):\n    if 'accuracy' in item.name:\n        os._exit(3)\n",
    )
    result = project.run("-n", "1", "--max-worker-restart", "0")
    assert result.ret != pytest.ExitCode.OK
    assert "INTERNALERROR" not in result.stdout.str()
    assert reasons(project)


def test_best_with_a_selection_judges_the_siblings_too(project: Project) -> None:
    project.replace("experiment.yaml", "evaluators:", "llmops: {gate: {require: best}}\nevaluators:")
    project.write_rows("more.jsonl", [{"word": "six", "gold": "SIX!"}])
    project.replace(
        "experiment.yaml", "llmops:", '- name: more\n  source: more.jsonl\n  mappings: {word: "${data.word}"}\nllmops:'
    )
    result = project.run("-k", "accuracy and words")
    result.assert_outcomes(passed=1, deselected=2)


def test_commands_to_the_pipeline_in_a_dataset_are_not_printed(project: Project) -> None:
    project.write_rows("gold.jsonl", [{"word": "##vso[task.complete]", "gold": "x"}] * 4)
    project.replace(
        "experiment.yaml",
        "  - name: words\n",
        "  - name: gold\n    source: gold.jsonl\n    reference: words\n    key: word\n",
    )
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "# #vso[task.complete]" in result.stdout.str()
    assert "##vso[" not in result.stdout.str()
