"""Runs in an emulated workspace that executes them: what the engine submits, waits for, collects, finds and cancels."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from azure.identity import CredentialUnavailableError
from azure_blob import Azurite
from azure_emulator import Credential, Emulator
from azure_runs import Cloud, computing

from pytest_llmops.azure import runs
from pytest_llmops.azure.clients import connect
from pytest_llmops.azure.credentials import Login
from pytest_llmops.azure.runs import CloudRuns
from pytest_llmops.engines.azureml import AzureMLEngine, polling
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.ledger import Ledger
from pytest_llmops.records.cloud import Compute
from pytest_llmops.records.experiment import Connection, Flow, NodeVariants
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.records.run import RunRequest, RunResult, Variant

FLOWS = Path(__file__).parents[1] / "engines" / "flows"
TICKETS = [
    {"text": " Invoice 1 ", "gold": "billing"},
    {"text": "hello", "gold": "billing"},
    {"text": "help", "gold": "support"},
]
KEEPER = Connection(name="keeper", type="CustomConnection", values={}, secrets={"api_key": "hunter2hunter2"})
STRICT = {"text": "${data.text}", "gold": "${data.gold}", "strict": True}

DAY = 86_400.0

Make = Callable[..., AzureMLEngine]


@pytest.fixture(scope="module")
def compute() -> Iterator[LocalEngine]:
    """What all workspaces of this module run flows on. It is started by the first of them, in its environment."""
    with closing(LocalEngine()) as engine:
        yield engine


@pytest.fixture
def cloud(
    azure: Emulator, azurite: Azurite, compute: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """A workspace with compute, which is asked anew after no time to speak of."""
    monkeypatch.setattr(polling, "_FIRST", 0.02)
    monkeypatch.setattr(polling, "_UNSEEN", 0.2)
    monkeypatch.setattr(runs, "_WAITS", (0.01,) * 5)
    with computing(azure, tmp_path / "cloud", compute) as cloud:
        yield cloud


@pytest.fixture
def make(cloud: Cloud) -> Iterator[Make]:
    """Give a function that makes an engine, as a new session does."""
    client = cloud.emulator.client()
    with ExitStack() as made:
        yield lambda **options: made.enter_context(closing(AzureMLEngine(lambda: client, LocalEngine(), **options)))
        cloud.open.set()


def flow(source: str, **more: Any) -> Flow:
    """Make the record of a flow of the engines' tests."""
    path = FLOWS / source
    file = path if path.is_file() else next(iter(sorted(path.glob("flow.*.yaml"))))
    kind: FlowKind = "flex" if file.name.endswith(".flex.yaml") else "dag"
    return Flow(name=path.stem, kind=kind, file=file, folder=file.parent, **more)


def request(source: str = "triage", **fields: Any) -> RunRequest:
    return RunRequest(**{"flow": flow(source), "data": TICKETS, **fields})


def test_a_run_has_the_rows_and_metrics_that_it_has_on_this_machine(cloud: Cloud, make: Make) -> None:
    result, local = make().run(request()), cloud.engine.run(request())
    assert (result.error, result.aggregation_error, result.status) == (None, None, "Completed")
    assert [(row.line_number, row.inputs, row.output) for row in result.rows] == [
        (row.line_number, row.inputs, row.output) for row in local.rows
    ]
    assert result.metrics == local.metrics
    assert [result.name] == cloud.submissions
    assert all(row.recorded is None for row in result.rows)
    assert result.duration > 0
    assert result.llm_calls == 0


