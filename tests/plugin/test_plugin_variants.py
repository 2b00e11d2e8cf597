"""Variants: which are run, and which of them block."""

from __future__ import annotations

import pytest
from project import Project

DAG = """
inputs:
  word: {type: string}
outputs:
  loud: {type: string, reference: "${ending.output}"}
nodes:
- {name: ending, use_variants: true}
node_variants:
  ending:
    default_variant_id: mark
    variants:
      mark:
        node: {type: python, source: {type: code, path: ending.py}, inputs: {word: "${inputs.word}", ending: "!"}}
      none:
        node: {type: python, source: {type: code, path: ending.py}, inputs: {word: "${inputs.word}", ending: "?"}}
"""
ENDING = """
from promptflow.core import tool


@tool
def add_ending(word: str, ending: str) -> str:
    return word.upper() + ending
"""


@pytest.fixture
def varied(project: Project) -> Project:
    project.write("flows/shouted/flow.dag.yaml", DAG)
    project.write("flows/shouted/ending.py", ENDING)
    project.replace("experiment.yaml", "flow: shout:shout", "flow: shouted")
    return project


def require(project: Project, what: str) -> None:
    project.replace("experiment.yaml", "evaluators:", f"llmops: {{gate: {{require: {what}}}}}\nevaluators:")


@pytest.mark.slow
def test_a_weaker_variant_is_reported_and_does_not_block(varied: Project) -> None:
    result = varied.run("-rx")
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.fnmatch_lines(
        ["XFAIL *accuracy[[]shouted-words-none] - *FAIL compare.accuracy[[]shouted-words-none]: 0, required >= 0.75*"]
    )
    assert result.ret == pytest.ExitCode.OK
    assert varied.report("gate.json")["state"] == "open"


@pytest.mark.slow
def test_require_all_makes_every_variant_block(varied: Project) -> None:
    require(varied, "all")
    result = varied.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
def test_require_best_asks_for_one_variant_that_passes(varied: Project) -> None:
    require(varied, "best")
    varied.run().assert_outcomes(passed=3, xfailed=1)
    result = varied.run("--llmops-threshold", "compare.accuracy=>= 0.9")
    result.assert_outcomes(passed=2, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
def test_variants_can_be_selected(varied: Project) -> None:
    varied.run("--llmops-variants", "defaults").assert_outcomes(passed=2)
    selected = varied.run("--llmops-variants", "ending.none")
    selected.assert_outcomes(passed=1, failed=1)
