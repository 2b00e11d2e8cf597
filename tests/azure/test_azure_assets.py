"""Data assets: local datasets registered by content, remote ones kept on this machine. Real SDKs, Azurite for blobs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure_blob import Azurite
from azure_emulator import WORKSPACE, Emulator
from azure_identity import install_az
from spec_case import GOLD, ROWS, Case

from pytest_llmops.api import load
from pytest_llmops.api.assets import fetch_asset
from pytest_llmops.azure.asset_cache import AssetCache
from pytest_llmops.azure.assets import LocalData, asset_name, content_hash, local_data, register, registered
from pytest_llmops.azure.clients import Client
from pytest_llmops.cli import main
from pytest_llmops.errors import CloudError, ConfigurationError, LLMOpsError
from pytest_llmops.plan import Options, plan

FILE = "evals/case/experiment.yaml"


@pytest.fixture
def rows(tmp_path: Path) -> LocalData:
    """A local dataset."""
    file = tmp_path / "rows.jsonl"
    file.write_text(ROWS, encoding="utf-8")
    return LocalData(dataset="rows", name="case-rows", file=file, tags={"llmops_dataset": "rows"})


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A use case in a repository of its own."""
    case = Case(tmp_path / "repository")
    (case.root / "pyproject.toml").touch()
    return case