def test_what_a_session_knows_of_a_flow_is_all_that_is_uploaded(
    cloud: Cloud, make: Make, azurite: Azurite, tmp_path: Path
) -> None:
    folder = tmp_path / "triage"
    shutil.copytree(FLOWS / "triage", folder)
    for name in (".env", "cache.pyc", "__pycache__/x.py", ".runs/1.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret", encoding="utf-8")
    before = sorted(folder.rglob("*"))
    assert make().run(request(flow=replace(flow("triage"), file=folder / "flow.dag.yaml", folder=folder))).completed
    blobs = [Path(name) for name in azurite.container(cloud.emulator.container).list_blob_names()]
    uploaded = {blob.name for blob in blobs if blob.parent.name == "triage"}
    assert uploaded == {path.name for path in (FLOWS / "triage").iterdir() if path.is_file()}
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("ignoring", [".amlignore", ".gitignore"])
def test_what_is_not_to_be_uploaded_is_not_and_makes_no_difference(
    cloud: Cloud, make: Make, azurite: Azurite, tmp_path: Path, ignoring: str
) -> None:
    folder = tmp_path / f"ignoring{ignoring[1:]}"
    shutil.copytree(FLOWS / "triage", folder)
    (folder / ignoring).write_text("notes/\n*.log\n", encoding="utf-8")
    for name in ("notes/a.txt", "b.log", "lib/c.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("1", encoding="utf-8")
    noted = request(flow=replace(flow("triage"), file=folder / "flow.dag.yaml", folder=folder))
    assert make().run(noted).completed
    blobs = [Path(name) for name in azurite.container(cloud.emulator.container).list_blob_names()]
    uploaded = {blob.name for blob in blobs if folder.name in blob.parts}
    assert {"choose.py", "c.txt"} <= uploaded
    assert not {"a.txt", "b.log"} & uploaded
    (folder / "b.log").write_text("2", encoding="utf-8")
    assert make().run(noted).recorded is not None
    (folder / "lib" / "c.txt").write_text("2", encoding="utf-8")
    assert make().run(noted).recorded is None


def test_failed_rows_are_failed_rows_though_the_run_is_called_completed(make: Make) -> None:
    result = make().run(request(column_mapping=STRICT))
    assert (result.status, result.error, result.aggregation_error) == ("Completed", None, None)
    assert [row.error for row in result.rows] == [
        None,
        "Execution failure in 'choose': (ValueError) no queue for 'hello'",
        "Execution failure in 'choose': (ValueError) no queue for 'help'",
    ]
    assert result.metrics == {"rows": 1, "accuracy": 1.0}


def test_a_line_that_the_service_does_not_tell_of_is_a_failed_row(cloud: Cloud, make: Make) -> None:
    cloud.lost.add(1)
    result = make().run(request())
    assert [(row.line_number, row.error) for row in result.rows] == [
        (0, None),
        (1, "the service tells nothing of this line"),
        (2, None),
    ]


def test_rows_come_in_pages(make: Make) -> None:
    result = make().run(request(data=TICKETS * 20))
    assert [row.line_number for row in result.completed] == list(range(60))


def test_metrics_that_can_t_be_computed_are_an_error_of_the_aggregation(make: Make) -> None:
    result = make().run(request("flex_class/broken_metrics.flex.yaml", data=[{"answer": "a"}]))
    assert result.status == "Completed"
    assert not result.failed
    assert result.aggregation_error is not None


def test_a_failed_run_says_why(cloud: Cloud, make: Make) -> None:
    cloud.broken.append("The image of the compute session can't be built.")
    result = make().run(request())
    (name,) = cloud.submissions
    assert (result.status, result.rows) == ("Failed", ())
    assert result.error == f"run '{name}': The image of the compute session can't be built."


def test_a_flow_that_does_not_load_fails(make: Make) -> None:
    result = make().run(request("broken", data=[{"text": "a"}]))
    assert result.status == "Failed"
    assert result.error


@pytest.mark.parametrize(
    ("nodes", "overrides", "text", "submitted"),
    [
        ({}, {}, "Hi Ada.", None),
        ({"greet": "long"}, {}, "Good morning Ada.", "${greet.long}"),
        ({"greet": "long", "close": "loud"}, {}, "Good morning Ada!!", None),
        ({"close": "loud"}, {"close.right": "?"}, "Hi Ada??", None),
    ],
)
def test_variants(
    cloud: Cloud, make: Make, nodes: Mapping[str, str], overrides: Mapping[str, Any], text: str, submitted: str | None
) -> None:
    variants = {
        "greet": NodeVariants(default="short", choices=("short", "long")),
        "close": NodeVariants(default="none", choices=("none", "loud")),
    }
    variant = Variant(id="other", nodes=nodes, overrides=overrides)
    result = make().run(request(flow=flow("greeting", variants=variants), data=[{"name": "Ada"}], variant=variant))
    assert [row.output for row in result.rows] == [{"text": text}]
    (run,) = cloud.runs.values()
    assert run.submitted.get("nodeVariant") == submitted
    assert run.submitted["runDisplayName"] == "greeting other"


def test_variants_that_the_flow_does_not_have_are_refused_before_anything_is_submitted(
    cloud: Cloud, make: Make
) -> None:
    result = make().run(request(variant=Variant(nodes={"choose": "best"})))
    assert (result.status, result.error) == ("Failed", "node 'choose' has no variants")
    assert cloud.submissions == []


def test_init_values_and_variables_stay_with_the_run(cloud: Cloud, make: Make) -> None:
    variables = {"MODE": "strict", "KEY": "${keeper.api_key}"}
    cloud.connections = (KEEPER,)
    judged = request("flex_class", data=[{"answer": "a", "gold": "a"}], variant=Variant(init={"bonus": 5}))
    result = make().run(replace(judged, environment_variables=variables))
    assert result.metrics == {"mean": 6.0, "n": 1, "bonus": 5}
    (run,) = cloud.runs.values()
    assert run.submitted["environmentVariables"] == variables
    assert run.submitted["initKWargs"] == {"bonus": 5}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"environment_variables": {"OPENAI_API_KEY": "sk-12345678"}},
            "flow 'triage': environment variable 'OPENAI_API_KEY' holds a secret, which all who see the run would see; "
            "put it into a connection of the workspace, and write ${connection.key} in env.yaml",
        ),
        (
            {"variant": Variant(init={"model": {"api_key": "sk-12345678"}})},
            "flow 'triage': init value 'api_key' holds a secret, which all who see the run would see; "
            "put it into a connection of the workspace, and have the flow take that",
        ),
        ({"data": None}, "the run has no data"),
        ({"data": []}, "the source 'data' has no rows"),
        (
            {"flow": Flow(name="shout", kind="callable", file=Path("a.py"), folder=Path(), entry="a:shout")},
            "flow 'shout' is a Python function, which a workspace does not run; "
            "make it a flow with a definition, or run it with --llmops-backend local",
        ),
    ],
)
def test_what_can_t_or_must_not_be_submitted(cloud: Cloud, make: Make, fields: Mapping[str, Any], error: str) -> None:
    result = make().run(request(**fields))
    assert (result.status, result.error) == ("Failed", error)
    assert cloud.submissions == []


