"""Secrets inside of files that are to be uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.deployment.packing import pack
from pytest_llmops.disclosure import refuse_secrets
from pytest_llmops.errors import ConfigurationError, RunError
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import Variant

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
TODO = (
    "and would be uploaded with the flow; "
    "take it out, and give it to the flow by a connection or an environment variable"
)


def refused(folder: Path, *names: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        refuse_secrets(folder, names)
    return str(raised.value).replace(str(folder), "")


def test_each_secret_is_named_by_its_line_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "hello.jinja2").write_text(f"Dear {{{{name}}}}\n\napi_key={KEY}\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("--index-url https://u:Pip5ecret@feed.example/simple\n", "utf-8")

    assert refused(tmp_path, "hello.jinja2", "requirements.txt").splitlines() == [
        f"/hello.jinja2:3: holds what looks like a key of OpenAI or Anthropic, {TODO}",
        f"/requirements.txt:1: holds what looks like a URL with a password, {TODO}",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_files_are_looked_into_whatever_their_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(f"caf\xe9\n{KEY}".encode(encoding))
    assert refused(tmp_path, "a.txt").startswith("/a.txt:2: holds what looks like a key")


def test_a_key_in_a_binary_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) + b"\n" + KEY.encode() + b"\x00")
    assert refused(tmp_path, "a.bin").startswith("/a.bin:")


def test_files_without_secrets_are_let_through(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Never ask for a password, or for an API key such as sk-...", encoding="utf-8")
    refuse_secrets(tmp_path, ["a.txt"])
    with pytest.raises(RunError, match=r"none\.txt: can't be read: No such file or directory$"):
        refuse_secrets(tmp_path, ["none.txt"])


def test_a_flow_that_holds_a_secret_is_not_packed(tmp_path: Path) -> None:
    flow = tmp_path / "greet"
    flow.mkdir()
    (flow / "flow.dag.yaml").write_text(f"inputs: {{}}\noutputs: {{}}\nnodes: []  # {KEY}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"flow\.dag\.yaml:3: holds what looks like a key of OpenAI"):
        pack(Flow(name="greet", kind="dag", file=flow / "flow.dag.yaml", folder=flow), Variant(), tmp_path / "out", "")
