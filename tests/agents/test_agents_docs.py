"""Pages that need Agent Framework do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_examples import ROOT, needs_agents, run_page

pytest.importorskip("agent_framework", reason="Agent Framework is not installed; it needs an environment of its own")

PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if needs_agents(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)
