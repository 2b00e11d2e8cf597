"""Every example of the documentation does what its page says."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from azure_examples import AzureExamples
from azure_fixtures import azure, azure_authority, azure_sdks, azurite, azurite_process, loopback_only
from doc_examples import ROOT, matches, needs_agents, needs_azure, read_blocks, run_page

__all__ = ["azure", "azure_authority", "azure_sdks", "azurite", "azurite_process", "loopback_only"]

DOCS = ROOT / "docs"
SLOW = {
    "how-to/bring-a-template-project.md",
    "how-to/choose-thresholds.md",
    "how-to/choose-variants.md",
    "how-to/compare-with-a-baseline.md",
    "how-to/deploy.md",
    "how-to/judge-a-prompt-change.md",
    "how-to/measure-noise.md",
    "how-to/read-the-report.md",
    "how-to/record-llm-answers.md",
    "how-to/reuse-results.md",
    "how-to/run-in-azure-ml.md",
    "how-to/test-an-endpoint.md",
    "how-to/test-your-gates.md",
    "how-to/use-in-notebooks.md",
    "how-to/write-python-tests.md",
}


def pages() -> list[object]:
    found = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if not needs_agents(page))
    return [pytest.param(page, marks=pytest.mark.slow if page in SLOW else ()) for page in found]


@pytest.mark.parametrize("page", pages())
def test_examples_of_a_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as until_end:
        workspace = None
        if needs_azure(DOCS / page):
            request.getfixturevalue("azurite")
            workspace = AzureExamples(request.getfixturevalue("azure"), tmp_path, until_end)
        run_page(DOCS / page, tmp_path, workspace)


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```console\n$ echo one\ntwo\n```\n", r"page.md:1: \$ echo one\nsays\none"),
        ("```console\n$ exit 3\n```\n", r"page.md:1: \$ exit 3\nexit code 3"),
        ('```console exit="1"\n$ true\n```\n', r"page.md:1: \$ true\nexit code 0"),
        ("```console\necho one\n```\n", "page.md:1: no line of this console block begins with"),
        ("```pycon\n>>> 1 + 1\n3\n```\n", "(?s)page.md.*line 2.*Expected:\n    3\nGot:\n    2"),
    ],
)
def test_an_example_that_is_wrong_is_noticed(tmp_path: Path, block: str, complaint: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(block, encoding="utf-8")
    with pytest.raises(AssertionError, match=complaint):
        run_page(page, tmp_path)


def test_a_page_is_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        '```python title="a/b.py"\nprint("b")\n```\n'
        "```console\n$ cat a/b.py\nprint(...)\n$ ls a\nb.py\n```\n"
        "```python\nname = 1\n```\n"
        "```pycon\n>>> name + 1\n2\n```\n"
        "```text\n$ not run\n```\n",
        encoding="utf-8",
    )
    assert [block.line for block in read_blocks(page)] == [1, 4, 10, 13, 17]
    run_page(page, tmp_path)


def test_a_program_in_the_background_ends_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```console background\n$ echo $$ > id; sleep 60; : --port 8123\n```\n"
        "```console\n$ until test -s id; do sleep 0.05; done\n$ echo :8123 | tee port\n:8123\n```\n",
        encoding="utf-8",
    )
    run_page(page, tmp_path)
    assert (tmp_path / "port").read_text(encoding="utf-8") != ":8123\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text(encoding="utf-8")), 0)


def test_a_page_says_which_of_its_commands_need_azure(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```console exit="1"\n$ false azure\n```\n', encoding="utf-8")
    assert not needs_azure(page)
    page.write_text('```console azure exit="1"\n$ false\n```\n', encoding="utf-8")
    assert needs_azure(page)


def test_durations_and_rulers_may_differ() -> None:
    assert matches("===== 1 passed in 1.00s =====", "========= 1 passed in 12.50s ========\n")
    assert not matches("===== 1 passed in 1.00s =====", "========= 2 passed in 12.50s ========\n")
