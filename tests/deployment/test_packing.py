"""What is uploaded of a flow: its files as they were evaluated, in the variant that was asked for, and no secrets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from release_case import FLOW, load, write_case

from pytest_llmops.deployment.admission import find_variant
from pytest_llmops.deployment.packing import Package, pack
from pytest_llmops.errors import ConfigurationError, RunError
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.versions import flow_digest, flow_files


def packed(root: Path, variant: str | None = None) -> Package:
    experiment = load(root)
    chosen = find_variant(experiment, variant)
    return pack(experiment.flow, chosen, root / "packed", flow_digest(experiment.flow, chosen))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_default_variant_is_the_flow_as_it_is(tmp_path: Path) -> None:
    flow = load(write_case(tmp_path)).flow
    package = packed(tmp_path)
    assert (package.folder.name, files(package.folder)) == ("greet", [*flow_files(flow)])
    assert all((package.folder / name).read_bytes() == (flow.folder / name).read_bytes() for name in flow_files(flow))


def test_another_variant_is_written_into_the_definition(tmp_path: Path) -> None:
    definition = packed(write_case(tmp_path), "terse").folder / "flow.dag.yaml"
    assert "default_variant_id: terse" in definition.read_text(encoding="utf-8")


def test_what_is_no_part_of_a_flow_is_left_out_and_named(tmp_path: Path) -> None:
    write_case(tmp_path, {f"{FLOW}/.env": "API_KEY=k\n", f"{FLOW}/__pycache__/x.pyc": ""})
    before = flow_digest(load(tmp_path).flow)
    package = packed(tmp_path)
    assert package.left_out == (".env",)
    assert files(package.folder) == ["flow.dag.yaml", "kind.jinja2", "terse.jinja2"]
    (tmp_path / FLOW / ".env").unlink()
    assert flow_digest(load(tmp_path).flow) == before


@pytest.mark.parametrize("name", ["server.pem", "deep/id_rsa", ".netrc", "client_secret.json", "secrets.yaml", "A.PFX"])
def test_a_file_that_looks_like_a_secret_is_refused(tmp_path: Path, name: str) -> None:
    write_case(tmp_path, {f"{FLOW}/{name}": "x\n"})
    with pytest.raises(ConfigurationError) as refused:
        packed(tmp_path)
    what = "it looks like a secret, and would be uploaded with the flow; keep it elsewhere, or name it otherwise"
    assert str(refused.value) == f"{tmp_path / FLOW / name}: {what}"
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (
            "callable",
            "is a Python function, which prompt flow can't serve; add a flow.flex.yaml with 'entry: module:function'",
        ),
        (
            "workflow",
            "is a workflow of Agent Framework, which prompt flow can't serve; "
            "serve it yourself, and evaluate it there with --llmops-backend endpoint",
        ),
    ],
)
def test_what_is_not_prompt_flows_can_not_be_served(tmp_path: Path, kind: FlowKind, what: str) -> None:
    flow = Flow(name="f", kind=kind, file=tmp_path / "f.py", folder=tmp_path, entry="f:f")
    with pytest.raises(ConfigurationError) as refused:
        pack(flow, find_variant(load(write_case(tmp_path)), None), tmp_path / "packed", "")
    assert str(refused.value) == f"{tmp_path / 'f.py'}: flow: {what}"


def test_files_that_are_no_longer_those_that_were_let_through(tmp_path: Path) -> None:
    experiment = load(write_case(tmp_path))
    variant = find_variant(experiment, None)
    admitted = flow_digest(experiment.flow, variant)
    (tmp_path / FLOW / "kind.jinja2").write_text("Go away {{name}}\n", encoding="utf-8")
    with pytest.raises(RunError) as refused:
        pack(experiment.flow, variant, tmp_path / "packed", admitted)
    what = "its files changed after they were compared with the gate"
    assert str(refused.value) == f"flow 'greet': {what}; leave them alone, and run the evaluation again"


def test_a_file_that_was_copied_halfway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = load(write_case(tmp_path))
    variant = find_variant(experiment, None)

    def torn(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:2])

    monkeypatch.setattr(shutil, "copy", torn)
    with pytest.raises(RunError, match="its files changed"):
        pack(experiment.flow, variant, tmp_path / "packed", flow_digest(experiment.flow, variant))


def test_a_flow_that_is_gone(tmp_path: Path) -> None:
    experiment = load(write_case(tmp_path))
    shutil.rmtree(tmp_path / FLOW)
    with pytest.raises(RunError, match=r"^the files of flow 'greet' can't be read: No such file or directory$"):
        pack(experiment.flow, find_variant(experiment, None), tmp_path / "packed", "")
