"""The mark `llmops` and the fixture `llmops_cell`, for assertions that YAML can't say."""

from __future__ import annotations

import pytest
from project import Project

TEST = """
import pytest

@pytest.mark.llmops("evals/shouting/experiment.yaml")
def test_every_answer_ends_loudly(llmops_cell):
    assert llmops_cell.cell.id == "shout-words-default"
    assert all(row.output["loud"].endswith("{ending}") for row in llmops_cell.run.rows)
    assert llmops_cell.evaluations["compare"].result.metrics == {{"accuracy": 0.75}}
"""


def test_a_python_test_gets_each_cell(project: Project) -> None:
    (project.path / "evals" / "test_shouting.py").write_text(TEST.format(ending="!"), encoding="utf-8")
    result = project.run("-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["evals/test_shouting.py::test_every_answer_ends_loudly[[]shout-words-default] PASSED*"]
    )
    assert project.calls() == ["four", "one", "three", "two"]


def test_a_python_test_that_fails_closes_the_gate(project: Project) -> None:
    (project.path / "evals" / "test_shouting.py").write_text(TEST.format(ending="?"), encoding="utf-8")
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    gate = project.report("gate.json")
    assert gate["state"] == "closed"
    assert gate["reasons"] == [
        "evals/test_shouting.py::test_every_answer_ends_loudly[shout-words-default]: test failed"
    ]


def test_a_broken_experiment_breaks_the_test_with_its_one_line(project: Project) -> None:
    (project.path / "evals" / "test_shouting.py").write_text(TEST.format(ending="!"), encoding="utf-8")
    project.replace("experiment.yaml", "flow: shout:shout", "flow: shot:shout")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stdout.str()
