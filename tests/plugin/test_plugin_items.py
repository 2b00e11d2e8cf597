"""What `pytest evals/` collects, how its items end, and with which exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project

CELL = "shout-words-default"


def test_a_green_run(project: Project) -> None:
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "llmops: llm=replay, concurrency=16, report-dir=reports",
            f"evals/shouting/experiment.yaml::run[[]{CELL}] PASSED*",
            f"evals/shouting/experiment.yaml::compare.accuracy[[]{CELL}] PASSED*",
            "gate: open*",
        ]
    )
    assert result.ret == pytest.ExitCode.OK
    assert project.report("gate.json")["state"] == "open"
    assert project.calls() == ["four", "one", "three", "two"]


def test_a_missed_threshold_fails_its_item_and_names_the_rows(project: Project) -> None:
    result = project.run("--llmops-threshold", "compare.accuracy=>= 0.9")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"FAIL compare.accuracy[[]{CELL}]: 0.75, required >= 0.9 (n = 4, 95 % CI 0.30 to 0.95)",
            '*row 3: correct 0  answer="FOUR!"  gold="4"*word="four"*',
            "gate: closed*",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in result.stdout.str()
    assert project.report("gate.json")["state"] == "closed"


def test_a_failed_row_is_an_error_although_the_metric_got_better(project: Project) -> None:
    project.replace("words.jsonl", '"four"', '"crash"')
    result = project.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            f"ERROR run[[]{CELL}] (n = 4)",
            "1 of 4 rows failed, max_failed_rows is 0: row 3: Execution failure in 'shout': (ValueError) the word is *",
            f"ERROR compare.accuracy[[]{CELL}]: 1, required >= 0.75 (n = 3)",
            "1 of 4 rows failed, max_failed_rows is 0: row 3: *",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_failed_rows_within_the_policy_are_said_and_do_not_block(project: Project) -> None:
    project.replace("words.jsonl", '"four"', '"crash"')
    project.replace("experiment.yaml", "evaluators:", "llmops: {gate: {max_failed_rows: 1}}\nevaluators:")
    result = project.run()
    result.assert_outcomes(passed=2)
    gate = next(gate for gate in project.report()["gates"] if gate["name"] == "compare.accuracy")
    assert (gate["value"], gate["n"], gate["reason"]) == (1.0, 3, "1 of 4 rows failed and are not in it")


@pytest.mark.parametrize(
    ("logged", "message"),
    [
        ('float("nan")', "metric 'accuracy' is nan, not a finite number"),
        ('float("inf")', "metric 'accuracy' is inf, not a finite number"),
        ('"0.9"', "metric 'accuracy' is '0.9', not a number"),
        ("True", "metric 'accuracy' is True, not a number"),
        ("None", "metric 'accuracy' is None, not a number"),
    ],
)
def test_a_metric_that_is_no_finite_number_is_an_error(project: Project, logged: str, message: str) -> None:
    project.replace("compare.py", 'sum(row["correct"] for row in rows) / len(rows) if rows else 0.0', logged)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"ERROR compare.accuracy[[]{CELL}]: no value, required >= 0.75 (n = 4)", message])


def test_a_metric_that_is_missing_is_an_error(project: Project) -> None:
    project.replace("experiment.yaml", "{accuracy:", "{acuracy:")
    result = project.run()
    result.stdout.fnmatch_lines(
        [f"ERROR compare.acuracy[[]{CELL}]: no value*", "metric 'acuracy' was not logged (logged: accuracy)"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_aggregation_that_raises_is_an_error(project: Project) -> None:
    project.replace("compare.py", 'return {"accuracy":', "raise KeyError('correct')\n    return {\"accuracy\":")
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            f"ERROR compare.accuracy[[]{CELL}]: no value*",
            "evaluation 'compare' could not aggregate: Execution failure in 'aggregate': (KeyError) 'correct'",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_flow_that_does_not_load_is_an_error(project: Project) -> None:
    project.write("shout.py", "import no_such_module\n\ndef shout(word: str) -> dict: ...\n")
    result = project.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            f"ERROR run[[]{CELL}] (n = 0)",
            "the run failed: can't import 'shout': (ModuleNotFoundError) No module named 'no_such_module'",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_configuration_errors_are_all_reported_with_exit_code_4(project: Project) -> None:
    project.replace("experiment.yaml", 'word: "${data.word}"', 'wrod: "${data.word}"')
    project.replace("experiment.yaml", "evaluators:", "evaluator:")
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "evals/shouting/experiment.yaml:6: datasets.words.mappings.wrod: *did you mean 'word'?*",
            "evals/shouting/experiment.yaml:7: evaluator: unknown key*did you mean 'evaluators'?*",
        ],
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stdout.str()
    assert project.report("gate.json")["state"] == "closed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--llmops-llm", "reply"], "ERROR: --llmops-llm: 'reply' is not allowed; give live|replay|record|auto"),
        (["--llmops-max-rows", "0"], "ERROR: --llmops-max-rows: '0' is not allowed; give a positive number"),
        (["--llmops-threshold", "accuracy>=1"], "ERROR: --llmops-threshold: *EVALUATOR.METRIC=RULE*"),
        (["--llmops-threshold", "run.bogus=>= 0"], "ERROR: --llmops-threshold: a run has no metric 'bogus'; it has *"),
        (["--llmops-threshold", "a.b=high"], "ERROR: --llmops-threshold: 'high' is not a rule; write '>= 0.8'*"),
    ],
)
def test_usage_errors_are_one_line_with_exit_code_4(project: Project, arguments: list[str], message: str) -> None:
    result = project.run(*arguments)
    result.stderr.fnmatch_lines([message])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_threshold_for_an_unknown_evaluator_stops_before_anything_is_run(project: Project) -> None:
    result = project.run("--llmops-threshold", "comparer.accuracy=>= 0.9")
    result.stdout.fnmatch_lines(["*--llmops-threshold: comparer.accuracy: no collected experiment has this evaluator*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.folder / "calls.txt").exists()
    assert project.report("gate.json")["reasons"][0].startswith("--llmops-threshold: comparer.accuracy: no collected")


def test_no_experiment_is_not_green(project: Project) -> None:
    (project.folder / "experiment.yaml").unlink()
    assert project.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_selection_of_items_runs_and_leaves_the_gate_closed(project: Project) -> None:
    result = project.run("-k", "accuracy")
    result.assert_outcomes(passed=1, deselected=1)
    assert result.ret == pytest.ExitCode.OK
    gate = project.report("gate.json")
    assert gate["state"] == "closed"
    assert gate["reasons"] == ["evals/shouting/experiment.yaml: only 1 of 2 items were decided"]


def test_items_can_be_selected_by_node_id(project: Project) -> None:
    node = f"evals/shouting/experiment.yaml::compare.accuracy[{CELL}]"
    result = project.pytester.runpytest_inprocess(node, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_collecting_only_runs_nothing(project: Project) -> None:
    result = project.run("--collect-only", "-q")
    result.stdout.fnmatch_lines([f"evals/shouting/experiment.yaml::run[[]{CELL}]"])
    assert not (project.folder / "calls.txt").exists()
    assert not (project.path / "reports").exists()


def test_max_rows_limits_every_dataset(project: Project) -> None:
    result = project.run("--llmops-max-rows", "2")
    result.assert_outcomes(passed=2)
    assert project.calls() == ["one", "two"]


def test_an_evaluator_without_thresholds_is_reported_only(project: Project) -> None:
    project.replace("experiment.yaml", '  thresholds: {accuracy: ">= 0.75"}\n', "")
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"evals/shouting/experiment.yaml::compare[[]{CELL}] PASSED*"])
    strict = project.run("--llmops-strict")
    strict.stdout.fnmatch_lines(["evals/shouting/experiment.yaml:*compare*no threshold*"])
    assert strict.ret == pytest.ExitCode.USAGE_ERROR


def test_a_remote_dataset_of_no_workspace_is_refused_before_anything_runs(project: Project) -> None:
    project.replace("experiment.yaml", "source: words.jsonl", "source: azureml:words:3")
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "evals/shouting/experiment.yaml:5: datasets.words.source: azureml:words:3: which workspace? "
            "there is no subscription, resource group, workspace; looked for *"
        ]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.usefixtures("own_processes")
def test_a_session_leaves_no_temporary_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    project.run().assert_outcomes(passed=2)
    assert not list(tmp_path.glob("llmops-*"))


def test_an_early_end_leaves_no_open_gate_behind(project: Project) -> None:
    project.run()
    assert project.report("gate.json")["state"] == "open"
    (project.path / "evals" / "conftest.py").write_text(
        "import pytest\n\ndef pytest_runtestloop(session):\n    pytest.exit('stopped', returncode=3)\n",
        encoding="utf-8",
    )
    assert project.run().ret == 3
    assert project.report("gate.json")["state"] == "closed"
