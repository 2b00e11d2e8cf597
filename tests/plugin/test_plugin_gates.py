"""Gates as a user meets them: what pytest says of baselines, margins, rows that must pass, slices and confidence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from project import Project

from pytest_llmops.cli import main

EXPERIMENT = """
name: shouting
flow: shout:shout
datasets:
- name: words
  source: words.jsonl
  mappings: {word: "${data.word}"}
evaluators:
- name: compare
  flow: compare:compare
  datasets:
  - name: words
    key: id
    mappings: {answer: "${run.outputs.loud}", gold: "${data.gold}"}
    thresholds:
      accuracy: THRESHOLD
llmops:
  baseline: baselines/shouting.json
"""
GATE = "compare.accuracy[shout-words-default]"
WITHOUT_XDIST = ("-p", "no:xdist")


def rows(wrong: int, n: int = 40) -> list[dict[str, Any]]:
    """Rows of which the last ones have a gold that the flow never gives."""
    return [
        {
            "id": f"w{number:02}",
            "word": f"word{number:02}",
            "gold": f"WORD{number:02}!" if number < n - wrong else "?",
            "kind": "even" if number % 2 == 0 else "odd",
        }
        for number in range(n)
    ]


def given(project: Project, threshold: str, wrong: int = 2, n: int = 40) -> None:
    """A use case with that threshold, and that many wrong rows."""
    project.write("experiment.yaml", EXPERIMENT.replace("THRESHOLD", threshold))
    project.write_rows("words.jsonl", rows(wrong, n))


def save_baseline(project: Project) -> None:
    project.run("--llmops-report-dir", "main")
    assert main(["baseline", "save", "--results", "main"]) == 0
    assert (project.folder / "baselines" / "shouting.json").exists()


def shouts_wrong(project: Project, *numbers: int) -> None:
    """Change the flow: some words are no longer shouted."""
    project.replace(
        "shout.py", "word.upper() + ending", f"word.upper() + ending * (word[-2:] not in {list(map(str, numbers))})"
    )


def gate_of(project: Project) -> dict[str, Any]:
    (gate,) = (gate for gate in project.report("gate.json")["gates"] if gate["item"] == GATE)
    return dict(gate)


@pytest.mark.parametrize("arguments", [(), WITHOUT_XDIST, ("-n", "2")], ids=["plain", "no-xdist", "n2"])
def test_a_regression_fails_against_the_baseline(project: Project, arguments: tuple[str, ...]) -> None:
    given(project, "{min: 0.5, max_drop: 0.1}")
    save_baseline(project)
    shouts_wrong(project, *range(10, 22))
    result = project.run(*arguments)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"FAIL {GATE.replace('[', '[[]')}: 0.65, required >= 0.5, at most 0.1 worse, baseline 0.95, delta -0.3 "
            "(95 % bound -0.4287) (n = 40 common rows, 95 % CI 0.50 to 0.78, p = 0.0002)",
            "significantly worse: delta -0.3 on 40 rows, 12 worse and 0 better; 95 % bound -0.4287, margin 0.1; "
            "p = 0.00024, exact McNemar test",
            '  worse: w10: 1 -> 0  was "WORD10!"  is "WORD10"  word="word10"',
        ]
    )
    gate = gate_of(project)
    assert (gate["verdict"], gate["baseline"], gate["margin"]) == ("FAIL", 0.95, 0.1)
    assert project.report("gate.json")["state"] == "closed"


def test_an_unchanged_flow_passes(project: Project) -> None:
    given(project, "{max_drop: 0.1}")
    save_baseline(project)
    assert project.run("--llmops-no-cache").ret == 0
    assert project.report()["gates"][0]["reason"] == "all 40 outputs are the same as in the baseline"


@pytest.mark.parametrize(("on_inconclusive", "code"), [("warn", 0), ("fail", 1)])
def test_what_can_not_be_told_is_inconclusive(project: Project, on_inconclusive: str, code: int) -> None:
    given(project, "{max_drop: 0.1}")
    save_baseline(project)
    shouts_wrong(project, 10, 11)
    project.replace("experiment.yaml", "llmops:\n", f"llmops:\n  gate: {{on_inconclusive: {on_inconclusive}}}\n")
    result = project.run()
    assert result.ret == code
    outcome = "1 passed, 1 inconclusive in *" if code == 0 else "1 failed, 1 passed in *"
    result.stdout.fnmatch_lines([f"*{outcome}"])
    assert gate_of(project)["verdict"] == "INCONCLUSIVE"
    assert project.report("gate.json")["state"] == ("closed" if code else "open")


def test_a_baseline_that_is_not_there_closes_the_gate(project: Project) -> None:
    given(project, "{max_drop: 0.1}")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "baseline evals/shouting/baselines/shouting.json: there is none; "
            "run pytest and save one with: llmops baseline save"
        ]
    )


def test_a_baseline_of_another_evaluator_version_is_refused(project: Project) -> None:
    given(project, "{max_drop: 0.1}")
    save_baseline(project)
    project.replace("compare.py", "answer == gold", "answer.lower() == gold.lower()")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "baseline: evaluator 'compare' has changed since it scored the baseline; "
            "save a new baseline with: llmops baseline save"
        ]
    )


def test_the_baseline_of_the_command_line_wins(project: Project) -> None:
    given(project, "{max_drop: 0.1}")
    project.run("--llmops-report-dir", "main")
    shouts_wrong(project, *range(10, 22))
    result = project.run("--llmops-baseline", "main")
    assert (result.ret, gate_of(project)["verdict"]) == (1, "FAIL")


def test_another_variant_is_the_baseline(project: Project) -> None:
    given(project, "{margin: 0.1}")
    variants = "  baseline: {variant: init.mark=excited}\n  variants: {overrides: {init.mark: [excited, curious]}}\n"
    project.replace("experiment.yaml", "  baseline: baselines/shouting.json\n", variants)
    project.replace("experiment.yaml", "flow: shout:shout\n", "flow: shout:Shout\n")
    project.write(
        "shout.py",
        """
        class Shout:
            def __init__(self, mark: str = "excited"):
                self.ending = {"excited": "!", "curious": "?"}[mark]

            def __call__(self, word: str) -> dict:
                return {"loud": word.upper() + self.ending}
        """,
    )
    result = project.run()
    assert result.ret == 0  # the other variant is not required
    gates = {gate["cell"]: gate for gate in project.report()["gates"] if gate["name"] == "compare.accuracy"}
    first, second = (gates[f"Shout-words-init.mark={mark}"] for mark in ("excited", "curious"))
    assert (first["verdict"], first["reason"]) == (
        "PASS",
        "all 40 outputs are the same as in variant init.mark=excited",
    )
    assert (second["verdict"], second["comparison"]["name"]) == ("FAIL", "variant init.mark=excited")
    result = project.run("--llmops-variants", "*curious")
    result.stdout.fnmatch_lines(
        ["llmops.baseline: variant 'init.mark=excited' is not run; those that are: init.mark=curious"]
    )


def test_a_baseline_that_is_no_variant_is_a_usage_error(project: Project) -> None:
    given(project, "{margin: 0.1}")
    project.replace("experiment.yaml", "baselines/shouting.json", "{variant: quiet}")
    result = project.run()
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        ["evals/shouting/experiment.yaml: llmops.baseline.variant: there is no variant 'quiet'; name one of: default"]
    )


def test_rows_that_must_pass(project: Project) -> None:
    given(project, "{min: 0.5, must_pass: [w00, w01, w39]}")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["1 of 3 rows that must pass did not", "  w39"])


def test_the_first_rows_alone_are_asked_and_compared(project: Project) -> None:
    given(project, "{must_pass: [w00, w39], max_drop: 0.1}")
    project.run("--llmops-report-dir", "main")
    assert project.run("--llmops-baseline", "main", "--llmops-max-rows", "12").ret == 0
    assert gate_of(project)["verdict"] == "PASS"
    given(project, "{must_pass: [w39]}")
    project.run("--llmops-max-rows", "12")
    assert gate_of(project)["verdict"] == "INCONCLUSIVE"
    given(project, "{must_pass: [w01]}")
    shouts_wrong(project, 10)
    assert project.run("--llmops-max-rows", "12").ret == 0


def test_rows_that_have_to_keep_passing(project: Project) -> None:
    given(project, "{min: 0.5, keep_passing: true}")
    save_baseline(project)
    shouts_wrong(project, 10)
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["1 row that passed in the baseline no longer does", "  w10"])


def test_a_rule_that_no_number_of_passes_can_show_is_a_usage_error(project: Project) -> None:
    given(project, "{min: 0.95, confidence: 0.95}")
    result = project.run()
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        [
            "evals/shouting/experiment.yaml:15: compare.accuracy: with 40 rows in dataset 'words', '>= 0.95' can't be "
            "shown at 95 % confidence even if every row passes; it would need 59 rows: add rows, relax the rule, or "
            "leave out confidence"
        ]
    )


def test_slices(project: Project) -> None:
    given(project, "'>= 0.5'")
    slices = "llmops:\n  slices: {by: [kind], thresholds: {compare.accuracy: '>= 0.9'}}\n"
    project.replace("experiment.yaml", "llmops:\n", slices)
    shouts_wrong(project, *range(11, 40, 2))
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "FAIL compare.accuracy@kind[[]shout-words-default]: 0.25, required >= 0.9 (n = 20, 95 % CI 0.11 to 0.47)",
            "1 of 2 slices by kind are outside the rule: 0.25, n = 20 (p = 1.9e-11), Holm",
            "  slice kind=odd: 0.25 (n = 20, 95 % CI 0.11 to 0.47)",
        ]
    )


def test_all_of_it_is_the_same_in_any_number_of_processes(project: Project) -> None:
    given(project, "{min: 0.5, max_drop: 0.1, keep_passing: true, must_pass: [w00]}")
    save_baseline(project)
    slices = "llmops:\n  slices: {by: [kind], thresholds: {compare.accuracy: '>= 0.9'}}\n  gate: {repeat: 2}\n"
    project.replace("experiment.yaml", "llmops:\n", slices)
    shouts_wrong(project, 10, 11)
    found = []
    for arguments in ((), WITHOUT_XDIST, ("-n", "2")):
        project.run("--llmops-no-cache", *arguments)
        document = json.dumps(project.report()["gates"], sort_keys=True)
        found.append(document)
    assert found[0] == found[1] == found[2]


def test_a_metric_of_two_evaluators_is_a_usage_error(project: Project) -> None:
    given(project, "'>= 0.5'")
    other = "- name: compare.more\n  flow: compare:compare\n  thresholds: {accuracy: '>= 0.9'}\n  datasets:"
    project.replace(
        "experiment.yaml",
        "llmops:\n",
        f"{other}\n  - {{name: words, mappings: {{answer: '${{run.outputs.loud}}', gold: '${{data.gold}}'}}}}\n"
        "llmops:\n",
    )
    project.replace("experiment.yaml", "      accuracy: '>= 0.5'\n", "      more.accuracy: '>= 0.5'\n")
    result = project.run()
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        [
            "evals/shouting/experiment.yaml:*: compare.more.accuracy: evaluators 'compare' and 'compare.more' both "
            "have a metric of this name; rename one of the evaluators"
        ]
    )


def test_what_the_data_says_is_not_in_gate_json(project: Project) -> None:
    given(project, "'>= 0.5'")
    project.write_rows("words.jsonl", [{"id": "##vso[x]", "word": "a", "gold": "A!"}] * 2)
    assert project.run().ret == 4
    reasons = project.report("gate.json")["reasons"]
    assert "vso" not in str(reasons)
    assert "evals/shouting/experiment.yaml:12: evaluators.compare.datasets.words.key: (see summary.md)" in reasons
