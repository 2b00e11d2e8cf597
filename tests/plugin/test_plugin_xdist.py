"""The same results with and without xdist, and each run executed exactly once."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from project import Project


def without_timings(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_timings(item) for key, item in value.items() if key not in ("created", "duration")}
    return [without_timings(item) for item in value] if isinstance(value, list) else value


def add_second_dataset(project: Project) -> None:
    project.write_rows("others.jsonl", [{"word": word, "gold": word.upper() + "!"} for word in ("five", "six")])
    project.replace(
        "experiment.yaml",
        "evaluators:",
        '- name: others\n  source: others.jsonl\n  mappings: {word: "${data.word}"}\nevaluators:',
    )


@pytest.mark.slow
def test_two_workers_give_the_same_results_and_run_everything_once(project: Project) -> None:
    add_second_dataset(project)
    reports, calls = [], []
    for arguments in (["-p", "no:xdist"], ["-n", "2"]):
        project.run(*arguments).assert_outcomes(passed=3)
        reports.append(without_timings(project.report()))
        calls.append(project.calls())
        (project.folder / "calls.txt").unlink()
        shutil.rmtree(project.path / ".llmops")
    assert reports[0] == reports[1]
    assert calls[0] == calls[1] == ["five", "four", "one", "six", "three", "two"]


@pytest.mark.slow
def test_a_worker_without_items_finishes_what_others_wait_for(project: Project) -> None:
    slow = project.path / "evals" / "slow"
    shutil.copytree(project.folder, slow)
    text = (slow / "shout.py").read_text(encoding="utf-8")
    (slow / "shout.py").write_text(
        text.replace("    if word ==", "    __import__('time').sleep(0.6)\n    if word =="), encoding="utf-8"
    )
    for number in range(2):
        shutil.copytree(project.folder, project.path / "evals" / f"quick{number}")
    project.run("-n", "2", "--llmops-concurrency", "1").assert_outcomes(passed=8)


@pytest.mark.slow
def test_configuration_errors_exit_with_4_under_xdist(project: Project) -> None:
    project.replace("experiment.yaml", 'word: "${data.word}"', 'wrod: "${data.word}"')
    result = project.run("-n", "2")
    result.stdout.fnmatch_lines(["*experiment.yaml:6: datasets.words.mappings.wrod: *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert project.report("gate.json")["state"] == "closed"


@pytest.mark.slow
def test_a_failed_gate_under_xdist(project: Project) -> None:
    result = project.run("-n", "2", "--llmops-threshold", "compare.accuracy=>= 0.9")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["FAIL compare.accuracy[[]shout-words-default]: 0.75, required >= 0.9 (n = 4, 95 % CI 0.30 to 0.95)"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.report("gate.json")["reasons"] == ["FAIL compare.accuracy[shout-words-default]"]