@pytest.fixture
def logged_in(azure: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The workspace, with a login of the Azure CLI for commands and sessions."""
    folder = tmp_path / "bin"
    folder.mkdir()
    install_az(folder)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LLMOPS_CREDENTIAL", "cli")
    return azure


def made(azure: Emulator) -> list[str]:
    """The versions of assets that were made."""
    return [line.split()[1] for line in azure.log if line.startswith("PUT ")]


def registered_rows(azure: Emulator, rows: LocalData) -> str:
    return register(azure.client(), rows).asset


def cache(azure: Emulator, folder: Path) -> AssetCache:
    return AssetCache(WORKSPACE, folder, azure.client)


def tag(azure: Emulator, address: str, **tags: str) -> None:
    """Change the tags of a version as somebody in the portal would."""
    azure.state.resources[address]["properties"]["tags"].update(tags)


def test_a_dataset_is_registered_with_its_hash(azure: Emulator, azurite: Azurite, rows: LocalData) -> None:
    result = register(azure.client(), rows)

    assert (result.asset, result.new) == ("azureml:case-rows:1", True)
    tags = azure.client().ml.data.get("case-rows", version="1").tags
    assert tags == {"llmops_dataset": "rows", "data_hash": hashlib.sha256(ROWS.encode()).hexdigest()}


def test_nothing_is_made_where_the_content_is_the_same(azure: Emulator, azurite: Azurite, rows: LocalData) -> None:
    register(azure.client(), rows)
    again = register(azure.client(), rows)

    assert (again.asset, again.new) == ("azureml:case-rows:1", False)
    assert made(azure) == ["data/case-rows/versions/1"]


def test_changed_content_is_a_new_version(azure: Emulator, azurite: Azurite, rows: LocalData) -> None:
    register(azure.client(), rows)
    rows.file.write_text(GOLD, encoding="utf-8")

    assert registered(azure.client(), rows) is None
    assert register(azure.client(), rows).asset == "azureml:case-rows:2"


def test_what_lies_unregistered_is_not_found(azure: Emulator, rows: LocalData) -> None:
    assert registered(azure.client(), rows) is None
    assert made(azure) == []


def test_an_asset_of_another_type_is_left_alone(azure: Emulator, azurite: Azurite, rows: LocalData) -> None:
    register(azure.client(), rows)
    azure.state.resources["data/case-rows/versions/1"]["properties"]["dataType"] = "uri_folder"
    with pytest.raises(LLMOpsError) as refused:
        register(azure.client(), rows)

    assert str(refused.value) == (
        "data asset 'case-rows': there is one of type uri_folder with this name, and not uri_file; "
        "rename the dataset or the experiment, or archive the asset"
    )


def test_of_two_jobs_that_register_at_once_both_succeed(azure: Emulator, azurite: Azurite, rows: LocalData) -> None:
    register(azure.client(), rows)
    rows.file.write_text(GOLD, encoding="utf-8")
    start = threading.Barrier(2)

    def one() -> str:
        client = azure.client()
        _ = client.ml
        start.wait()
        return register(client, rows).asset

    with ThreadPoolExecutor() as pool:
        results = {job.result() for job in [pool.submit(one) for _ in range(2)]}

    # Usually the same version: where none is refused, each makes one.
    assert results <= {"azureml:case-rows:2", "azureml:case-rows:3"}
    for version in {asset.rpartition(":")[2] for asset in results}:
        tags = azure.client().ml.data.get("case-rows", version=version).tags
        assert tags["data_hash"] == content_hash(rows.file)


def test_a_refused_registration_is_said(azure: Emulator, azurite: Azurite, rows: LocalData) -> None:
    azure.fail("PUT", "data/case-rows", "forbidden", times=9)
    with pytest.raises(LLMOpsError, match=r"^data asset 'case-rows': no right to do this"):
        register(azure.client(), rows)


def test_a_copy_is_downloaded_once(azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path) -> None:
    asset = registered_rows(azure, rows)
    asked = len(azure.log)
    copy = cache(azure, tmp_path / "data").file(asset)

    assert (copy.name, copy.read_text(encoding="utf-8")) == ("rows.jsonl", ROWS)
    assert len(azure.log) > asked
    asked = len(azure.log)
    assert cache(azure, tmp_path / "data").file(asset) == copy
    assert len(azure.log) == asked


def test_what_lies_beside_the_file_is_no_part_of_it(
    azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path
) -> None:
    asset = registered_rows(azure, rows)
    container = azurite.container(azure.container)
    (blob,) = [blob.name for blob in container.list_blobs()]
    container.upload_blob(f"{blob}.bak", b"old")

    assert cache(azure, tmp_path / "data").file(asset).read_text(encoding="utf-8") == ROWS


def test_a_copy_that_was_changed_is_downloaded_anew(
    azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path
) -> None:
    asset = registered_rows(azure, rows)
    copy = cache(azure, tmp_path / "data").file(asset)
    copy.write_text("{}", encoding="utf-8")

    assert cache(azure, tmp_path / "data").file(asset).read_text(encoding="utf-8") == ROWS


def test_data_that_is_not_what_its_tag_says_is_an_error(
    azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path
) -> None:
    asset = registered_rows(azure, rows)
    tag(azure, "data/case-rows/versions/1", data_hash="0" * 64)
    with pytest.raises(CloudError) as refused:
        cache(azure, tmp_path / "data").file(asset)

    assert str(refused.value) == (
        f"azureml:case-rows:1: its data has SHA-256 {content_hash(rows.file)}, and its tag data_hash says {'0' * 64}; "
        "the data was changed after it was registered: register it again"
    )
    assert not list((tmp_path / "data").rglob("*.jsonl"))


def test_a_download_that_breaks_off_leaves_nothing(
    azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path
) -> None:
    asset = registered_rows(azure, rows)
    azure.fail("POST", "listSecrets", "forbidden", times=9)
    with pytest.raises(LLMOpsError, match=r"^azureml:case-rows:1: no right to do this"):
        cache(azure, tmp_path / "data").file(asset)

    assert not list((tmp_path / "data").rglob("*.jsonl"))
    assert not list((tmp_path / "data").rglob("*.partial"))


def test_leftovers_of_a_process_that_died_are_removed(
    azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path
) -> None:
    asset = registered_rows(azure, rows)
    copies = cache(azure, tmp_path / "data")
    place = copies.file(asset).parents[1]
    place.rename(place.with_name(".1.partial"))

    assert copies.file(asset).read_text(encoding="utf-8") == ROWS
    assert not place.with_name(".1.partial").exists()


def test_several_that_want_the_same_asset_download_it_once(
    azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path
) -> None:
    asset = registered_rows(azure, rows)
    connections: list[Client] = []

    def connect() -> Client:
        connections.append(azure.client())
        return connections[-1]

    with ThreadPoolExecutor() as pool:
        wanted = [pool.submit(AssetCache(WORKSPACE, tmp_path / "data", connect).file, asset) for _ in range(4)]
        assert len({job.result() for job in wanted}) == 1

    assert len(connections) == 1


def test_an_asset_that_is_not_there(azure: Emulator, tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"^azureml:gone:1: .*\(.*HTTP 404\)$"):
        cache(azure, tmp_path / "data").file("azureml:gone:1")


def test_data_that_was_deleted(azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path) -> None:
    asset = registered_rows(azure, rows)
    container = azurite.container(azure.container)
    for blob in list(container.list_blobs()):
        container.delete_blob(blob.name)

    with pytest.raises(CloudError, match=r"^azureml:case-rows:1: there is nothing where it is said to be, azureml://"):
        cache(azure, tmp_path / "data").file(asset)


@pytest.mark.parametrize("asset", ["azureml:../../etc:1", "azureml:a:..", "azureml:a/b:1", "azureml:a:1\n"])
def test_a_name_that_is_none(asset: str, azure: Emulator, tmp_path: Path) -> None:
    with pytest.raises(LLMOpsError, match=r"can't be a data asset; write azureml:<name>:<version>$"):
        cache(azure, tmp_path / "data").file(asset)


def test_a_table_can_not_be_read(azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path) -> None:
    asset = registered_rows(azure, rows)
    azure.state.resources["data/case-rows/versions/1"]["properties"]["dataType"] = "uri_folder"
    with pytest.raises(LLMOpsError) as refused:
        cache(azure, tmp_path / "data").file(asset)

    assert str(refused.value) == "azureml:case-rows:1: it is of type uri_folder, and only uri_file can be read here"


def test_a_folder_that_can_not_be_written(azure: Emulator, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    with pytest.raises(LLMOpsError, match=r"^azureml:a:1: .*data can't be written: "):
        cache(azure, tmp_path / "data").file("azureml:a:1")


def test_legal_names_stay_as_they_are() -> None:
    assert asset_name("web_qa", "", "test.v1") == "web_qa-test.v1"


def test_names_that_are_not_legal_stay_distinct() -> None:
    names = [asset_name("web qa", "test"), asset_name("web/qa", "test"), asset_name("é"), asset_name("x" * 300)]

    assert [name.rpartition("-")[0] for name in names] == ["web-qa-test", "web-qa-test", "", "x" * 246]
    assert len(set(names)) == len(names)


def test_the_datasets_of_an_experiment(case: Case) -> None:
    found = local_data(case.load())

    assert [(data.dataset, data.name) for data in found] == [("rows", "case-rows"), ("gold", "case-gold")]


def test_a_folder_is_not_registered(case: Case) -> None:
    case.edit("experiment.yaml", "source: rows.jsonl", "source: data")
    with pytest.raises(LLMOpsError) as refused:
        local_data(case.load())

    assert str(refused.value) == f"dataset 'rows': {case.folder / 'data'} is a folder; only files are registered"


def test_the_command_registers_what_is_new(
    logged_in: Emulator, azurite: Azurite, case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register-data", str(case.folder), "--dry-run"]) == 0
    assert made(logged_in) == []
    assert main(["register-data", str(case.folder)]) == 0
    case.write("data/gold.jsonl", GOLD.replace('"a"', '"z"'))
    assert main(["register-data", str(case.folder)]) == 0

    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines() == [
        "rows: a new version of azureml:case-rows would be made",
        "gold: a new version of azureml:case-gold would be made",
        "rows: azureml:case-rows:1 (new)",
        "gold: azureml:case-gold:1 (new)",
        "rows: azureml:case-rows:1 (unchanged)",
        "gold: azureml:case-gold:2 (new)",
    ]


def test_the_command_without_a_login(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    for name in ("LLMOPS_CREDENTIAL", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    options = ["--subscription", WORKSPACE.subscription, "--resource-group", "rg", "--workspace", "ws-1"]

    assert main(["register-data", str(case.folder), *options]) == 4
    assert capsys.readouterr().err == (
        "in a pipeline, no login is guessed; choose one with --llmops-credential, --credential or LLMOPS_CREDENTIAL: "
        "cli, pipelines, workload-identity, managed-identity\n"
    )


def test_remote_rows_and_gold_are_read_like_local_ones(
    logged_in: Emulator, azurite: Azurite, case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["register-data", str(case.folder)])
    before = case.load()
    case.edit("experiment.yaml", "source: rows.jsonl", "source: azureml:case-rows:1")
    case.edit("experiment.yaml", "source: gold.jsonl", "source: azureml:case-gold:1")
    experiment = load(case.folder / "experiment.yaml", root=case.root)

    for remote, local in zip(datasets(experiment), datasets(before), strict=True):
        assert (remote.rows, remote.columns) == (local.rows, local.columns)
        assert remote.source is not None
        assert remote.source.read_bytes() == local.source.read_bytes()
        assert remote.source.is_relative_to(case.root / ".llmops" / "data")
    (cell, *_) = plan(experiment, path=FILE, options=Options())
    assert (cell.request.asset, cell.evaluations[0].request.asset) == ("azureml:case-rows:1", "azureml:case-gold:1")
    assert cell.request.data == experiment.datasets[0].source


def datasets(experiment: Any) -> list[Any]:
    return [*experiment.datasets, *experiment.evaluators[0].datasets]


def test_remote_data_that_can_not_be_had_is_reported_where_it_is_named(logged_in: Emulator, case: Case) -> None:
    case.edit("experiment.yaml", "source: rows.jsonl", "source: azureml:case-rows:7")
    with pytest.raises(ConfigurationError) as refused:
        load(case.folder / "experiment.yaml", root=case.root)

    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{FILE}:5: datasets.rows.source: azureml:case-rows:7: ")


def test_a_copy_needs_no_login(azure: Emulator, azurite: Azurite, rows: LocalData, tmp_path: Path) -> None:
    asset = registered_rows(azure, rows)
    copy = AssetCache(WORKSPACE, tmp_path / "ledger" / "data", azure.client).file(asset)
    environ = {name: value for name, value in os.environ.items() if name.startswith("LLMOPS_")} | {"CI": "true"}

    fetched = fetch_asset(asset, folder=tmp_path, root=tmp_path, environ=environ, ledger=tmp_path / "ledger")
    assert fetched == copy


@pytest.mark.slow
def test_a_session_reads_remote_rows(logged_in: Emulator, azurite: Azurite, case: Case) -> None:
    main(["register-data", str(case.folder)])
    case.edit("experiment.yaml", "source: rows.jsonl", "source: azureml:case-rows:1")
    command = [sys.executable, "-m", "pytest", "evals", "--collect-only", "-q", "-n", "2", "--llmops-credential=cli"]
    done = subprocess.run(command, cwd=case.root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    copies = list((case.root / ".llmops" / "data").rglob("*.jsonl"))
    assert [copy.read_text(encoding="utf-8") for copy in copies] == [ROWS]