def test_secrets_are_not_in_messages(cloud: Cloud, make: Make) -> None:
    cloud.broken.append("the key hunter2hunter2 is refused")
    result = make().run(request(connections=(KEEPER,)))
    assert result.error is not None
    assert result.error.endswith("the key *** is refused")


class TestEvaluations:
    MAPPING: ClassVar = {"answer": "${run.outputs.queue}", "gold": "${data.gold}"}

    def test_one_is_chained_in_the_cloud_on_its_run(self, cloud: Cloud, make: Make) -> None:
        engine = make()
        run = engine.run(request())
        judged = request("flex_class", column_mapping=self.MAPPING, run_outputs=run.outputs, run_inputs=TICKETS)
        result = engine.run(replace(judged, parent=run.name))
        assert result.metrics == {"mean": 10 + 2 / 3, "n": 3, "bonus": 10}
        assert [cloud.runs[result.name].submitted[key] for key in ("variantRunId", "inputsMapping")] == [
            run.name,
            self.MAPPING,
        ]

    def test_one_of_a_run_that_the_workspace_does_not_know_has_its_outputs_as_data(
        self, cloud: Cloud, make: Make
    ) -> None:
        outputs = [{"line_number": 0, "queue": "billing"}, {"line_number": 2, "queue": "support"}]
        judged = request("flex_class", column_mapping=self.MAPPING, run_outputs=outputs, run_inputs=TICKETS)
        result, local = make().run(judged), cloud.engine.run(judged)
        assert [(row.line_number, row.inputs, row.output) for row in result.rows] == [
            (row.line_number, row.inputs, row.output) for row in local.rows
        ]
        assert [row.line_number for row in result.rows] == [0, 2]
        assert result.metrics == local.metrics
        assert "variantRunId" not in cloud.runs[result.name].submitted

    def test_failed_rows_of_the_run_are_not_evaluated(self, make: Make) -> None:
        engine = make()
        run = engine.run(request(column_mapping=STRICT))
        judged = request("flex_class", column_mapping=self.MAPPING, run_outputs=run.outputs, parent=run.name)
        result = engine.run(judged)
        assert [row.line_number for row in result.rows] == [0]
        assert result.metrics["n"] == 1

    def test_one_of_a_run_that_is_gone_has_its_outputs_as_data(self, cloud: Cloud, make: Make) -> None:
        outputs = [{"line_number": 0, "queue": "billing"}]
        judged = request("flex_class", column_mapping=self.MAPPING, run_outputs=outputs, parent="llmops-gone-1")
        result = make().run(judged)
        assert [row.inputs for row in result.rows] == [{"answer": "billing", "gold": "billing"}]
        assert "variantRunId" not in cloud.runs[result.name].submitted

    def test_a_python_function_evaluates_on_this_machine(self, cloud: Cloud, make: Make) -> None:
        plain = FLOWS / "plain"
        judge = Flow(name="judge", kind="callable", file=plain / "judge.py", folder=plain, entry="judge:judge")
        outputs = [{"line_number": 0, "queue": "billing"}]
        local = RunRequest(flow=judge, run_outputs=outputs, column_mapping=self.MAPPING, data=TICKETS)
        assert make().run(local).name == ""
        assert cloud.submissions == []


