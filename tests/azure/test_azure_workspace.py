"""Which workspace is meant, and what is said where it can't be told or reached."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from pathlib import Path

import pytest
from azure_emulator import WORKSPACE, Emulator
from azure_identity import EXPIRED, calls_of_az, install_az

from pytest_llmops.api.backends import workspace_meant
from pytest_llmops.azure.clients import connect
from pytest_llmops.azure.credentials import get_credential
from pytest_llmops.azure.workspace import find_workspace
from pytest_llmops.cli.azure_options import add_azure, connected
from pytest_llmops.errors import AccessError, CloudError
from pytest_llmops.records.cloud import Workspace

ONE, TWO, THREE, FOUR, FIVE = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "12345")
ENVIRON = {
    "LLMOPS_SUBSCRIPTION": TWO,
    "LLMOPS_RESOURCE_GROUP": "rg-variable",
    "LLMOPS_WORKSPACE": "ws-variable",
}
SEED = {"subscription_id": THREE, "resource_group_name": "rg-seed", "workspace_name": "ws-seed"}
CONFIG = {"subscription_id": FIVE, "resource_group": "rg-config", "workspace_name": "ws-config"}


def found(
    folder: Path,
    given: dict[str, str | None] | None = None,
    environ: dict[str, str] | None = None,
    files: dict[str, dict[str, str]] | None = None,
) -> Workspace:
    case = folder / "evals" / "case"
    case.mkdir(parents=True, exist_ok=True)
    return find_workspace(given or {}, environ or {}, files or {}, folder=case, root=folder)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_each_place_comes_before_the_next(tmp_path: Path) -> None:
    write(tmp_path / "config.json", CONFIG)
    files = {".env": SEED}
    environ = ENVIRON | {"SUBSCRIPTION_ID": FOUR}

    assert found(tmp_path).subscription == FIVE
    assert found(tmp_path, files=files).subscription == THREE
    assert found(tmp_path, environ={"SUBSCRIPTION_ID": FOUR}, files=files).subscription == FOUR
    assert found(tmp_path, environ=environ, files=files).subscription == TWO
    assert found(tmp_path, {"subscription": ONE}, environ, files) == Workspace(
        subscription=ONE, resource_group="rg-variable", name="ws-variable"
    )


def test_the_keys_of_the_seed_are_read_in_either_case(tmp_path: Path) -> None:
    assert found(tmp_path, environ={name.upper(): value for name, value in SEED.items()}).name == "ws-seed"
    assert found(tmp_path, files={".env": {"SUBSCRIPTION_ID": ONE}, "b/.env": SEED}).subscription == ONE


def test_a_macro_that_no_pipeline_has_set_counts_as_not_set(tmp_path: Path) -> None:
    environ = ENVIRON | {"LLMOPS_SUBSCRIPTION": "$(subscription)"}

    assert found(tmp_path, environ=environ, files={".env": SEED}).subscription == THREE


def test_the_nearest_config_json_counts(tmp_path: Path) -> None:
    write(tmp_path / "config.json", CONFIG)
    write(tmp_path / "evals" / ".azureml" / "config.json", CONFIG | {"workspace_name": "ws-near"})
    write(tmp_path / "evals" / "case" / "config.json", {"max_tokens": 12})

    assert found(tmp_path).name == "ws-near"


def test_a_config_json_above_the_root_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "config.json", CONFIG)
    root = tmp_path / "repository"
    with pytest.raises(AccessError):
        found(root)


def test_all_places_are_named_where_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(AccessError) as refused:
        found(tmp_path, files={"evals/case/.env": {}, ".env": {}})

    assert str(refused.value) == (
        "which workspace? there is no subscription, resource group, workspace; looked for "
        "options --subscription, --resource-group, --workspace; "
        "variables LLMOPS_SUBSCRIPTION, LLMOPS_RESOURCE_GROUP, LLMOPS_WORKSPACE; "
        "subscription_id, resource_group_name, workspace_name of the environment and evals/case/.env and .env; "
        "config.json or .azureml/config.json in evals/case and the folders above it"
    )


def test_only_what_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"subscription_id": ONE, "resource_group": "rg"})
    with pytest.raises(AccessError) as refused:
        found(tmp_path)

    assert str(refused.value).startswith("which workspace? there is no workspace; looked for options --workspace; ")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "subscription",
            "<your subscription>",
            "'<your subscription>' can't be right; "
            "give the id of a subscription, such as 11111111-2222-3333-4444-555555555555",
        ),
        (
            "resource-group",
            "rg/prod",
            "'rg/prod' can't be right; give the name of a resource group: "
            "up to 90 letters, digits, '_', '-', '.', '(' and ')', no '.' at the end",
        ),
        (
            "workspace",
            "w s",
            "'w s' can't be right; give the name of a workspace: 3 to 33 letters, digits, '_' and '-'",
        ),
    ],
)
def test_a_coordinate_that_can_not_be_right(tmp_path: Path, name: str, value: str, line: str) -> None:
    with pytest.raises(AccessError) as refused:
        found(tmp_path, {name: value}, ENVIRON)

    assert str(refused.value) == f"--{name}: {line}"


def test_a_coordinate_that_can_not_be_right_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"^evals/\.env: SUBSCRIPTION_ID: 'x' can't be right"):
        found(tmp_path, files={"evals/.env": SEED | {"SUBSCRIPTION_ID": "x", "subscription_id": ""}})


def test_what_is_given_comes_before_what_files_say(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".env").write_text(
        f"subscription_id={THREE}\nresource_group_name=rg-seed\nworkspace_name=ws-seed\n", encoding="utf-8"
    )
    options = {"subscription": None, "resource-group": None, "workspace": "ws-option"}

    assert workspace_meant(options, folder=tmp_path, root=tmp_path, environ={}) == Workspace(
        subscription=THREE, resource_group="rg-seed", name="ws-option"
    )


def test_a_workspace_is_reached_with_a_login(azure: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LLMOPS_CREDENTIAL", "cli")
    install_az(tmp_path)
    parser = ArgumentParser()
    add_azure(parser)

    assert connected(parser.parse_args([]), tmp_path).workspace == WORKSPACE
    assert azure.log == ["GET workspace -> 200"]
    assert len(calls_of_az(tmp_path)) == 1


def test_a_login_that_has_expired_is_said_before_anything_is_asked(
    azure: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    install_az(tmp_path, error=EXPIRED)
    with pytest.raises(AccessError) as refused:
        connect(WORKSPACE, get_credential("cli", os.environ)).check_access()

    assert str(refused.value) == (
        "no login (cli): the login of the Azure CLI has expired, or is refused (AADSTS700082); run 'az login'"
    )
    assert azure.log == []


def test_a_workspace_that_is_not_there(azure: Emulator) -> None:
    other = Workspace(subscription=WORKSPACE.subscription, resource_group="rg-llmops", name="ws-other")
    with pytest.raises(AccessError) as refused:
        connect(other, azure.client().credential).check_access()

    assert str(refused.value) == (
        "workspace 'ws-other': The Resource 'Microsoft.MachineLearningServices/workspaces/ws-other' "
        "under resource group 'rg-llmops' was not found; "
        "correct the subscription, the resource group or the workspace's name"
    )


@pytest.mark.parametrize(
    ("fault", "kind", "line"),
    [
        (
            "unauthorized",
            AccessError,
            "workspace 'ws-llmops': the login was refused (The access token is invalid); "
            "log in again, to the tenant of the workspace",
        ),
        (
            "forbidden",
            AccessError,
            "workspace 'ws-llmops': no right to do this (The client 'build' does not have authorization to perform "
            "action 'write'); have the login given a role that allows it",
        ),
        (
            "server-error",
            CloudError,
            "workspace 'ws-llmops': An internal server error occurred (InternalServerError, HTTP 500)",
        ),
    ],
)
def test_a_workspace_that_can_not_be_read(azure: Emulator, fault: str, kind: type[Exception], line: str) -> None:
    azure.fail("GET", "^workspace$", fault, times=9)
    with pytest.raises(kind) as refused:
        azure.client().check_access()

    assert str(refused.value) == line


def test_a_fault_that_passes_is_no_failure(azure: Emulator) -> None:
    azure.fail("GET", "^workspace$", "unavailable")

    azure.client().check_access()
    assert azure.log == ["GET workspace -> 503 ServiceUnavailable", "GET workspace -> 200"]


def test_the_client_of_prompt_flow_says_why_it_can_not_be_made(azure: Emulator) -> None:
    azure.fail("GET", "^workspace$", "forbidden", times=9)
    with pytest.raises(AccessError, match=r"^workspace 'ws-llmops': no right to do this \(The client 'build'"):
        _ = azure.client().flows


def test_the_client_of_prompt_flow(azure: Emulator) -> None:
    client = azure.client()

    assert client.flows is client.flows
    assert client.flows.ml_client is client.ml
