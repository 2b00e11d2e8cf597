"""Evaluations: runs over the outputs and inputs of another run, with gold rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_llmops.records.run import RunResult

Run = Callable[..., RunResult]

TICKETS = [{"text": "invoice"}, {"text": "hello"}, {"text": "invoice 3"}, {"text": "invoice 4"}]
GOLD = [{"gold": "billing"}, {"gold": "billing"}, {"gold": "support"}, {"gold": "billing"}]
OUTPUTS = [{"line_number": number, "queue": "billing"} for number in (0, 2, 3)]
MAPPING = {"queue": "${run.outputs.queue}", "gold": "${data.gold}", "text": "${run.inputs.text}"}


def test_rows_that_failed_in_the_parent_are_not_evaluated(run: Run) -> None:
    result = run("matcher", data=GOLD, run_outputs=OUTPUTS, run_inputs=TICKETS, column_mapping=MAPPING)
    assert [(row.line_number, row.output) for row in result.rows] == [
        (0, {"match": 1, "text": "invoice"}),
        (2, {"match": 0, "text": "invoice 3"}),
        (3, {"match": 1, "text": "invoice 4"}),
    ]
    assert result.metrics == {"match_rate": 2 / 3}


def test_files_as_sources(run: Run, tmp_path: Path) -> None:
    gold, tickets = tmp_path / "gold.csv", tmp_path / "tickets.jsonl"
    gold.write_text("gold\nbilling\nbilling\nsupport\nbilling\n", encoding="utf-8")
    tickets.write_text("".join(f'{{"text": "{row["text"]}"}}\n' for row in TICKETS), encoding="utf-8")
    result = run("matcher", data=gold, run_outputs=OUTPUTS, run_inputs=tickets, column_mapping=MAPPING)
    assert result.metrics == {"match_rate": 2 / 3}


def test_chained_on_a_run_of_this_engine(run: Run) -> None:
    parent = run("triage", data=[{**ticket, "gold": "billing"} for ticket in TICKETS])
    outputs = [{"line_number": row.line_number, **(row.output or {})} for row in parent.completed]
    result = run("matcher", data=GOLD, run_outputs=outputs, run_inputs=TICKETS, column_mapping=MAPPING)
    assert [row.output["match"] if row.output else None for row in result.rows] == [1, 0, 0, 1]


def test_gold_of_another_length(run: Run) -> None:
    result = run("matcher", data=GOLD[:3], run_outputs=OUTPUTS, run_inputs=TICKETS, column_mapping=MAPPING)
    assert result.status == "Failed"
    assert result.error is not None
    assert "Line numbers are not aligned" in result.error
    assert "{'data': 3, 'run.inputs': 4}" in result.error


def test_max_rows_limits_every_source(run: Run) -> None:
    result = run("matcher", data=GOLD, run_outputs=OUTPUTS, run_inputs=TICKETS, column_mapping=MAPPING, max_rows=3)
    assert [row.line_number for row in result.rows] == [0, 2]


def test_parent_without_completed_rows(run: Run) -> None:
    result = run("matcher", data=GOLD, run_outputs=[], run_inputs=TICKETS, column_mapping=MAPPING)
    assert (result.status, result.error) == (
        "Failed",
        "no row of the parent run completed, so there is nothing to run on",
    )


def test_plain_callable_as_evaluator(run: Run) -> None:
    result = run(
        "plain/functions.py",
        "functions:grade",
        data=GOLD,
        run_outputs=OUTPUTS,
        run_inputs=TICKETS,
        column_mapping={"answer": "${run.outputs.queue}", "gold": "${data.gold}"},
    )
    assert [row.line_number for row in result.rows] == [0, 2, 3]
    assert result.metrics == {"accuracy": 2 / 3, "n": 3}
