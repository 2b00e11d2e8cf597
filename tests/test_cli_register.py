"""``llmops register``: behind the gate, once for the same files, and on record where somebody overrode the gate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from azure_blob import Azurite
from azure_emulator import Emulator
from azure_fixtures import azure, azure_authority, azure_sdks, azurite, azurite_process, loopback_only
from azure_identity import install_az
from release_case import FLOW, PATH, load, session, write_case, write_session

import pytest_llmops as llmops
from pytest_llmops.cli import main
from pytest_llmops.reports.write import write_reports
from pytest_llmops.versions import flow_digest

__all__ = ["azure", "azure_authority", "azure_sdks", "azurite", "azurite_process", "loopback_only"]

Output = pytest.CaptureFixture[str]
REGISTER = ["register", PATH, "--credential", "cli"]
AGAIN = "run the evaluation again"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The use case in the working directory, in no repository, with an Azure CLI that is logged in."""
    (tmp_path / "bin").mkdir()
    install_az(tmp_path / "bin")
    root = write_case(tmp_path / "project")
    monkeypatch.chdir(root)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return root


def models(azure: Emulator) -> dict[str, Mapping[str, str]]:
    """Versions of the model to their tags."""
    found = azure.state.below("models/greeter/versions")
    return {each["name"]: each["properties"]["tags"] for each in found}


def writes(azure: Emulator) -> list[str]:
    return [line for line in azure.log if not line.startswith("GET")]


def test_a_flow_that_passed_is_registered_once(root: Path, azure: Emulator, azurite: Azurite, capsys: Output) -> None:
    write_session(root, session(root))
    assert main(REGISTER) == 0
    assert capsys.readouterr().out == "registered: model greeter:1 (3 files, 461 bytes)\n"
    write_session(root, session(root))
    assert main(["register", "evals/greeter", "--credential", "cli"]) == 0
    assert capsys.readouterr().out == "model greeter:1 is of the same files; nothing is uploaded\n"
    assert list(models(azure)) == ["1"]
    tags = models(azure)["1"]
    assert (tags["llmops_flow"], tags["llmops_verdict"]) == (flow_digest(load(root).flow), "open")


def test_another_version_of_the_flow_is_another_version_of_the_model(
    root: Path, azure: Emulator, azurite: Azurite
) -> None:
    for text in ("Dear {{name}}\n", "Hey {{name}}\n"):
        (root / FLOW / "kind.jinja2").write_text(text, encoding="utf-8")
        write_session(root, session(root))
        assert main(REGISTER) == 0
    assert main([*REGISTER, "--variant", "terse"]) == 0
    assert [(version, tags["llmops_variant"]) for version, tags in models(azure).items()] == [
        ("1", "kind"),
        ("2", "kind"),
        ("3", "terse"),
    ]
    assert len({tags["llmops_flow"] for tags in models(azure).values()}) == 3


def test_a_closed_gate_is_exit_code_1_and_nothing_is_asked_of_azure(
    root: Path, azure: Emulator, capsys: Output
) -> None:
    assert main(REGISTER) == 1
    assert main([*REGISTER, "--override-gate", "because", "--dry-run"]) == 0
    write_session(root, session(root, failed=["kind"]))
    capsys.readouterr()
    assert main(REGISTER) == 1
    assert capsys.readouterr().err == "the gate is closed: 1 of 4 gates failed\n"
    assert azure.log == []


def test_a_flow_that_changed_is_exit_code_4_and_nothing_is_asked_of_azure(
    root: Path, azure: Emulator, capsys: Output
) -> None:
    write_session(root, session(root))
    (root / FLOW / "new.txt").write_text("", encoding="utf-8")
    assert main(REGISTER) == 4
    assert capsys.readouterr().err.startswith("flow 'greet' changed after the gate was decided (it was ")
    assert azure.log == []


