"""--llmops-plan: what it says, and that it does nothing."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from project import ROWS, Project

HEADS = "  cell                 run      rows  LLM calls  tokens"
AGE = re.compile(r"reused, \d+ seconds? old")


def planned(project: Project, *arguments: str, code: int = 0) -> list[str]:
    """The plan of a project, without ages."""
    result = project.run("--llmops-plan", *arguments)
    assert result.ret == code
    lines = [line for line in result.outlines if line]
    starts = [number for number, line in enumerate(lines) if "= llmops plan =" in line]
    assert len(starts) == 1
    ends = [number for number, line in enumerate(lines) if number > starts[0] and line.startswith("=")]
    return [AGE.sub("reused, just now", line) for line in lines[starts[0] + 1 : ends[0]]]


def runs_of(lines: list[str]) -> list[str]:
    """The lines of a plan that are about runs."""
    about_gates = ("  last value  ", " compare.accuracy >= ", "detects a drop of: ", "fails unchanged, ")
    return [line for line in lines if not any(text in line for text in about_gates)]


def table(run: str, compare: str) -> list[str]:
    return [
        "shouting (evals/shouting/experiment.yaml)",
        HEADS,
        f"  shout-words-default  run      {run}",
        f"                       compare  {compare}",
    ]


NOTHING_KEPT = [
    *table(
        "   4          0       0  runs: never run before",
        "   4          0       0  runs: the run that it evaluates does",
    ),
    "to run: 2 of 2 runs, 8 rows at most",
    "expected: LLM calls 0, tokens 0",
]
ALL_REUSED = [
    *table("   4          0       0  reused, just now", "   4          0       0  reused, just now"),
    "to run: 0 of 2 runs, 0 rows",
    "expected: LLM calls 0, tokens 0",
    "reused: 2 runs, which took 0 LLM calls and 0 tokens",
]


@pytest.mark.usefixtures("own_processes")
def test_nothing_is_executed_or_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert runs_of(planned(project, "-p", "no:xdist")) == NOTHING_KEPT
    assert not (project.path / "reports").exists()
    assert not (project.path / ".llmops").exists()
    assert not (project.folder / "calls.txt").exists()


def test_what_is_kept_is_reused_and_the_decision_stays(project: Project) -> None:
    project.run().assert_outcomes(passed=2)
    before = (project.path / "reports" / "gate.json").read_bytes()
    assert runs_of(planned(project)) == ALL_REUSED
    assert (project.path / "reports" / "gate.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "old", "new", "run", "compare"),
    [
        (
            *("compare.py", '"accuracy": sum', '"accuracy": 0.0 + sum'),
            *("reused, just now", "runs: flow file compare.py changed"),
        ),
        (
            *("shout.py", "word.upper()", "word.title()"),
            *("runs: flow file shout.py changed", "runs: the run that it evaluates does"),
        ),
        (
            *("words.jsonl", '"gold": "4"', '"gold": "four"'),
            *("runs: data: 1 of 4 rows is new, 1 is gone", "runs: the run that it evaluates does"),
        ),
    ],
)
def test_each_miss_has_its_reason(project: Project, name: str, old: str, new: str, run: str, compare: str) -> None:
    project.run().assert_outcomes(passed=2)
    project.replace(name, old, new)
    assert planned(project)[:4] == table(f"   4          0       0  {run}", f"   4          0       0  {compare}")


def test_new_rows_are_told(project: Project) -> None:
    project.run().assert_outcomes(passed=2)
    project.write_rows("words.jsonl", [*ROWS, {"word": "five", "gold": "FIVE!"}])
    assert (
        planned(project)[2] == "  shout-words-default  run         5          0       0  runs: data: 1 of 5 rows is new"
    )


def test_what_the_settings_forbid_to_reuse(project: Project) -> None:
    project.run().assert_outcomes(passed=2)
    assert planned(project, "--llmops-no-cache")[2].endswith("  runs: --llmops-no-cache")
    assert planned(project, "--llmops-max-age", "0s")[2].endswith("  runs: older than --llmops-max-age 0s")


def test_calls_of_a_live_run_are_not_known_before(project: Project) -> None:
    assert runs_of(planned(project, "--llmops-llm", "live")) == [
        *table(
            "   4          ?       ?  runs: never run before",
            "   4          ?       ?  runs: the run that it evaluates does",
        ),
        "to run: 2 of 2 runs, 8 rows at most",
        "expected: LLM calls ?, tokens ?",
    ]


@pytest.mark.parametrize("arguments", [("-n", "2"), ("-n", "2", "--dist", "loadfile"), ("--co",), ("-k", "accuracy")])
def test_with_other_options(project: Project, arguments: tuple[str, ...]) -> None:
    assert runs_of(planned(project, *arguments)) == NOTHING_KEPT


def test_only_selected_cells_are_planned(project: Project) -> None:
    project.write_rows("others.jsonl", ROWS[:1])
    project.replace(
        "experiment.yaml",
        "evaluators:",
        '- name: others\n  source: others.jsonl\n  mappings: {word: "${data.word}"}\nevaluators:',
    )
    lines = planned(project, "-k", "others")
    assert [line.split()[0] for line in lines[2:]] == ["shout-others-default", "to", "expected:"]


def test_other_tests_are_not_run(project: Project) -> None:
    (project.path / "evals" / "test_other.py").write_text("def test_other():\n    assert False\n", encoding="utf-8")
    assert runs_of(planned(project)) == NOTHING_KEPT


def test_python_tests_count(project: Project) -> None:
    code = """
        import pytest

        @pytest.mark.llmops("evals/shouting/experiment.yaml")
        def test_cell(llmops_cell):
            assert False
        """
    test = project.write("test_cells.py", code)
    assert runs_of(planned(project, "-k", "test_cell")) == NOTHING_KEPT
    test.unlink()
    assert runs_of(planned(project, "-k", "nothing", code=pytest.ExitCode.NO_TESTS_COLLECTED)) == [
        "no experiment was selected"
    ]


@pytest.mark.parametrize("arguments", [(), ("--continue-on-collection-errors",)])
def test_a_wrong_experiment_file_exits_with_4(project: Project, arguments: tuple[str, ...]) -> None:
    project.replace("experiment.yaml", 'word: "${data.word}"', 'wrod: "${data.word}"')
    result = project.run("--llmops-plan", *arguments)
    result.stdout.fnmatch_lines(["*experiment.yaml:6: datasets.words.mappings.wrod: *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.path / "reports").exists()


def test_a_torn_ledger_is_said(project: Project) -> None:
    (project.path / ".llmops").mkdir()
    (project.path / ".llmops" / "ledger.db").write_bytes(b"torn" * 1000)
    trouble, *lines = planned(project)
    assert re.fullmatch(r"ledger \S*ledger\.db: it is damaged; .*; delete its folder", trouble)
    assert lines[2].endswith("  runs: the ledger can't be read")


HEADS_OF_GATES = (
    "  cell                 gate                      n  last value  detects a drop of  fails unchanged  unsure"
)


def test_what_each_gate_can_tell(project: Project) -> None:
    notes = [
        "detects a drop of: the smallest true drop, in the metric's units, that the gate fails 4 times in 5",
        "fails unchanged, unsure: how often a flow that did not change fails, or is INCONCLUSIVE, were rows drawn anew",
    ]
    line = "  shout-words-default  compare.accuracy >= 0.75  4  "
    unknown = f"{line}         ?                  ?                ?          fails 1 in 20 at 0.90"
    known = f"{line}      0.75               0.33             26 %"
    assert planned(project)[4:8] == [HEADS_OF_GATES, unknown, *notes]
    project.run()
    assert planned(project)[4:8] == [HEADS_OF_GATES, known, *notes]


def test_a_gate_that_fails_already_and_one_that_does_not_block_are_marked(project: Project) -> None:
    project.replace("experiment.yaml", '">= 0.75"', "{min: 0.9, severity: warn}")
    project.run()
    assert planned(project)[5] == (
        "  shout-words-default  compare.accuracy >= 0.9  4        0.75"
        "                                              fails already; does not block"
    )
