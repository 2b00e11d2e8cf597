"""Settings of gates on the command line: rules with units and ranges, and what they can't be demanded of."""

from __future__ import annotations

import pytest
from project import Project


def test_rules_may_be_ranges_and_have_units(project: Project) -> None:
    rules = ("compare.accuracy=>= 0.7 and <= 0.9", "run.latency_p95=<= 1500 ms", "run.cost=<= 0.5")
    result = project.run("-rA", *(f"--llmops-threshold={rule}" for rule in rules))
    result.assert_outcomes(passed=4)
    gates = {gate["name"]: gate["rule"] for gate in project.report()["gates"]}
    assert gates == {
        "run": "",
        "compare.accuracy": ">= 0.7 and <= 0.9",
        "run.cost": "<= 0.5",
        "run.latency_p95": "<= 1500 ms",
    }


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("compare.accuracy=<= 3 s", "'<= 3 s' is a duration, but 'compare.accuracy' is none; write a number *"),
        ("run.total_tokens=>= 80 %", "'>= 80 %' is a share, but 'run.total_tokens' is none; write a number *"),
        ("compare.accuracy=>= 1 and <= 0", "no value can be '>= 1 and <= 0'; correct the bounds"),
    ],
)
def test_rules_that_do_not_fit_their_metric_are_usage_errors(project: Project, rule: str, message: str) -> None:
    result = project.run("--llmops-threshold", rule)
    result.stderr.fnmatch_lines([f"ERROR: --llmops-threshold: {message}"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