def test_an_override_is_loud_and_on_record(
    root: Path, azure: Emulator, azurite: Azurite, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_REQUESTEDFOR", "Ann Smith")
    word = [*REGISTER, "--override-gate", "the old model is gone tomorrow"]
    for _ in range(2):
        assert main(word) == 0
    assert capsys.readouterr().err.splitlines() == 2 * [
        "THE GATE IS OVERRIDDEN by Ann Smith: the old model is gone tomorrow",
        f"  against it: the gate is closed: reports/gate.json: there is none: nothing was decided here; {AGAIN}",
    ]
    write_session(root, session(root))
    assert main(word) == 0
    assert "--override-gate: not needed, the gate is open; nothing is overridden\n" in capsys.readouterr().out
    verdicts = [(tags["llmops_verdict"], tags.get("llmops_override_by")) for tags in models(azure).values()]
    assert verdicts == [("overridden", "Ann Smith"), ("open", None)]


def test_a_pipeline_shows_a_warning_of_an_override(root: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    assert main([*REGISTER, "--override-gate", "why not", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("##vso[task.logissue type=warning;code=llmops]THE GATE IS OVERRIDDEN by ")


def test_a_dry_run_says_what_would_be_uploaded(root: Path, azure: Emulator, capsys: Output) -> None:
    write_case(root, {f"{FLOW}/.env": "API_KEY=k\n", f"{FLOW}/.amlignore": "notes.md\n", f"{FLOW}/notes.md": "n\n"})
    made = session(root)
    write_session(root, made)
    assert main([*REGISTER, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    size = {name: (root / FLOW / name).stat().st_size for name in ("flow.dag.yaml", "kind.jinja2", "terse.jinja2")}
    tags = [line for line in lines if "llmops_version" not in line]
    assert tags == [
        "would register flow 'greet', variant 'kind', as model greeter",
        "unless the workspace has a version of the same files; with the tags:",
        f"  llmops_flow: {flow_digest(load(root).flow)}",
        "  llmops_verdict: open",
        "  llmops_variant: kind",
        f"  llmops_gate: {made.created}",
        "  polite.score_greet-names-kind: 0.75 (required >= 0.5)",
        "and upload 4 files, 470 bytes:",
        "  .amlignore (9 bytes)",
        f"  flow.dag.yaml ({size['flow.dag.yaml']} bytes)",
        f"  kind.jinja2 ({size['kind.jinja2']} bytes)",
        f"  terse.jinja2 ({size['terse.jinja2']} bytes)",
        "not uploaded, no part of the flow: .env",
        "NOT UPLOADED, as .amlignore or .gitignore says, though it was there in the evaluation: notes.md",
        "nothing was done: this was a dry run",
    ]
    assert azure.log == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--variant", "kin"], "--variant: there is no variant 'kin'; did you mean 'kind'?"),
        (
            ["--override-gate", " "],
            "--override-gate: it is empty; give the reason, which is kept with what is let through",
        ),
        (
            ["--max-age", "soon"],
            "--max-age: 'soon' is not a duration; write a number and a unit, such as 90s, 30m, 12h, 7d or 2w",
        ),
        (
            ["--workspace", "x"],
            "--workspace: 'x' can't be right; give the name of a workspace: 3 to 33 letters, digits, '_' and '-'",
        ),
    ],
)
def test_bad_options_are_exit_code_4_before_anything_is_asked(
    root: Path, azure: Emulator, capsys: Output, options: list[str], said: str
) -> None:
    write_session(root, session(root))
    assert main([*REGISTER, *options]) == 4
    assert capsys.readouterr().err.splitlines() == [said]
    assert azure.log == []


def test_the_overlay_that_its_gate_was_decided_with(root: Path, azure: Emulator, capsys: Output) -> None:
    write_case(root, {"evals/greeter/experiment.dev.yaml": "runtime: automatic\n"})
    write_session(root, session(root, env="dev"))
    said = "the gate was decided with the overlay of environment 'dev', this is for"
    assert main(REGISTER) == 4
    assert main([*REGISTER, "--env", "prod"]) == 4
    assert capsys.readouterr().err.splitlines() == [
        f"{said} no environment; name it with --env dev",
        f"{said} 'prod'; evaluate with --llmops-env prod, or without an overlay",
    ]
    assert azure.log == []
    assert main([*REGISTER, "--env", "dev", "--dry-run"]) == 0
    write_session(root, session(root))
    assert main([*REGISTER, "--env", "prod", "--dry-run"]) == 0


def test_another_workspace_is_exit_code_4_and_nothing_is_made(root: Path, azure: Emulator, capsys: Output) -> None:
    write_session(root, session(root))
    assert main([*REGISTER, "--workspace", "another"]) == 4
    assert capsys.readouterr().err.startswith("workspace 'another': ")
    assert writes(azure) == []


def test_what_looks_like_a_secret_is_not_uploaded(root: Path, azure: Emulator, capsys: Output) -> None:
    write_case(root, {f"{FLOW}/server.pem": "x\n"})
    write_session(root, session(root))
    assert main(REGISTER) == 4
    assert "server.pem: it looks like a secret, and would be uploaded with the flow" in capsys.readouterr().err
    assert writes(azure) == []


def test_a_service_that_fails_is_exit_code_1_and_the_next_attempt_goes_through(
    root: Path, azure: Emulator, azurite: Azurite, capsys: Output
) -> None:
    write_session(root, session(root))
    azure.fail("PUT", "models/greeter/versions/1", "conflict")
    assert main(REGISTER) == 1
    assert capsys.readouterr().err.startswith("model 'greeter': register: ")
    assert main(REGISTER) == 0
    assert list(models(azure)) == ["1"]


def test_what_a_session_evaluated_is_what_is_registered(root: Path, capsys: Output) -> None:
    """From a real evaluation of a prompt flow to what would be uploaded of it."""
    results = llmops.evaluate(llmops.load(PATH, root=root))
    write_reports(results, root / "reports")
    assert main([*REGISTER, "--dry-run"]) == 0
    assert f"  llmops_flow: {flow_digest(load(root).flow)}\n" in capsys.readouterr().out
    assert main([*REGISTER, "--dry-run", "--variant", "terse"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "variant 'terse' did not pass: FAIL polite.score[greet-names-terse]: 0, required >= 0.5 "
        "(n = 2, 95 % CI 0.00 to 0.66)",
        "variants that passed: kind; name one with --variant, or make it the flow's default",
    ]
