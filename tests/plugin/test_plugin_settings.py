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


COMMAND = "##vso[task.complete result=Failed]"
SHOWN = "# #vso[task.complete result=Failed]"


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (
            [f"--llmops-max-rows={COMMAND}\x1b[2J"],
            {},
            f"--llmops-max-rows: '{SHOWN}\\x1b[2J' is not allowed; give a positive number",
        ),
        ([f"--llmops-shard={COMMAND}"], {}, f"--llmops-shard: '{SHOWN}' is not allowed; give a part such as 2/5"),
        (
            ["--llmops-threshold=##vso[x]"],
            {},
            "--llmops-threshold: '# #vso[x]' is not EVALUATOR.METRIC=RULE, such as matcher.f1=",
        ),
        ([], {"LLMOPS_PLAN": COMMAND}, f"LLMOPS_PLAN: '{SHOWN}' is not allowed; give true|false"),
        (
            ["-o", f"llmops_llm={COMMAND}"],
            {},
            f"ini llmops_llm: '{SHOWN}' is not allowed; give live|replay|record|auto",
        ),
        (
            ["--llmops-repeat", "9" * 5000],
            {},
            f"--llmops-repeat: '{'9' * 100}' is not allowed; give a number from 1 to",
        ),
    ],
)
def test_what_is_refused_can_not_act_on_the_log(
    project: Project, arguments: list[str], environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line.startswith("ERROR: "))
    assert line.removeprefix("ERROR: ").startswith(message)


def test_a_second_folder_of_earlier_sessions_is_refused(project: Project) -> None:
    result = project.run("--llmops-history=a", "--llmops-history=b")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = "--llmops-history: there are two; name one folder that has both below it"
    assert f"ERROR: {said}" in result.errlines


@pytest.mark.parametrize("way", ["option", "environment", "ini"])
def test_the_folder_of_earlier_sessions(project: Project, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "environment":
        monkeypatch.setenv("LLMOPS_HISTORY", "past")
    elif way == "ini":
        (project.path / "pytest.ini").write_text("[pytest]\nllmops_history = past\n", encoding="utf-8")
    project.run(*["--llmops-history=past"] * (way == "option"))
    assert project.report()["settings"]["history"] == "past"


def test_everything_that_is_refused_is_told_at_once(project: Project) -> None:
    result = project.run("--llmops-max-rows=x", "--llmops-threshold=y", "--llmops-shard=3/2")
    assert [line for line in result.errlines if line.startswith("ERROR: ")] == [
        "ERROR: --llmops-max-rows: 'x' is not allowed; give a positive number",
        "ERROR: --llmops-shard: '3/2' is not allowed; give a part such as 2/5",
        "ERROR: --llmops-threshold: 'y' is not EVALUATOR.METRIC=RULE, such as matcher.f1='>= 0.9'",
    ]
