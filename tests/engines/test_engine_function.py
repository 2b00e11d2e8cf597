"""Plain Python callables on the local engine: no prompt flow involved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llmops.records.run import RunResult, Variant

Run = Callable[..., RunResult]

ANSWERS = [{"answer": "a", "gold": "a"}, {"answer": "boom", "gold": "a"}, {"answer": "b", "gold": "a"}]
MODULE = "plain/functions.py"


def test_function_with_metrics(run: Run) -> None:
    result = run(MODULE, "functions:grade", data=ANSWERS)
    assert [row.output for row in result.rows] == [{"correct": 1}, None, {"correct": 0}]
    assert [row.error for row in result.rows] == [None, "Execution failure in 'grade': (ValueError) boom", None]
    assert result.rows[0].inputs == {"answer": "a", "gold": "a"}
    assert result.metrics == {"accuracy": 0.5, "n": 2}


def test_default_wins_over_the_data_unless_it_is_mapped(run: Run) -> None:
    data = [{"answer": "a", "gold": "a", "weight": 5}]
    assert run(MODULE, "functions:grade", data=data).rows[0].output == {"correct": 1}
    mapped = run(MODULE, "functions:grade", data=data, column_mapping={"weight": "${data.weight}"})
    assert mapped.rows[0].output == {"correct": 5}


@pytest.mark.parametrize(
    ("entry", "output"),
    [
        ("functions:loud", {"output": "A!"}),
        ("functions:place", {"output": "plain"}),
        ("functions:pair", {"left": "a", "right": 1}),
    ],
)
def test_outputs_become_objects(run: Run, entry: str, output: object) -> None:
    assert run(MODULE, entry, data=ANSWERS[:1]).rows[0].output == output


def test_context_variables_do_not_leak_from_line_to_line(run: Run) -> None:
    result = run(MODULE, "functions:later", data=ANSWERS, concurrency=1)
    assert [row.output for row in result.rows] == [{"output": f"none {row['answer']}"} for row in ANSWERS]


def test_keyword_arguments_take_what_is_mapped(run: Run) -> None:
    result = run(MODULE, "functions:everything", data=ANSWERS[:1], column_mapping={"x": "${data.gold}", "y": 1})
    assert result.rows[0].output == {"x": "a", "y": 1}


def test_environment_variables(run: Run) -> None:
    result = run(MODULE, "functions:setting", data=[{"name": "A_NAME"}], environment_variables={"A_NAME": "a value"})
    assert result.rows[0].output == {"output": "a value"}


def test_class_with_init_and_async_aggregate(run: Run) -> None:
    result = run(MODULE, "judge:Judge", data=ANSWERS, variant=Variant(init={"bonus": 2}))
    assert [row.output for row in result.rows] == [{"score": 3}, {"score": 2}, {"score": 2}]
    assert result.metrics == {"mean": 7 / 3}


def test_output_that_json_can_not_hold(run: Run) -> None:
    assert run(MODULE, "functions:unserializable", data=ANSWERS[:1]).rows[0].error == (
        "The output 'it' for flow is incorrect. The output value is not JSON serializable. JSON dump failed: "
        "(TypeError) Object of type object is not JSON serializable. Please verify your flow output and make sure the "
        "value serializable."
    )


def test_aggregate_errors(run: Run) -> None:
    assert run(MODULE, "judge:Odd", data=ANSWERS).aggregation_error == (
        "'__aggregate__' returned str, not a dict of metrics"
    )
    assert run(MODULE, "functions:loud", data=ANSWERS).aggregation_error == (
        "Execution failure in 'aggregate': (KeyError) 'correct'"
    )


def test_line_timeout(run: Run) -> None:
    result = run(MODULE, "functions:slow", data=[{"answer": "quick"}, {"answer": "slow"}], line_timeout=0.2)
    assert [row.error for row in result.rows] == [None, "Line 1 execution timeout for exceeding 0.2 seconds"]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ("functions:nothing", "'functions' has no function or class 'nothing'"),
        ("judge:Silent", "can't make a 'Silent' with (): (ValueError) not today"),
        ("broken:x", "can't import 'broken': (ModuleNotFoundError) No module named 'nothing_of_that_name'"),
    ],
)
def test_callable_that_does_not_load(run: Run, entry: str, error: str) -> None:
    result = run(MODULE, entry, data=ANSWERS)
    assert (result.status, result.error) == ("Failed", error)


def test_missing_column_and_data(run: Run, tmp_path: Path) -> None:
    assert run(MODULE, "functions:grade", data=[{"answer": "a"}]).error == (
        "the column mapping reads what the data does not have: ${data.gold}"
    )
    assert run(MODULE, "functions:grade").error == "the run has no data"
    assert run(MODULE, "functions:grade", data=tmp_path / "x.jsonl").error == "x.jsonl: No such file or directory"
