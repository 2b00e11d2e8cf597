"""What a session would do, exact."""

from __future__ import annotations

import pytest
from report_samples import HOSTILE

from pytest_llmops.records.run import Row, RunResult, Tokens
from pytest_llmops.reports.plan import PlannedRun, plan_lines

NOW = 1_000_000.0


def planned(cell: str = "ner-general-terse", name: str = "run", **changes: object) -> PlannedRun:
    fields: dict[str, object] = {"file": "evals/ner/experiment.yaml", "experiment": "ner", "rows": 20}
    return PlannedRun(cell=cell, name=name, **{**fields, **changes})  # type: ignore[arg-type]


def kept(hours: float, calls: int | None = 0) -> RunResult:
    rows = tuple(
        Row(line_number=number, inputs={}, output={}, tokens=Tokens(total=60), recorded=NOW - hours * 3600)
        for number in range(2)
    )
    return RunResult(status="Completed", rows=rows, llm_calls=calls, recorded=NOW - hours * 3600 + 5)


def test_a_plan_of_two_experiments() -> None:
    runs = [
        planned(reused=kept(3, calls=2), rows=2),
        planned(name="matcher", rows=2, reasons=("flow file match.py changed", "package openai 1.0 -> 1.1")),
        planned(cell="ner-general-few_shot", reasons=("never run before",)),
        planned(cell="ner-general-few_shot", name="matcher", reasons=("the run that it evaluates does",)),
        planned(
            cell="a-b-c", rows=None, file="evals/b/experiment.yaml", experiment="b", reasons=("--llmops-no-cache",)
        ),
    ]
    assert plan_lines(runs, now=NOW) == [
        "ner (evals/ner/experiment.yaml)",
        "  cell                  run      rows  LLM calls  tokens",
        "  ner-general-terse     run         2          0       0  reused, 3 hours old",
        "                        matcher     2          ?       ?"
        "  runs: flow file match.py changed; package openai 1.0 -> 1.1",
        "  ner-general-few_shot  run        20          ?       ?  runs: never run before",
        "                        matcher    20          ?       ?  runs: the run that it evaluates does",
        "",
        "b (evals/b/experiment.yaml)",
        "  cell   run  rows  LLM calls  tokens",
        "  a-b-c  run     ?          ?       ?  runs: --llmops-no-cache",
        "",
        "to run: 4 of 5 runs, ? rows",
        "expected: LLM calls ?, tokens ?",
        "reused: 1 run, which took 2 LLM calls and 120 tokens",
    ]


def test_recorded_answers_cost_nothing() -> None:
    runs = [
        planned(asks=False, reasons=("never run before",)),
        planned(name="matcher", asks=False, reused=kept(0.02, calls=2), rows=2),
    ]
    assert plan_lines(runs, now=NOW)[2:] == [
        "  ner-general-terse  run        20          0       0  runs: never run before",
        "                     matcher     2          0       0  reused, 72 seconds old",
        "",
        "to run: 1 of 2 runs, 20 rows at most",
        "expected: LLM calls 0, tokens 0",
        "reused: 1 run, which took 2 LLM calls and 120 tokens from cassettes",
    ]


def test_calls_that_a_workspace_did_not_tell_are_not_counted_as_none() -> None:
    runs = [planned(reused=kept(50, calls=calls), rows=2) for calls in (None, 3)]
    assert plan_lines(runs, now=NOW)[-1] == "reused: 2 runs, which took ? LLM calls and 240 tokens"


def test_all_reused() -> None:
    assert plan_lines([planned(reused=kept(50, calls=1), rows=2)], now=NOW)[2:] == [
        "  ner-general-terse  run     2          0       0  reused, 2 days old",
        "",
        "to run: 0 of 1 run, 0 rows",
        "expected: LLM calls 0, tokens 0",
        "reused: 1 run, which took 1 LLM call and 120 tokens",
    ]


def test_variants_are_told_apart_however_long_their_names_are() -> None:
    cells = [f"{'a-flow-with-a-long-name-' * 3}+node.{variant}" for variant in ("first", "second")]
    lines = plan_lines([planned(cell=cell) for cell in cells], now=NOW)
    assert [line.split()[0] for line in lines[2:4]] == cells


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names(text: str) -> None:
    for line in plan_lines([planned(cell=text, name=text, experiment=text, file=text, reasons=(text,))], now=NOW):
        assert "##vso[" not in line
        assert not any(ord(character) < 32 for character in line)
