"""Cloud runs against recordings of Azure: the real SDKs, what the service really answered, and no connection at all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure_cassettes import answers, last_state, recorded, requests_of
from vcr.errors import CannotOverwriteExistingCassetteException

from pytest_llmops.azure.runs import CloudRuns, Submission
from pytest_llmops.engines.azureml.collecting import collect
from pytest_llmops.records.run import RunResult


@pytest.fixture(autouse=True)
def _one_request_at_a_time(azure_sdks: object, loopback_only: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings can't be played to several threads at once."""
    from promptflow.azure.operations import _run_operations as operations

    pool = operations.ThreadPoolExecutor
    monkeypatch.setattr(operations, "ThreadPoolExecutor", lambda: pool(max_workers=1))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Flows and data of our own, named as those that were recorded."""
    write_flow(tmp_path / "web_classification", "url", "classify_with_llm.jinja2")
    write_flow(tmp_path / "hello-world", "name", "hello_world.py")
    write_flow(tmp_path / "eval-classification-accuracy", "prediction", "calculate_accuracy.py")
    write_flow(tmp_path / "partial_fail", "key", "data.jsonl")
    for name in ("webClassification1.jsonl", "webClassification3.jsonl", "data.jsonl"):
        (tmp_path / name).write_text('{"url": "https://example.org", "answer": "Channel"}\n', encoding="utf-8")
    return tmp_path


def write_flow(folder: Path, name: str, other: str) -> None:
    """Write a flow with one more file, the one that the SDK asks the blob store for."""
    folder.mkdir()
    text = f"inputs:\n  {name}: {{type: string}}\noutputs: {{}}\nnodes: []\n"
    (folder / "flow.dag.yaml").write_text(text, encoding="utf-8")
    (folder / other).write_text("", encoding="utf-8")


def web_classification(files: Path, name: str, data: str) -> Submission:
    """Return the run of the flow that most recordings are of."""
    return Submission(
        name=name,
        flow=files / "web_classification" / "flow.dag.yaml",
        data=data if data.startswith("azureml:") else str(files / data),
        column_mapping={"url": "${data.url}"},
        variant="${summarize_text_content.variant_0}",
    )


def evaluation(files: Path, output: str) -> Submission:
    """Return the evaluation that is chained on a run in the recordings."""
    return Submission(
        name="eval_run_name",
        flow=files / "eval-classification-accuracy" / "flow.dag.yaml",
        data=str(files / "webClassification3.jsonl"),
        parent="batch_run_name",
        column_mapping={"groundtruth": "${data.answer}", "prediction": f"${{run.outputs.{output}}}"},
    )


def hello_world(files: Path) -> Submission:
    """Return a run of a flow without a model."""
    flow, data = files / "hello-world" / "flow.dag.yaml", str(files / "webClassification3.jsonl")
    return Submission(name="batch_run_name", flow=flow, data=data, column_mapping={"name": "${data.url}"})


def collected(runs: CloudRuns, name: str, numbers: tuple[int, ...]) -> RunResult:
    """Return the result of a run that is over in the recording."""
    state = runs.find(name)
    assert state is not None
    assert state.is_over
    return collect(state, runs.lines(name), {}, numbers)


def test_a_run_is_submitted_as_recorded(files: Path) -> None:
    with recorded("test_run_bulk") as (client, cassette):
        CloudRuns(client).submit(web_classification(files, "name", "webClassification1.jsonl"))
        assert requests_of(cassette, "/BulkRuns/submit$") == 1


def test_an_evaluation_is_chained_on_a_run_in_the_cloud(files: Path) -> None:
    with recorded("test_basic_evaluation") as (client, cassette):
        runs = CloudRuns(client)
        runs.submit(web_classification(files, "batch_run_name", "webClassification3.jsonl"))
        runs.submit(evaluation(files, "category"))
        assert requests_of(cassette, "/BulkRuns/submit$") == 2
        state = runs.find("batch_run_name")
    assert state is not None
    assert (state.status, state.error) == ("Completed", "")
    assert state.duration == pytest.approx(13.082869, abs=1e-5)


def test_metrics_are_those_of_the_recording(files: Path) -> None:
    with recorded("test_show_metrics") as (client, _):
        runs = CloudRuns(client)
        runs.submit(hello_world(files))
        runs.submit(evaluation(files, "result"))
        metrics = runs.metrics("eval_run_name")
    (held,) = answers("test_show_metrics", "/runs/eval_run_name/lastvalues$")
    values = {metric["name"]: metric["value"][0]["data"][metric["name"]] for metric in held["value"]}
    assert metrics == {name: value for name, value in values.items() if not name.startswith("__pf__")}
    assert metrics == {"accuracy": 0.0}


def test_rows_are_those_of_the_recording(files: Path) -> None:
    with recorded("test_show_run_details") as (client, cassette):
        runs = CloudRuns(client)
        runs.submit(hello_world(files))
        result = collected(runs, "batch_run_name", (0, 1, 2))
        assert requests_of(cassette, "/childRuns") == 2
    held = sorted(answers("test_show_run_details", "/childRuns.*startIndex=0")[0], key=lambda child: child["index"])
    assert [(row.line_number, row.output) for row in result.rows] == [(c["index"], c["output"]) for c in held]
    assert [row.duration for row in result.rows] == [child["system_metrics"]["duration"] for child in held]
    assert all("line_number" not in row.inputs for row in result.rows)
    assert [row.inputs["name"] for row in result.rows] == [child["inputs"]["name"] for child in held]
    assert (result.status, result.error, result.aggregation_error) == ("Completed", None, None)


def test_a_completed_run_with_a_failed_row_has_a_failed_row(files: Path) -> None:
    name = "test_get_detail_against_partial_fail_run"
    with recorded(name) as (client, _):
        runs = CloudRuns(client)
        flow = files / "partial_fail" / "flow.dag.yaml"
        runs.submit(Submission(name="name", flow=flow, data=str(files / "data.jsonl")))
        result = collected(runs, "name", (0, 1, 2))
    assert (result.status, result.aggregation_error) == ("Completed", None)
    assert [row.failed for row in result.rows] == [False, True, False]
    assert result.rows[1].error == "Execution failure in 'print_env': (Exception) expected raise!"
    assert last_state(name, "name")["status"] == "Completed"


def test_a_row_that_the_service_leaves_out_is_a_failed_row(files: Path) -> None:
    with recorded("test_show_run_details") as (client, _):
        runs = CloudRuns(client)
        runs.submit(hello_world(files))
        result = collected(runs, "batch_run_name", (0, 1, 2, 3))
    assert [row.failed for row in result.rows] == [False, False, False, True]
    assert result.rows[3].error == "the service tells nothing of this line"


def test_a_row_that_the_data_does_not_have_fails_the_run(files: Path) -> None:
    with recorded("test_show_run_details") as (client, _):
        runs = CloudRuns(client)
        runs.submit(hello_world(files))
        result = collected(runs, "batch_run_name", (0, 1))
    said = "run 'batch_run_name': the service tells of lines that the data does not have: 2"
    assert (result.status, result.error, result.rows) == ("Failed", said, ())


def test_a_run_is_cancelled(files: Path) -> None:
    with recorded("test_cancel_run") as (client, cassette):
        runs = CloudRuns(client)
        runs.submit(web_classification(files, "name", "webClassification1.jsonl"))
        runs.cancel("name")
        assert requests_of(cassette, "/BulkRuns/name/cancel$") == 1
        state = runs.find("name")
    assert state is not None
    assert (state.status, state.is_over) == (last_state("test_cancel_run", "name")["status"], False)


def test_a_data_asset_is_named_and_not_uploaded(files: Path) -> None:
    with recorded("test_run_with_remote_data") as (client, cassette):
        CloudRuns(client).submit(web_classification(files, "name2", "azureml:webClassification1:1"))
        assert requests_of(cassette, "/webClassification1.jsonl$") == 0
        assert requests_of(cassette, "/BulkRuns/submit$") == 1


def test_a_run_that_is_not_there_is_none_and_no_error() -> None:
    with recorded("test_get_invalid_run_cases") as (client, _):
        assert CloudRuns(client).find("non_exist_run") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"column_mapping": {"url": "${data.link}"}},
        {"variant": "${summarize_text_content.variant_1}"},
        {"name": "another_name"},
        {"data": "azureml:webClassification1:2"},
        {"environment_variables": {"MODE": "strict"}},
        {"tags": {"build": "7"}},
        {"instance_type": "Standard_DS3_v2"},
        {"parent": "batch_run_name"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_submitted_otherwise_than_recorded_is_noticed(files: Path, wrong: dict[str, Any]) -> None:
    with recorded("test_run_bulk") as (client, cassette):
        # Where the recording has a run of that name, it passes for the one that was to be made.
        with suppress(CannotOverwriteExistingCassetteException):
            right = web_classification(files, "name", "webClassification1.jsonl")
            CloudRuns(client).submit(replace(right, **wrong))
        assert requests_of(cassette, "/BulkRuns/submit$") == 0
