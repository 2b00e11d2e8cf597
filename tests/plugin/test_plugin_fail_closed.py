"""Ways in which something that broke, or did not run, could leave the gate open. None of them does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from project import Project

from pytest_llmops.reports.results import read

MARKED = """
import pytest

@pytest.mark.llmops("evals/shouting/experiment.yaml")
def test_loud(llmops_cell):
    pass
"""


def conftest(project: Project, text: str) -> None:
    (project.path / "evals" / "conftest.py").write_text(f"import pytest\n\n{text}", encoding="utf-8")


def git(project: Project, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", *who, *arguments], cwd=project.path, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(project: Project, subject: str) -> str:
    git(project, "add", "evals")
    git(project, "commit", "-q", "-m", subject)
    return git(project, "rev-parse", "HEAD")


def moving(project: Project, *, when: str) -> tuple[str, str]:
    """Make a repository of two commits, the first checked out, and have the second one checked out in a hook."""
    git(project, "init", "-q", "-b", "main")
    conftest(
        project,
        f"import subprocess\n\ndef {when}:\n    subprocess.run(['git', 'checkout', '-q', 'next'], check=True)\n",
    )
    first = commit(project, "one")
    git(project, "checkout", "-q", "-b", "next")
    (project.path / "evals" / "notes.txt").write_text("two", encoding="utf-8")
    second = commit(project, "two")
    git(project, "checkout", "-q", "main")
    return first, second


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


@pytest.mark.parametrize(
    "options", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)], ids=["one process", "workers"]
)
def test_results_are_of_the_commit_that_was_tested(project: Project, options: list[str]) -> None:
    first, second = moving(project, when="pytest_runtest_call()")
    project.run(*options)
    said = f"the checked-out commit changed during the session, from {first[:12]} to {second[:12]}; run it again"
    assert reasons(project) == [said]
    assert project.report("gate.json")["commit"].removesuffix("-dirty") == first


def test_a_commit_that_is_checked_out_before_anything_is_read_is_the_one_that_was_tested(project: Project) -> None:
    _, second = moving(project, when="pytest_sessionstart()")
    project.run("--rootdir", str(project.path), "-c", "pytest.ini")
    gate = project.report("gate.json")
    assert (gate["state"], gate["commit"]) == ("open", second)


def test_a_session_without_experiments_asks_for_no_commit(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.path / "evals" / "test_plain.py").write_text("def test_plain(): pass\n", encoding="utf-8")
    monkeypatch.setattr("pytest_llmops.baselines.commit_of", None)
    project.pytester.runpytest_inprocess("evals/test_plain.py", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_each_reason_is_told_once(project: Project) -> None:
    (project.path / "evals" / "test_twice.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError\n\n\n"
        "def test_twice(broken, subtests):\n    for number in range(3):\n"
        "        with subtests.test(number=number):\n            assert False\n",
        encoding="utf-8",
    )
    project.run()
    assert reasons(project) == ["evals/test_twice.py::test_twice: test failed"]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--llmops-max-rows=x"], False),
        (["--llmops-threshold=x"], False),
        (["-o", "llmops_plan=maybe"], False),
        (["--llmops-max-rows=x", "--llmops-report-dir=elsewhere"], True),
        (["--llmops-max-rows=x", "--llmops-plan"], True),
        (["--llmops-max-rows=x", "--collect-only"], True),
    ],
)
def test_a_session_whose_settings_are_refused_leaves_no_decision_of_an_earlier_one(
    project: Project, arguments: list[str], left: bool
) -> None:
    gate = project.path / "reports" / "gate.json"
    gate.parent.mkdir()
    gate.write_text("{}", encoding="utf-8")
    assert project.run(*arguments).ret == pytest.ExitCode.USAGE_ERROR
    assert gate.exists() is left


def test_a_decision_that_can_not_be_removed_is_told(project: Project) -> None:
    (project.path / "reports" / "gate.json").mkdir(parents=True)
    result = project.run("--llmops-max-rows=x")
    _, said = (line for line in result.errlines if line.startswith("ERROR: "))
    assert said.startswith(f"ERROR: {project.path / 'reports'}: reports can't be written: ")


NESTED = "nested = 1\n    for _ in range({}):\n        nested = {{'x': nested}}\n    return {{'nested': nested, "


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("shout.py", "4 of 4 rows failed, max_failed_rows is 0: rows 0, 1, 2, 3: The output is nested more than 200 "),
        ("compare.py", "evaluation 'compare' could not aggregate: the metrics are nested more than 200 levels deep"),
        ("words.jsonl", "the run failed: the inputs of row 0 are nested more than 200 levels deep"),
    ],
)
@pytest.mark.parametrize("levels", [201, 500])
def test_what_is_nested_too_deeply_is_an_error(project: Project, file: str, said: str, levels: int) -> None:
    project.replace("shout.py", 'ending: str = "!"', 'ending: str = "!", deep: list = ()')
    project.replace("experiment.yaml", '{word: "${data.word}"}', '{word: "${data.word}", deep: "${data.deep}"}')
    deep = "[" * levels + "]" * levels if file == "words.jsonl" else "[]"
    project.write("words.jsonl", f'{{"word": "one", "gold": "ONE!", "deep": {deep}}}\n' * 4)
    if file != "words.jsonl":
        returned = "return {" if file == "shout.py" else 'return {"acc'
        project.replace(file, returned, NESTED.format(levels) + returned.removeprefix("return {"))
    result = project.run()
    assert said in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert all(reason.startswith("ERROR ") for reason in reasons(project))


@pytest.mark.parametrize("levels", [100, 199])
def test_what_is_nested_as_deeply_as_can_be_is_read_again(project: Project, levels: int) -> None:
    project.replace("shout.py", "return {", NESTED.format(levels))
    project.run("--llmops-repeat=2").assert_outcomes(passed=2)
    found = read(project.path / "reports" / "results.json").cells[0].repeats[0].run.rows[0].output
    assert str(found).count("{") == levels + 1


@pytest.mark.parametrize("shard", [(), ("--llmops-shard=1/1",)])
def test_another_plugin_that_breaks_the_end_of_the_session(project: Project, shard: tuple[str, ...]) -> None:
    project.run(*shard)
    assert project.report("gate.json")["state"] == "open"
    conftest(project, "def pytest_sessionfinish():\n    raise OSError('broken')\n")
    result = project.run(*shard)
    assert (result.ret, result.errlines[-1]) == (pytest.ExitCode.INTERNAL_ERROR, "OSError: broken")
    assert not (project.path / "reports" / "gate.json").exists()
    assert (project.path / "reports" / "results.json").exists() is not bool(shard)


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
