"""Use cases laid out as Microsoft's LLMOps template does it are read as the template reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_llmops.records.experiment import Connection, Dataset, NodeVariants, Port
from pytest_llmops.spec import load_experiment

USE_CASES = Path(__file__).parent / "use_cases"


@pytest.fixture
def use_cases(tmp_path: Path) -> Path:
    return Path(shutil.copytree(USE_CASES, tmp_path / "repo"))


def test_dag_flow_with_gold_rows(use_cases: Path) -> None:
    folder = use_cases / "order_numbers"
    experiment = load_experiment(folder / "experiment.yaml", root=use_cases)

    assert experiment.name == "order_numbers"
    assert experiment.runtime == "automatic"
    assert experiment.folder == folder
    assert experiment.warnings == ()
    flow = experiment.flow
    assert (flow.name, flow.kind, flow.file) == ("standard", "dag", folder / "flows/standard/flow.dag.yaml")
    assert flow.inputs == {
        "message": Port(name="message", type="string", default="Where is my order 4711?", required=False)
    }
    assert flow.outputs == ("order",)
    assert flow.variants == {"extract": NodeVariants(default="plain", choices=("plain", "examples"))}
    assert flow.node_inputs["extract"] == ("deployment_name", "max_tokens", "message", "temperature")
    assert flow.connections == ("aoai",)
    assert experiment.datasets == (
        Dataset(
            name="messages",
            mappings={"message": "${data.message}"},
            source=folder / "data/messages.jsonl",
            description="Messages of customers, each with one order number.",
            rows=4,
            columns=("id", "message"),
        ),
    )
    (evaluator,) = experiment.evaluators
    assert (evaluator.name, evaluator.flow.name, evaluator.line) == ("matcher", "evaluation", 20)
    # "rate" comes from an aggregation node: a row has no such output.
    assert evaluator.flow.outputs == ("correct",)
    (gold,) = evaluator.datasets
    assert (gold.name, gold.reference, gold.run_dataset, gold.rows) == ("messages_gold", "messages", "messages", 4)


def test_overlay_replaces_datasets_and_empties_evaluators(use_cases: Path) -> None:
    experiment = load_experiment(use_cases / "order_numbers/experiment.yaml", root=use_cases, env="pr")

    assert experiment.env == "pr"
    assert [dataset.name for dataset in experiment.datasets] == ["messages_pr"]
    # Found in data/, where the template looks as well.
    assert experiment.datasets[0].source == use_cases / "order_numbers/data/messages.jsonl"
    assert experiment.evaluators == ()
    assert [connection.name for connection in experiment.connections] == ["aoai"]
    assert experiment.runtime == "automatic"


def test_an_environment_without_overlay_changes_nothing(use_cases: Path) -> None:
    file = use_cases / "order_numbers/experiment.yaml"

    assert load_experiment(file, root=use_cases, env="prod").datasets == load_experiment(file, root=use_cases).datasets


def test_connection_reads_its_key_from_the_environment(use_cases: Path) -> None:
    environ = {"aoai_api_key": "from-environment"}
    experiment = load_experiment(
        use_cases / "order_numbers/experiment.yaml", root=use_cases, environ=environ, live=True
    )

    assert experiment.connections == (
        Connection(
            name="aoai",
            type="AzureOpenAIConnection",
            values={
                "api_base": "https://example.openai.azure.com/",
                "api_version": "2023-07-01-preview",
                "api_type": "azure",
            },
            secrets={"api_key": "from-environment"},
        ),
    )


def test_class_flow_with_init_values_and_environment(use_cases: Path) -> None:
    environ = {"SERVICE_API_KEY": "k", "GREETER_TOKEN": "t", "GREETER_STYLE": "short"}
    experiment = load_experiment(use_cases / "greeter/experiment.yaml", root=use_cases, environ=environ, live=True)

    assert (experiment.flow.kind, experiment.flow.entry) == ("flex", "greeting:Greeter")
    assert experiment.flow.inputs == {
        "name": Port(name="name", type="string"),
        "hour": Port(name="hour", type="int", default=12, required=False),
    }
    assert experiment.flow.outputs == ("output",)
    assert experiment.init == {"service": {"url": "https://greetings.example.com", "api_key": "k"}, "limit": 60}
    assert experiment.environment_variables == {
        "GREETER_TOKEN": "t",
        "GREETER_STYLE": "short",
        "GREETER_RETRIES": "3",
    }
    (dataset,) = experiment.evaluators[0].datasets
    assert (dataset.reference, dataset.source) == (None, use_cases / "greeter/data/guests.csv")


def test_without_live_calls_no_secret_is_needed(use_cases: Path) -> None:
    experiment = load_experiment(use_cases / "greeter/experiment.yaml", root=use_cases)

    assert experiment.init == {"service": {"url": "https://greetings.example.com"}, "limit": 60}
    assert experiment.environment_variables == {"GREETER_STYLE": "formal", "GREETER_RETRIES": "3"}


def test_prompty_and_callable(use_cases: Path) -> None:
    folder = use_cases / "slogans"
    experiment = load_experiment(folder / "experiment.yaml", root=use_cases)

    assert (experiment.flow.name, experiment.flow.kind) == ("slogan", "prompty")
    assert experiment.flow.file == folder / "flows/slogan/slogan.prompty"
    assert experiment.flow.inputs["tone"] == Port(name="tone", type="string", default="cheerful", required=False)
    assert experiment.flow.connections == ("local",)
    assert experiment.connections[0].values == {"base_url": "https://models.example.com/v1"}
    flow = experiment.evaluators[0].flow
    assert (flow.name, flow.kind, flow.entry) == ("score", "callable", "checks.brevity:score")
    assert (flow.file, flow.folder, flow.open_inputs) == (folder / "checks/brevity.py", folder, True)
