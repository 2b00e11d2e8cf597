"""The README's commands are those that CI runs, and its examples print what they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_examples import ROOT, read_blocks, run_page

README = ROOT / "README.md"


def console_blocks() -> list[str]:
    return [block.text for block in read_blocks(README) if block.language == "console"]


def test_ci_runs_the_two_commands() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in console_blocks()[:2]:
        *_, pytest_command = command.removeprefix("$ ").strip().split(" && ")
        assert pytest_command in ci


@pytest.mark.slow
@pytest.mark.parametrize("block", console_blocks()[2:], ids=("threshold", "evidence"))
def test_the_examples_print_what_they_show(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = block.replace(".venv/bin/pytest", "pytest")
    page = tmp_path / "page.md"
    page.write_text(f'<!-- project: samples -->\n```console exit="1"\n{example}```\n', encoding="utf-8")
    run_page(page, tmp_path)