class TestData:
    def test_a_file_is_uploaded_as_it_is(self, cloud: Cloud, make: Make, tmp_path: Path) -> None:
        data = tmp_path / "tickets.csv"
        data.write_text("text,gold\ninvoice,billing\nx,support\n", encoding="utf-8")
        assert make().run(request(data=data)).metrics == {"rows": 2, "accuracy": 1.0}
        (run,) = cloud.runs.values()
        assert run.submitted["batchDataInput"]["dataUri"].endswith("/tickets.csv")

    def test_the_first_rows_are_a_file_of_their_own(self, cloud: Cloud, make: Make, tmp_path: Path) -> None:
        data = tmp_path / "tickets.csv"
        data.write_text("text,gold\ninvoice,billing\nx,support\n", encoding="utf-8")
        assert make().run(request(data=data, max_rows=1, asset="azureml:tickets:1")).metrics["rows"] == 1
        (run,) = cloud.runs.values()
        assert run.submitted["batchDataInput"]["dataUri"].endswith("/tickets.jsonl")

    def test_an_asset_is_named(self, cloud: Cloud, make: Make, azurite: Azurite, tmp_path: Path) -> None:
        data = tmp_path / "tickets.jsonl"
        data.write_text('{"text": "invoice", "gold": "billing"}\n', encoding="utf-8")
        place = "LocalUpload/1/tickets.jsonl"
        blobs = azurite.container(cloud.emulator.container)
        make().run(request())  # makes the container
        blobs.upload_blob(place, data.read_bytes())
        address = f"azureml://datastores/workspaceblobstore/paths/{place}"
        cloud.emulator.state.put("data/tickets/versions/1", {"properties": {"dataUri": address}})
        result = make().run(request(data=data, asset="azureml:tickets:1"))
        assert result.metrics == {"rows": 1, "accuracy": 1.0}
        assert cloud.runs[result.name].submitted["batchDataInput"] == {"dataUri": "azureml:tickets:1"}


