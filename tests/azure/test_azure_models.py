"""Flows as models of the emulated workspace: what is uploaded, what is on record, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure_blob import Azurite
from azure_emulator import Emulator
from release_case import load, write_case

from pytest_llmops.azure.models import find, model_name, register, upload_of
from pytest_llmops.errors import AccessError, CloudError, LLMOpsError
from pytest_llmops.records.deployment import FLOW_DIGEST

TAGS = {FLOW_DIGEST: "aa", "llmops_verdict": "open"}


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    return load(write_case(tmp_path)).flow.folder


def test_a_flow_is_registered_as_the_next_version(azure: Emulator, azurite: Azurite, flow: Path) -> None:
    client = azure.client()
    first = register(client, "greeter", flow, flow="greet", tags=TAGS)
    (flow / "kind.jinja2").write_text("Hey {{name}}\n", encoding="utf-8")
    second = register(client, "greeter", flow, flow="greet", tags={**TAGS, FLOW_DIGEST: "bb"})
    assert [(made.name, made.version, made.digest) for made in (first, second)] == [
        ("greeter", "1", "aa"),
        ("greeter", "2", "bb"),
    ]
    assert first.tags == TAGS
    assert second.id.endswith("/models/greeter/versions/2")
    kept = azure.state.resources["models/greeter/versions/1"]["properties"]
    assert kept["modelType"] == "custom_model"
    assert kept["properties"] == {"azureml.promptflow.source_flow_id": "greet"}
    assert kept["modelUri"].endswith("/greet")


def test_the_newest_version_of_the_same_files_and_tags_is_found(azure: Emulator, azurite: Azurite, flow: Path) -> None:
    client = azure.client()
    assert find(client, "greeter", "aa") is None
    overridden = {FLOW_DIGEST: "aa", "llmops_verdict": "overridden"}
    for tags in (TAGS, TAGS, overridden, {**TAGS, FLOW_DIGEST: "bb"}):
        register(client, "greeter", flow, flow="greet", tags=tags)
    found = [
        find(client, "greeter", "aa"),
        find(client, "greeter", "aa", {"llmops_verdict": "open"}),
        find(client, "greeter", "bb"),
        find(client, "greeter", "cc"),
        find(client, "other", "aa"),
    ]
    assert [each and each.version for each in found] == ["3", "2", "4", None, None]


def test_what_would_be_uploaded_is_what_is(azure: Emulator, azurite: Azurite, flow: Path) -> None:
    (flow / ".amlignore").write_text("*.tmp\nnotes/\n", encoding="utf-8")
    (flow / ".gitignore").write_text("*.jinja2\n", encoding="utf-8")
    (flow / "x.tmp").write_text("x", encoding="utf-8")
    (flow / "notes").mkdir()
    (flow / "notes" / "n.txt").write_text("n", encoding="utf-8")
    announced = upload_of(flow)
    assert announced == {
        name: (flow / name).stat().st_size
        for name in (".amlignore", ".gitignore", "flow.dag.yaml", "kind.jinja2", "terse.jinja2")
    }
    register(azure.client(), "greeter", flow, flow="greet", tags=TAGS)
    uri = azure.state.resources["models/greeter/versions/1"]["properties"]["modelUri"]
    place = uri.partition("/paths/")[2]
    assert blobs(azure, place) == sorted(announced)


def test_a_model_without_a_version_is_not_found_rather_than_an_error(azure: Emulator) -> None:
    azure.fail("GET", "models/greeter/versions", "not-found")
    assert find(azure.client(), "greeter", "aa") is None


def test_a_right_that_is_missing_and_a_service_that_fails(azure: Emulator, azurite: Azurite, flow: Path) -> None:
    client = azure.client()
    azure.fail("GET", "models/greeter/versions", "forbidden")
    with pytest.raises(AccessError, match=r"^model 'greeter': look for its versions: no right to do this \("):
        find(client, "greeter", "aa")
    azure.fail("PUT", "models/greeter/versions/1", "conflict")
    with pytest.raises(CloudError, match=r"^model 'greeter': register: "):
        register(client, "greeter", flow, flow="greet", tags=TAGS)


@pytest.mark.parametrize(
    ("experiment", "name"),
    [
        ("greeter", "greeter"),
        ("Web classification (v2)", "Web-classification-v2"),
        ("-a_b.c", "a_b.c"),
        ("é" + "x" * 300, "x" * 255),
    ],
)
def test_names_of_models_are_such_as_azure_takes(experiment: str, name: str) -> None:
    assert model_name(experiment) == name


def test_a_name_of_which_nothing_can_be_used_is_refused() -> None:
    with pytest.raises(LLMOpsError) as refused:
        model_name("日本")
    what = "no model can have this name; give the experiment one with letters from A to Z or digits"
    assert str(refused.value) == f"experiment '日本': {what}"


def blobs(azure: Emulator, place: str) -> list[str]:
    """Name the blobs below a place in the workspace's store, from there."""
    names = azure.azurite.container(azure.container).list_blob_names(name_starts_with=place)
    return sorted(name.removeprefix(place).strip("/") for name in names)
