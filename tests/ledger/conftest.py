"""Ledgers in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from ledger_case import write_request

from pytest_llmops.ledger import Ledger
from pytest_llmops.records.run import RunRequest


@pytest.fixture
def open_ledger(tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """Give a function that opens the ledger of the test as another session would."""
    with ExitStack() as until_end:

        def open_it(**settings: Any) -> Ledger:
            return until_end.enter_context(closing(Ledger(tmp_path / ".llmops", **settings)))

        yield open_it


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., RunRequest]:
    """Give a function that writes a flow and asks for a run of it."""
    return lambda **changes: write_request(tmp_path / "repo", **changes)