class TestFindingAgain:
    def test_a_completed_run_is_collected(self, cloud: Cloud, make: Make) -> None:
        first, second = make().run(request()), make().run(request())
        assert len(cloud.submissions) == 1
        assert second.name == first.name
        assert [row.output for row in second.rows] == [row.output for row in first.rows]
        assert second.metrics == first.metrics
        assert second.recorded is not None
        assert {row.recorded for row in second.rows} == {second.recorded}

    def test_a_run_under_way_is_waited_for(self, cloud: Cloud, make: Make) -> None:
        cloud.open.clear()
        with ThreadPoolExecutor() as pool:
            # The first one is as good as dead: it never hears of its run.
            first = pool.submit(make().run, request())
            wait_for(lambda: cloud.submissions)
            second = pool.submit(make().run, request())
            time.sleep(0.2)
            cloud.open.set()
            assert second.result().metrics == first.result().metrics
        assert len(cloud.submissions) == 1
        assert second.result().recorded is None

    @pytest.mark.parametrize("status", ["Failed", "Canceled"])
    def test_a_run_that_came_to_nothing_is_followed_by_the_next_attempt(
        self, cloud: Cloud, make: Make, status: str
    ) -> None:
        make().run(request())
        cloud.runs[cloud.submissions[0]].status = status
        assert make().run(request()).completed
        first, second = cloud.submissions
        assert (first[-2:], second[-2:]) == ("-1", "-2")

    def test_a_run_with_failed_rows_is_made_again(self, cloud: Cloud, make: Make) -> None:
        failing = request(column_mapping=STRICT)
        make().run(failing)
        make().run(failing)
        assert len(cloud.submissions) == 2

    def test_however_many_attempts_there_were_the_next_is_made_and_few_are_looked_at(
        self, azure: Emulator, cloud: Cloud, make: Make
    ) -> None:
        failing = request(column_mapping=STRICT)
        make().run(failing)
        (first,) = cloud.submissions
        cloud.runs |= {f"{first[:-1]}{number}": cloud.runs[first] for number in range(2, 61)}
        begun = len(azure.log)
        assert make().run(failing).rows
        assert cloud.submissions[-1] == f"{first[:-1]}61"
        asked = "".join(
            azure.log[begun : next(n for n, line in enumerate(azure.log) if n >= begun and "submit" in line)]
        )
        assert asked.count("rundata") == 12
        assert "childRuns" not in asked

    def test_a_run_whose_age_is_not_known_is_made_again(self, cloud: Cloud, make: Make) -> None:
        make().run(request())
        (run,) = cloud.runs.values()
        run.begun = run.ended = None
        assert make().run(request()).recorded is None
        assert len(cloud.submissions) == 2

    def test_one_that_the_ledger_keeps_is_as_old_there_as_it_is(self, cloud: Cloud, make: Make, tmp_path: Path) -> None:
        def run(folder: str, **options: Any) -> RunResult:
            with closing(Ledger(tmp_path / folder, **options)) as ledger, ledger.journal(request()) as journal:
                return journal.finished() or make().run(request(), journal=journal)

        run("first")
        (made,) = cloud.runs.values()
        made.ended = datetime.now(timezone.utc) - timedelta(days=30)
        collected = run("second")
        kept = run("second", max_age=31 * DAY)
        assert [found.recorded for found in (collected, kept)] == [made.ended.timestamp()] * 2
        assert {row.recorded for row in kept.rows} == {made.ended.timestamp()}
        assert kept.name == collected.name
        with closing(Ledger(tmp_path / "second", max_age=DAY)) as ledger:
            assert ledger.explain(request()).reasons == ("older than --llmops-max-age 1d",)

    def test_a_run_of_the_name_that_is_not_tagged_is_somebody_else_s(self, cloud: Cloud, make: Make) -> None:
        make().run(request())
        run = cloud.runs[cloud.submissions[0]]
        run.submitted = {**run.submitted, "tags": {}}
        make().run(request())
        assert len(cloud.submissions) == 2

    def test_a_session_that_reuses_nothing_finds_its_own_runs_alone(self, cloud: Cloud, make: Make) -> None:
        make().run(request())
        make(fresh="session 1").run(request())
        make(fresh="session 1").run(request())
        assert len(cloud.submissions) == 2


def test_the_compute_is_of_the_size_that_was_asked_for(cloud: Cloud, make: Make) -> None:
    make().run(request(compute=Compute(instance_type="Standard_DS3_v2")))
    make().run(request(compute=Compute(runtime="mine")))
    sizes = [(run.submitted.get("vmSize"), run.submitted["runtimeName"]) for run in cloud.runs.values()]
    assert sizes == [("Standard_DS3_v2", "automatic"), (None, "mine")]


