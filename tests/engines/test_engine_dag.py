"""DAG flows on the local engine: outputs, metrics, variants, environment, includes, and what can go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Connection, Flow
from pytest_llmops.records.run import RunRequest, RunResult, Variant

Run = Callable[..., RunResult]

TICKETS = [
    {"text": " Invoice 1 ", "gold": "billing"},
    {"text": "hello", "gold": "billing"},
    {"text": "help", "gold": "support"},
]


def test_rows_and_metrics(run: Run) -> None:
    result = run("triage", data=TICKETS)
    assert (result.status, result.error, result.aggregation_error) == ("Completed", None, None)
    assert [row.line_number for row in result.rows] == [0, 1, 2]
    assert result.rows[0].inputs == {"text": " Invoice 1 ", "gold": "billing", "strict": False}
    assert [row.output for row in result.rows] == [
        {"queue": "billing", "correct": True},
        {"queue": "support", "correct": False},
        {"queue": "support", "correct": True},
    ]
    assert result.metrics == {"rows": 3, "accuracy": 2 / 3}
    assert all(row.duration > 0 for row in result.rows)
    assert result.duration > 0
    assert result.llm_calls == 0


def test_failed_rows_are_left_out_of_the_metrics_but_not_of_the_result(run: Run) -> None:
    result = run("triage", data=TICKETS, column_mapping={"text": "${data.text}", "strict": True})
    assert result.status == "Completed"
    assert [row.error for row in result.rows] == [
        None,
        "Execution failure in 'choose': (ValueError) no queue for 'hello'",
        "Execution failure in 'choose': (ValueError) no queue for 'help'",
    ]
    assert result.rows[1].inputs == {"text": "hello", "gold": "billing", "strict": True}
    assert result.metrics == {"rows": 1, "accuracy": 1.0}


def test_progress_counts_rows(engine: LocalEngine, flow: Callable[..., Flow]) -> None:
    steps: list[tuple[int, int]] = []
    engine.run(RunRequest(flow=flow("triage"), data=TICKETS), progress=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == ((0, 3), (3, 3))


@pytest.mark.parametrize(
    ("name", "content", "numbers"),
    [
        ("t.jsonl", '{"text": "invoice", "gold": "billing"}\n\n{"text": "x", "gold": "support"}\n', [0, 1]),
        ("t.json", '[{"text": "invoice", "gold": "billing"}, {"text": "x", "gold": "support"}]', [0, 1]),
        ("t.csv", "text,gold\ninvoice,billing\nx,support\n", [0, 1]),
        ("t.tsv", "text\tgold\ninvoice\tbilling\nx\tsupport\n", [0, 1]),
        ("t.csv", "text,gold,line_number\ninvoice,billing,7\nx,support,3\n", [3, 7]),
    ],
)
def test_data_files(run: Run, tmp_path: Path, name: str, content: str, numbers: list[int]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    result = run("triage", data=tmp_path / name)
    assert [row.line_number for row in result.rows] == numbers
    assert result.metrics == {"rows": 2, "accuracy": 1.0}


def test_folder_of_data_and_max_rows(run: Run, tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"text": "invoice", "gold": "billing"}\n' * 3, encoding="utf-8")
    assert len(run("triage", data=tmp_path).rows) == 6
    assert len(run("triage", data=tmp_path, max_rows=4).rows) == 4
    assert len(run("triage", data=TICKETS, max_rows=2).rows) == 2


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('{"text": "a"}\n{"text": \n', "bad.jsonl:2: not valid JSON: Expecting value at column 10"),
        ('\ufeff{"text": "a"}\n', "bad.jsonl:1: starts with a byte order mark; save the file as UTF-8 without it"),
        ("", "the source 'data' has no rows"),
        (
            '{"text": "a", "gold": "b", "line_number": 4}\n{"text": "a", "gold": "b", "line_number": 4}\n',
            "the source 'data' has line_number 4 more than once",
        ),
        (
            '{"text": "a", "gold": "b", "line_number": 4}\n{"text": "a", "gold": "b"}\n',
            "row 2 of the source 'data' has line_number nan, not a whole number",
        ),
        (
            '{"text": "a"}\n',
            "The input for batch run is incorrect. Couldn't find these mapping relations: ${data.gold}. "
            "Please make sure your input mapping keys and values match your YAML input section and input data. "
            "For more information, refer to the following documentation: https://aka.ms/pf/column-mapping",
        ),
    ],
)
def test_data_that_can_not_be_used(run: Run, tmp_path: Path, content: str, error: str) -> None:
    (tmp_path / "bad.jsonl").write_text(content, encoding="utf-8")
    result = run("triage", data=tmp_path / "bad.jsonl")
    assert (result.status, result.rows, result.error) == ("Failed", (), error)


def test_missing_data(run: Run, tmp_path: Path) -> None:
    assert run("triage", data=tmp_path / "none.jsonl").error == "none.jsonl: no such file or folder"
    assert run("triage").error == "the run has no data"


def test_constant_mapping_is_refused_as_by_prompt_flow(run: Run) -> None:
    assert run("triage", data=TICKETS, column_mapping={"strict": True}).error == (
        "Column mapping must contain at least one mapping binding, "
        "current column mapping contains all static values: {'strict': True}"
    )


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        (Variant(), "Hi Ann."),
        (Variant(nodes={"greet": "long"}), "Good morning Ann."),
        (Variant(nodes={"greet": "long", "close": "loud"}), "Good morning Ann!!"),
        (Variant(nodes={"close": "loud"}, overrides={"close.times": 3, "greet.left": "Dear "}), "Dear Ann!!!"),
    ],
)
def test_variants_of_several_nodes_and_overrides(run: Run, variant: Variant, text: str) -> None:
    result = run("greeting", data=[{"name": "Ann"}], variant=variant)
    assert [row.output for row in result.rows] == [{"text": text}]


@pytest.mark.parametrize(
    ("variant", "error"),
    [
        (Variant(nodes={"gret": "long"}), "the flow has no node 'gret'; did you mean 'greet'?"),
        (Variant(nodes={"greet": "lon"}), "node 'greet' has no variant 'lon'; it has short, long"),
        (Variant(nodes={"plain": "long"}), "node 'plain' has no variants"),
        (Variant(overrides={"clos.x": 3}), "override 'clos.x': the flow has no node 'clos'; did you mean 'close'?"),
        (
            Variant(overrides={"close.time": 3}),
            "override 'close.time': node 'close' has no input 'time'; did you mean 'times'?",
        ),
    ],
)
def test_variants_and_overrides_that_the_flow_does_not_have(run: Run, variant: Variant, error: str) -> None:
    result = run("greeting", data=[{"name": "Ann"}], variant=variant)
    assert (result.status, result.error) == ("Failed", error)


def test_environment_variables(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_TEST_OUTER", "from outside")
    names = ["LIST", "MAP", "NUMBER", "FLAG", "TEXT", "KEY", "OUTER", "NONE"]
    result = run(
        "settings",
        data=[{"name": f"LLMOPS_TEST_{name}"} for name in names],
        environment_variables={"LLMOPS_TEST_TEXT": "from the run"},
        connections=(Connection(name="keeper", type="CustomConnection", values={}, secrets={"api_key": "s3cret"}),),
    )
    values = [row.output["value"] if row.output else None for row in result.rows]
    assert values == ['[1, "two"]', '{"a": 1}', "5", "True", "from the run", "s3cret", "from outside", "unset"]


def test_environment_variable_that_refers_to_a_missing_connection(run: Run) -> None:
    assert run("settings", data=[{"name": "X"}]).error == (
        "environment variable LLMOPS_TEST_KEY refers to connection 'keeper', which is not configured"
    )


def test_additional_includes_leave_the_flow_folder_alone(run: Run) -> None:
    result = run("included", data=[{"text": "a b c"}])
    assert [row.output for row in result.rows] == [{"count": 3}]
    folder = Path(__file__).parent / "flows" / "included"
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"flow.dag.yaml", "count.py"}


def test_same_named_helpers_and_working_directory_of_flows_at_the_same_time(run: Run) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda name: run(name, data=[{"text": "x"}] * 5), ["helper_one", "helper_two"] * 4))
    for index, result in enumerate(results):
        name = ("one", "two")[index % 2]
        outputs = [row.output for row in result.rows]
        assert outputs == [{"eager": name, "lazy": f"late {name}", "file": f"table {name}"}] * 5


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("raise", "Execution failure in 'act': (ValueError) first"),
        ("exit", "the flow called sys.exit(3)"),
        (
            "object",
            "The output 'result' for flow is incorrect. The output value is not JSON serializable. JSON dump failed: "
            "(TypeError) Object of type object is not JSON serializable. "
            "Please verify your flow output and make sure the value serializable.",
        ),
    ],
)
def test_rows_that_fail(run: Run, what: str, error: str) -> None:
    result = run("trouble", data=[{"what": what}, {"what": "fine"}])
    assert result.status == "Completed"
    assert [row.error for row in result.rows] == [error, None]
    assert [row.line_number for row in result.failed] == [0]


def test_outputs_are_plain_json_values(run: Run) -> None:
    result = run("trouble", data=[{"what": "tuple"}, {"what": "nan"}])
    assert result.rows[0].output == {"result": [1, 2]}
    assert result.rows[1].output is not None
    assert math.isnan(result.rows[1].output["result"])


def test_input_of_the_wrong_type_fails_its_row(run: Run) -> None:
    result = run(
        "trouble",
        data=[{"what": "fine", "number": 1}, {"what": "fine", "number": "many"}],
        column_mapping={"number": "${data.number}"},
    )
    assert [row.error for row in result.rows] == [
        None,
        "The input for flow is incorrect. The value for flow input 'number' in line 1 of input data does not match the "
        "expected type 'int'. Please change flow input type or adjust the input value in your input data.",
    ]


def test_line_timeout_fails_that_line_only(run: Run) -> None:
    result = run("trouble", data=[{"what": "fine"}, {"what": "sleep"}, {"what": "fine"}], line_timeout=0.2)
    assert [row.error for row in result.rows] == [None, "Line 1 execution timeout for exceeding 0.2 seconds", None]


def test_flow_that_does_not_load(run: Run) -> None:
    result = run("broken", data=[{"text": "x"}])
    assert result.status == "Failed"
    assert result.error is not None
    assert result.error.startswith("Tool load failed in 'a': (PythonLoadError) Failed to load python module from file")
    assert result.error.endswith("a.py': (ModuleNotFoundError) No module named 'a_module_that_is_not_there'")


def test_flow_that_is_not_yaml(run: Run) -> None:
    assert run("broken_yaml", data=[{"text": "x"}]).error == (
        "flow.dag.yaml:3: not valid YAML: expected ',' or '}', but got ':'"
    )


def test_aggregation_that_fails_keeps_the_metrics_logged_before(run: Run) -> None:
    result = run("half_measured", data=[{"value": 1}, {"value": -1}, {"value": "3"}])
    assert result.metrics == {"pairs": [[1, 3], [1, 3]]}
    assert result.aggregation_error == "Execution failure in 'measure': (ZeroDivisionError) no mean of nothing"
    assert result.status == "Completed"


def test_aggregation_over_no_completed_row_gets_empty_lists(run: Run) -> None:
    result = run("half_measured", data=[{"value": -1}])
    assert result.metrics == {"pairs": [[], []]}
    assert result.aggregation_error == "Execution failure in 'measure': (ZeroDivisionError) no mean of nothing"


def test_secrets_of_connections_are_removed_from_messages(run: Run) -> None:
    result = run(
        "trouble",
        data=[{"what": "leak"}],
        environment_variables={"LLMOPS_TEST_SECRET": "${keeper.api_key}"},
        connections=(Connection(name="keeper", type="custom", values={}, secrets={"api_key": "s3cret-key"}),),
    )
    assert [row.error for row in result.rows] == ["Execution failure in 'act': (ValueError) key *** is wrong"]