class TestTrouble:
    def test_a_busy_service_is_asked_again(self, azure: Emulator, cloud: Cloud, make: Make) -> None:
        azure.fail("POST", "rundata", "throttled", times=3)
        azure.fail("POST", "submit", "throttled", times=2)
        azure.fail("GET", "childRuns", "unavailable", times=2)
        azure.fail("POST", "lastvalues", "throttled", times=2)
        assert make().run(request()).metrics["rows"] == 3
        assert len(cloud.submissions) == 1

    def test_a_lost_answer_does_not_submit_twice(self, azure: Emulator, cloud: Cloud, make: Make) -> None:
        azure.fail("POST", "submit", "drop-answer")
        assert make().run(request()).metrics["rows"] == 3
        assert len(cloud.submissions) == 1

    def test_a_login_that_has_to_be_renewed_is_tried_again(self, cloud: Cloud, make: Make) -> None:
        name = make().run(request()).name
        login = Failing()
        found = CloudRuns(connect(cloud.emulator.client().workspace, Login("cli", login)))
        login.is_due = True
        assert found.find(name)
        assert not login.is_due

    def test_a_service_that_stays_away_is_said(self, azure: Emulator, cloud: Cloud, make: Make) -> None:
        azure.fail("POST", "rundata", "throttled", times=99)
        result = make().run(request())
        assert result.status == "Failed"
        assert result.error is not None
        assert "429" in result.error
        assert cloud.submissions == []

    def test_a_run_that_vanishes_is_said(self, cloud: Cloud, make: Make) -> None:
        cloud.open.clear()
        with ThreadPoolExecutor() as pool:
            result = pool.submit(make().run, request())
            wait_for(lambda: cloud.submissions)
            (name,) = cloud.submissions
            cloud.vanish(name)
            assert result.result().error == f"run '{name}': it is not in the workspace any more"


class TestClosing:
    def test_what_was_submitted_is_cancelled(self, cloud: Cloud, make: Make) -> None:
        cloud.open.clear()
        engine = make()
        with ThreadPoolExecutor() as pool:
            results = [pool.submit(engine.run, request(repeat=number)) for number in range(3)]
            wait_for(lambda: len(cloud.submissions) == 3)
            begun = time.monotonic()
            engine.close()
            assert time.monotonic() - begun < 5
            assert {result.result().error for result in results} == {"the run was ended with its engine"}
        assert set(cloud.cancelled) == set(cloud.submissions)
        requests = len(cloud.cancelled)
        engine.close()
        assert len(cloud.cancelled) == requests

    def test_all_is_cancelled_though_closing_is_interrupted(self, cloud: Cloud) -> None:
        client = cloud.emulator.client()
        cloud.open.clear()
        engine = AzureMLEngine(lambda: client, Interrupted())
        with ThreadPoolExecutor() as pool:
            for number in range(3):
                pool.submit(engine.run, request(repeat=number))
            wait_for(lambda: len(cloud.submissions) == 3)
            with pytest.raises(KeyboardInterrupt):
                engine.close()
            engine.close()
        assert set(cloud.cancelled) == set(cloud.submissions)

    def test_one_that_can_t_be_looked_at_goes_on(
        self, azure: Emulator, cloud: Cloud, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polling, "_UNTOLD", 0.1)
        cloud.open.clear()
        engine = make()
        with ThreadPoolExecutor() as pool:
            result = pool.submit(engine.run, request())
            wait_for(lambda: engine.under_way() == "1 NotStarted")
            azure.fail("POST", "rundata", "forbidden", times=99)
            assert result.result().status == "Failed"
        engine.close()
        assert cloud.cancelled == []

    def test_what_is_over_is_left_alone(self, cloud: Cloud, make: Make) -> None:
        engine = make()
        engine.run(request())
        engine.close()
        assert cloud.cancelled == []
        assert engine.run(request(repeat=1)).error == "the run was ended with its engine"
        assert len(cloud.submissions) == 1

    def test_a_run_of_another_session_is_left_alone(self, cloud: Cloud, make: Make) -> None:
        cloud.open.clear()
        first, second = make(), make()
        with ThreadPoolExecutor() as pool:
            mine = pool.submit(first.run, request())
            wait_for(lambda: cloud.submissions)
            pool.submit(second.run, request())
            time.sleep(0.2)
            second.close()
            assert cloud.cancelled == []
            cloud.open.set()
            assert mine.result().completed


class Failing(Credential):
    """A login whose tokens end at once, and that fails when it is due."""

    def __init__(self) -> None:
        self.is_due = False

    def get_token(self, *scopes: str, **_: Any) -> Any:
        """Return a token, or fail."""
        if self.is_due:
            self.is_due = False
            raise CredentialUnavailableError("Failed to invoke the Azure CLI")
        return super().get_token(*scopes)._replace(expires_on=0)


class Interrupted(LocalEngine):
    """An engine that the first Ctrl-C meets while it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._closings = 0

    def close(self) -> None:
        """End it, the second time."""
        self._closings += 1
        if self._closings == 1:
            raise KeyboardInterrupt
        super().close()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
